import { describe, expect, it } from 'vitest';
import type { EntryDraft, EntryValue } from '../../src/accounting/index.ts';
import { describeVerdict, type Verdict, verifyBundle } from '../../src/accounting/verify/index.ts';
import type { Entry } from '../../src/accounting/verify/entry.ts';
import { Replay } from '../../src/accounting/verify/replay.ts';
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
const range = (first: EntryValue, last: EntryValue): EntryDraft['fields'] => ({
  cred: { ca_fp: caFp, serial_first: first, serial_last: last },
});
const tlsRange = { cred: { kind: 'tls-server', ca_fp: caFp, serial_first: '2', serial_last: '1' } };
const publish = (version: EntryValue) =>
  ({ ...success, type: 'krl.publish', fields: { artifact: { version } } }) as const;
/** A list of so many serials and keys that covers the entries below `logSize`. */
const list = (
  version: string,
  [serials, keys, logSize]: readonly [EntryValue, EntryValue, EntryValue],
  ca: EntryValue = caFp,
) =>
  ({
    ...success,
    type: 'krl.publish',
    fields: {
      artifact: { version },
      list: { ca_fp: ca, serials, keys, key_ids: 0, log_size: logSize },
    },
  }) as const;
const hour = 3_600_000;
const ending = (serial: string, afterMs: number) =>
  ({
    ...success,
    type: 'cred.revoke',
    fields: {
      cred: {
        kind: 'ssh-user',
        serial,
        ca_fp: caFp,
        not_after: new Date(startMs + afterMs).toISOString(),
      },
    },
  }) as const;
const keyRevoked = (value: string) =>
  ({ ...success, type: 'cred.revoke', fields: { target: { kind: 'key', value, hits: 0 } } }) as const;
/** Two certificates revoked, of which the second ended 23 hours and 59 minutes before the log begins. */
const twoRevoked = [issue('1'), issue('2'), ending('1', hour), ending('2', minute - 24 * hour)] as const;
const epoch = (over: Readonly<Record<string, EntryValue>> = {}) =>
  ({
    ...success,
    type: 'log.epoch',
    fields: {
      epoch: {
        origin: 'old.example/1',
        size: '7',
        authorities: [{ ca_fp: caFp, next: '1000' }],
        list_version: '50',
        ...over,
      },
    },
  }) as const;
const beat = (timeMs: number) => ({ ...success, type: 'log.heartbeat', timeMs }) as const;
const start = (timeMs: number) => ({ ...success, type: 'system.start', timeMs }) as const;
const stop = { ...success, type: 'system.stop' } as const;
const promise = (seconds: EntryValue) =>
  ({ ...beat(startMs), fields: { heartbeat: { interval_seconds: seconds } } }) as const;
/** An hour later, so that no request can still be under way. */
const later = { ...success, type: 'auth.login', timeMs: startMs + 60 * minute } as const;

describe('completeness', () => {
  it.each([
    ['dense serials', [issue('1'), issue('2'), issue('3'), later]],
    ['serials in any order', [issue('3'), issue('1'), issue('2'), later]],
    ['void ranges', [issue('1'), voided('2', '9'), issue('10'), voided('11', '11'), later]],
    ['an authority whose name has 100 characters', [issue('1', '~'.repeat(100)), later]],
    ['two authorities', [issue('1'), issue('1', otherCa), issue('2', otherCa), later]],
    ['a hole that a running request may still fill', [issue('1'), issue('3')]],
    ['a serial of 64 bits', [voided('1', '18446744073709551614'), issue('18446744073709551615'), later]],
    ['revoked certificates', [issue('1'), revoke('1'), revoke('1'), later]],
    ['rising lists', [publish('1'), publish('2'), publish('9'), publish('10')]],
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
    [
      'a log that goes on from another',
      [epoch(), issue('1000'), voided('1001', '1003'), publish('51'), later],
    ],
    [
      'a quoted checkpoint of the log before',
      [epoch({ checkpoint: 'old.example/1\n7\nroot\n' }), issue('1000'), later],
    ],
    ['what the log before issued revoked', [epoch(), revoke('999'), revoke('1'), issue('1000'), later]],
    ['an authority that the log before did not know', [epoch(), issue('1', otherCa), later]],
    [
      'a log that goes on from one without lists',
      [epoch({ authorities: [], list_version: '1' }), publish('2')],
    ],
    ['a list of all that was revoked', [...twoRevoked, list('1', [2, 0, '4']), list('2', [2, 0, '5'])]],
    ['a list without what was revoked while it was made', [...twoRevoked, list('1', [1, 0, '3'])]],
    ['a list with it', [...twoRevoked, list('1', [2, 0, '3'])]],
    [
      'a list without what expired a day before',
      [...twoRevoked, { ...list('1', [1, 0, '4']), timeMs: startMs + minute + 1000 }],
    ],
    ['a serial revoked twice and listed once', [...twoRevoked, ending('1', hour), list('1', [2, 0, '5'])]],
    [
      'a list with one that never ends, and without',
      [issue('1'), revoke('1'), list('1', [1, 0, '2']), list('2', [0, 0, '2'])],
    ],
    ['a list of another authority', [...twoRevoked, list('1', [0, 0, '4'], otherCa)]],
    [
      'a list of revoked keys',
      [keyRevoked('a'), keyRevoked('b'), keyRevoked('a'), list('1', [0, 2, '3']), list('2', [0, 1, '1'])],
    ],
    [
      'a list that holds more than a log revoked that goes on from another',
      [epoch(), ending('1', hour), list('51', [9, 7, '2'])],
    ],
    ['steady heartbeats', [beat(startMs), beat(startMs + 10 * minute), beat(startMs + 31 * minute)]],
    ['as long a promise as there is', [promise(86_400), beat(startMs + 2881 * minute)]],
    ['a promise of nothing as the default', [promise(0), beat(startMs + 21 * minute)]],
    ['a stop', [beat(startMs), { ...stop, timeMs: startMs + 21 * minute }, start(startMs + 600 * minute)]],
    [
      'a crash',
      [beat(startMs), start(startMs + 600 * minute), { ...voided('1', '1'), timeMs: startMs + 600 * minute }],
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
    ['a missing first serial after another log', 1n, [epoch(), issue('1001'), later]],
    ['a time far back', 1n, [later, { ...later, timeMs: later.timeMs - 5 * minute - 1 }]],
    ['silence', 1n, [beat(startMs), beat(startMs + 21 * minute + 1)]],
    [
      'silence before a void range',
      1n,
      [beat(startMs), { ...voided('1', '1'), timeMs: startMs + 22 * minute }, start(startMs + 22 * minute)],
    ],
    ['silence by the promise made', 1n, [promise(60), beat(startMs + 3 * minute + 1)]],
    ['silence by the newest promise', 2n, [beat(startMs), promise(60), beat(startMs + 3 * minute + 1)]],
    ['silence before a stop', 1n, [beat(startMs), { ...stop, timeMs: startMs + 21 * minute + 1 }]],
    ['silence past the default for a promise of nothing', 1n, [promise(0), beat(startMs + 21 * minute + 1)]],
    ['silence past the default for a negative promise', 1n, [promise(-1), beat(startMs + 21 * minute + 1)]],
    ['silence past the default for two days', 1n, [promise(172_800), beat(startMs + 21 * minute + 1)]],
    ['silence past the default for a text', 1n, [promise('86400'), beat(startMs + 21 * minute + 1)]],
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
    ['a list version that is a number', 0n, [publish(1)]],
    ['a list version of 65 bits', 0n, [publish('18446744073709551616')]],
    ['a serial that is a number', 0n, [{ ...issue('1'), fields: cred(1) }]],
    ['a serial with a leading zero', 0n, [issue('01')]],
    ['a void range of numbers', 0n, [{ ...voided('1', '1'), fields: range(1, 1) }]],
    ['a void range without end', 0n, [{ ...voided('1', '1'), fields: range('1', null) }]],
    ['a void range of a TLS authority turned round', 0n, [{ ...voided('1', '1'), fields: tlsRange }]],
    ['a revoked serial that is a number', 1n, [issue('1'), { ...revoke('1'), fields: cred(1) }]],
    ['a revoked serial in hex', 1n, [issue('1'), revoke('0x1')]],
    ['a revocation under no authority’s name', 1n, [issue('1'), revoke('1', '')]],
    ['an authority whose name has a space', 0n, [issue('1', 'SHA256: A')]],
    ['an authority whose name is not ASCII', 0n, [issue('1', 'SHA256:é')]],
    ['an authority whose name has 101 characters', 0n, [issue('1', 'A'.repeat(101))]],
    ['a serial of the log before', 1n, [epoch(), issue('999')]],
    ['a void range that reaches into the log before', 1n, [epoch(), voided('999', '1001')]],
    ['a list older than those of the log before', 1n, [epoch(), publish('50')]],
    ['a revocation of what this log has not issued yet', 1n, [epoch(), revoke('1000')]],
    ['a beginning in the middle', 1n, [issue('1'), epoch()]],
    ['a second beginning', 1n, [epoch(), epoch()]],
    ['a beginning from no number', 0n, [epoch({ authorities: [{ ca_fp: caFp, next: 1000 }] })]],
    ['a beginning from 0', 0n, [epoch({ authorities: [{ ca_fp: caFp, next: '0' }] })]],
    ['a beginning without authorities', 0n, [epoch({ authorities: null })]],
    [
      'a beginning with one authority twice',
      0n,
      [epoch({ authorities: [1, 2].map(() => ({ ca_fp: caFp, next: '5' })) })],
    ],
    ['a beginning with a nameless authority', 0n, [epoch({ authorities: [{ ca_fp: '', next: '5' }] })]],
    ['a beginning after a log without a name', 0n, [epoch({ origin: 'two words' })]],
    ['a beginning after a log without a size', 0n, [epoch({ size: 7 })]],
    ['a beginning that quotes another log', 0n, [epoch({ checkpoint: 'new.example/1\n7\nroot\n' })]],
    ['a beginning that quotes another size', 0n, [epoch({ checkpoint: 'old.example/1\n70\nroot\n' })]],
    ['a beginning that quotes half a line', 0n, [epoch({ checkpoint: 'old.example/1\n7' })]],
    ['a beginning that quotes no text', 0n, [epoch({ checkpoint: null })]],
    ['a beginning with a version that is a number', 0n, [epoch({ list_version: 50 })]],
    ['a list that lost a serial', 5n, [...twoRevoked, list('1', [2, 0, '4']), list('2', [1, 0, '5'])]],
    ['a list that never had one', 4n, [...twoRevoked, list('1', [1, 0, '4'])]],
    [
      'a list that forgets it too early',
      4n,
      [...twoRevoked, { ...list('1', [1, 0, '4']), timeMs: startMs + minute + 999 }],
    ],
    ['a list of more than was revoked', 4n, [...twoRevoked, list('1', [3, 0, '4'])]],
    ['a list that lost a key', 2n, [keyRevoked('a'), list('1', [0, 1, '1']), list('2', [0, 0, '2'])]],
    ['a list of more keys than were revoked', 1n, [keyRevoked('a'), list('1', [0, 2, '1'])]],
    [
      'a list that lost a serial, after another log',
      2n,
      [epoch(), ending('1', hour), list('51', [0, 0, '2'])],
    ],
    ['a list that covers itself', 0n, [list('1', [0, 0, '1'])]],
    ['a list that covers a number', 0n, [list('1', [0, 0, 0])]],
    ['a list that covers null', 0n, [list('1', [0, 0, null])]],
    ['a list of a text of serials', 0n, [list('1', ['0', 0, '0'])]],
    ['a list of a negative number of keys', 0n, [list('1', [0, -1, '0'])]],
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

  it('tells a silence in a part from the rest of the log that a part has not', async () => {
    const drafts = [start(startMs), beat(startMs), beat(startMs + 22 * minute)];
    const log = makeLog(drafts);
    const bundle = await exportLog(log, { from: 1n, to: 3n });
    for (const part of [true, false]) {
      const verdict = await verifyBundle(inPieces(bundle), { verifierKey: log.key, part });
      expect(verdict).toMatchObject({ completeness: { state: 'incomplete', index: 2n }, exitCode: 3 });
      expect(describeVerdict(verdict)).toContain('NOT VERIFIED: something is missing.');
    }
  });

  /** Plays entries through without the cost of a log; `make` gives the `cred` of each. */
  const play = (count: number, type: string, make: (nth: number) => Record<string, string>): string => {
    const replay = new Replay(true);
    for (let nth = 0; nth < count; nth += 1) {
      const fields = { cred: make(nth) };
      const entry: Entry = { time: '', timeMs: startMs, type, outcome: 'success', personal: [], fields };
      replay.entry(BigInt(nth), entry);
    }
    const { state, index } = replay.finish();
    return `${state} ${index ?? ''}`;
  };

  it('takes 10,000 authorities and calls one more a contradiction', () => {
    const make = (nth: number): Record<string, string> => ({ ca_fp: `SHA256:${nth}`, serial: '1' });
    expect(play(10_000, 'cred.issue', make)).toBe('verified ');
    expect(play(10_001, 'cred.issue', make)).toBe('failed 10000');
  });

  it('takes 100,000 runs of serials and calls one more a contradiction', () => {
    const issues = (nth: number): Record<string, string> => ({ ca_fp: caFp, serial: String(1 + 2 * nth) });
    expect(play(100_000, 'cred.issue', issues)).toBe('verified ');
    expect(play(100_001, 'cred.issue', issues)).toBe('failed 100000');
    const voids = (nth: number): Record<string, string> => {
      const serial = String(1 + 2 * nth);
      return { ca_fp: caFp, serial_first: serial, serial_last: serial };
    };
    expect(play(100_001, 'cred.void', voids)).toBe('failed 100000');
  });

  it('says from which log another one goes on', async () => {
    const verdict = await judge([epoch(), issue('1000'), later]);
    expect(describeVerdict(verdict)).toContain('goes on from the log old.example/1 of 7 entries');
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
      verifyBundle(inPieces(await exportLog(log, { from, to: 40n })), { verifierKey: log.key, part: true });
    expect(await part(10n)).toMatchObject({ completeness: { state: 'failed', index: 30n }, exitCode: 1 });
    expect(await part(31n)).toMatchObject({ completeness: { state: 'not_checked' }, exitCode: 0 });
  });
});

describe('SerialRuns', () => {
  const runsOf = (
    ...added: readonly (readonly [first: bigint, last: bigint, atMs: number])[]
  ): SerialRuns => {
    const runs = new SerialRuns();
    for (const [first, last, atMs] of added) expect(runs.add(first, last, atMs)).toBe(true);
    return runs;
  };

  it.each([
    [
      'at its upper end',
      [
        [3n, 3n, 5],
        [4n, 4n, 1],
      ],
      5,
    ],
    [
      'at its upper end, later',
      [
        [3n, 3n, 5],
        [4n, 9n, 9],
      ],
      5,
    ],
    [
      'at its lower end',
      [
        [4n, 4n, 5],
        [3n, 3n, 1],
      ],
      5,
    ],
    [
      'at its lower end, later',
      [
        [4n, 4n, 5],
        [3n, 3n, 9],
      ],
      5,
    ],
    [
      'into the next one, whose time is later',
      [
        [3n, 3n, 5],
        [5n, 5n, 7],
        [4n, 4n, 1],
      ],
      5,
    ],
    [
      'into the next one, whose time is earlier',
      [
        [5n, 5n, 5],
        [3n, 3n, 7],
        [4n, 4n, 9],
      ],
      5,
    ],
  ] as const)('tells the age of the hole below a run that grew %s', (_how, added, sinceMs) => {
    const runs = runsOf(...added);
    expect(runs.firstHole(sinceMs)).toBe(1n);
    expect(runs.firstHole(sinceMs - 1)).toBeUndefined();
  });

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

describe('runs of serials', () => {
  it('began with the earlier of two that meet, so that no hole can be made young again', () => {
    const runs = new SerialRuns();
    runs.add(1n, 9n, 0);
    runs.add(21n, 400n, 0);
    expect(runs.firstHole(1000)).toBe(10n);
    runs.add(15n, 15n, 100_000);
    runs.add(16n, 20n, 100_000);
    expect(runs.firstHole(1000)).toBe(10n);
  });
});
