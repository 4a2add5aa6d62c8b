import { describe, expect, it } from 'vitest';
import type { EntryDraft, EntryValue } from '../../src/accounting/index.ts';
import { type Verdict, verifyBundle } from '../../src/accounting/verify/index.ts';
import { SerialRuns } from '../../src/accounting/verify/serials.ts';
import { caFp, dayDrafts, exportLog, inPieces, makeLog, seeded } from './log-fixture.ts';

const startMs = Date.UTC(2026, 0, 1);
const minute = 60_000;
const otherCa = `SHA256:${'B'.repeat(43)}`;
const success = { outcome: 'success' } as const;

/** Drafts, one a second unless they say when. */
async function judge(
  drafts: readonly (Omit<EntryDraft, 'timeMs'> & { timeMs?: number })[],
): Promise<Verdict> {
  const log = makeLog(drafts.map((draft, nth) => ({ timeMs: startMs + nth * 1000, ...draft })));
  return verifyBundle(inPieces(await exportLog(log)), { verifierKey: log.key });
}
const cred = (value: EntryValue, ca = caFp): EntryDraft['fields'] => ({
  cred: { kind: 'ssh-user', serial: value, ca_fp: ca },
});
const issue = (serial: string, ca = caFp) =>
  ({ ...success, type: 'cred.issue', fields: cred(serial, ca) }) as const;
const revoke = (serial: string, ca = caFp) =>
  ({ ...success, type: 'cred.revoke', fields: cred(serial, ca) }) as const;
const voided = (first: string, last: string) =>
  ({
    type: 'cred.void',
    outcome: 'failure',
    reasonCode: 'issuance.abandoned',
    fields: { cred: { ca_fp: caFp, serial_first: first, serial_last: last } },
  }) as const;
const publish = (version: EntryValue) =>
  ({ ...success, type: 'krl.publish', fields: { artifact: { version } } }) as const;
const beat = (timeMs: number) => ({ ...success, type: 'log.heartbeat', timeMs }) as const;
const start = (timeMs: number) => ({ ...success, type: 'system.start', timeMs }) as const;
/** An hour later, so that no request can still be under way. */
const later = { ...success, type: 'auth.login', timeMs: startMs + 60 * minute } as const;

describe('completeness', () => {
  it.each([
    ['dense serials', [issue('1'), issue('2'), issue('3'), later]],
    ['serials in any order', [issue('3'), issue('1'), issue('2'), later]],
    ['void ranges', [issue('1'), voided('2', '9'), issue('10'), voided('11', '11'), later]],
    ['two authorities', [issue('1'), issue('1', otherCa), issue('2', otherCa), later]],
    ['a hole that a running request may still fill', [issue('1'), issue('3')]],
    ['a serial of 64 bits', [voided('1', '18446744073709551614'), issue('18446744073709551615'), later]],
    ['revoked certificates', [issue('1'), revoke('1'), revoke('1'), later]],
    ['rising lists', [publish('1'), publish('2'), publish('9'), publish(10)]],
    [
      'a list that could not be published',
      [publish('2'), { ...publish('1'), outcome: 'failure', reasonCode: 'x.y' }],
    ],
    [
      'a revocation by person',
      [{ ...success, type: 'cred.revoke', fields: { target: { kind: 'person', value: 'a' } } }],
    ],
    [
      'random X.509 serials',
      [{ ...success, type: 'cred.issue', fields: { cred: { kind: 'tls-server', serial: 'ab' } } }, later],
    ],
    ['clocks that differ by five minutes', [later, { ...later, timeMs: later.timeMs - 5 * minute }]],
    ['steady heartbeats', [beat(startMs), beat(startMs + 10 * minute), beat(startMs + 31 * minute)]],
    ['a stop', [beat(startMs), { ...success, type: 'system.stop' }, start(startMs + 600 * minute)]],
    [
      'a crash',
      [beat(startMs), { ...voided('1', '1'), timeMs: startMs + 599 * minute }, start(startMs + 600 * minute)],
    ],
  ] as const)('accepts %s', async (_name, drafts) => {
    const verdict = await judge(drafts);
    expect(verdict.completeness).toMatchObject({ state: 'verified' });
    expect(verdict.exitCode).toBe(0);
  });

  it.each([
    ['a missing serial', 1n, [issue('1'), issue('3'), later]],
    ['a missing first serial', 0n, [issue('2'), later]],
    [
      'a missing serial of the second authority',
      2n,
      [issue('1'), issue('1', otherCa), issue('3', otherCa), later],
    ],
    ['a time far back', 1n, [later, { ...later, timeMs: later.timeMs - 5 * minute - 1 }]],
    ['silence', 1n, [beat(startMs), beat(startMs + 21 * minute + 1)]],
    [
      'silence by the promise made',
      1n,
      [{ ...beat(startMs), fields: { heartbeat: { interval_seconds: 60 } } }, beat(startMs + 3 * minute + 1)],
    ],
  ] as const)('flags %s as incomplete', async (_name, index, drafts) => {
    const verdict = await judge(drafts);
    expect(verdict.integrity.state).toBe('verified');
    expect(verdict.completeness).toMatchObject({ state: 'incomplete', index });
    expect(verdict.exitCode).toBe(3);
  });

  it.each([
    ['a serial issued twice', 2n, [issue('1'), issue('2'), issue('1')]],
    ['a void serial issued', 1n, [voided('1', '5'), issue('5')]],
    ['an issued serial declared void', 1n, [issue('3'), voided('1', '5')]],
    ['a void range turned round', 0n, [voided('5', '1')]],
    ['an unissued serial revoked', 1n, [issue('1'), revoke('2')]],
    ['a serial of another authority revoked', 1n, [issue('1'), revoke('1', otherCa)]],
    ['a void serial revoked', 1n, [voided('1', '1'), revoke('1')]],
    ['a serial revoked before it was issued', 0n, [revoke('1'), issue('1')]],
    ['a list version repeated', 1n, [publish('1'), publish('1')]],
    ['a list version fallen', 2n, [publish('1'), publish('3'), publish('2')]],
    ['a list without version', 0n, [publish(null)]],
    ['serial 0', 0n, [issue('0')]],
    ['a serial of 65 bits', 0n, [issue('18446744073709551616')]],
    ['a serial in hex', 0n, [issue('0x1')]],
    [
      'an issue without authority',
      0n,
      [{ ...success, type: 'cred.issue', fields: { cred: { serial: '1' } } }],
    ],
    ['an issue without credential', 0n, [{ ...success, type: 'cred.issue' }]],
  ] as const)('calls %s a contradiction', async (_name, index, drafts) => {
    const verdict = await judge([...drafts, later]);
    expect(verdict.integrity.state).toBe('verified');
    expect(verdict.completeness).toMatchObject({ state: 'failed', index });
    expect(verdict.exitCode).toBe(1);
  });

  it('says that silence cannot be told where there are no heartbeats', async () => {
    expect((await judge([later])).completeness.detail).toContain('no heartbeats');
    expect((await judge([beat(startMs)])).completeness.detail).not.toContain('no heartbeats');
  });

  it('finds a contradiction in a part, but no gap', async () => {
    const drafts = dayDrafts(40);
    const twice = drafts.with(30, { ...issue('5'), timeMs: drafts[30]?.timeMs ?? 0 });
    const log = makeLog(twice);
    const part = async (from: bigint): Promise<Verdict> =>
      verifyBundle(inPieces(await exportLog(log, { from, to: 40n })), { verifierKey: log.key });
    expect(await part(10n)).toMatchObject({ completeness: { state: 'failed', index: 30n }, exitCode: 1 });
    expect(await part(31n)).toMatchObject({ completeness: { state: 'not_checked' }, exitCode: 0 });
  });
});

describe('SerialRuns', () => {
  it('agrees with a plain set over random additions', () => {
    const below = seeded(5);
    const runs = new SerialRuns();
    const plain = new Set<bigint>();
    for (let round = 0; round < 4000; round += 1) {
      const first = BigInt(1 + below(500));
      const last = first + BigInt(below(4) === 0 ? below(6) : 0);
      const wanted = Array.from({ length: Number(last - first) + 1 }, (_, nth) => first + BigInt(nth));
      const free = wanted.every((serial) => !plain.has(serial));
      expect(runs.add(first, last, 0)).toBe(free);
      if (free) for (const serial of wanted) plain.add(serial);
      const probe = BigInt(1 + below(510));
      expect(runs.has(probe)).toBe(plain.has(probe));
      let hole: bigint | undefined;
      const top = [...plain].reduce((a, b) => (a > b ? a : b));
      for (let serial = 1n; serial < top && hole === undefined; serial += 1n)
        if (!plain.has(serial)) hole = serial;
      expect(runs.firstHole(0)).toBe(hole);
    }
    expect(plain.size).toBeGreaterThan(400);
  });
});
