import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeProof, inclusionProof } from '../../src/accounting/index.ts';
import {
  maxProofBytes,
  verifyProof,
  type HeldCertificate,
  type HeldTlsCertificate,
} from '../../src/accounting/verify/index.ts';
import { caFp, dayDraft, dayDrafts, makeLog, newSigner, type TestLog } from './log-fixture.ts';

/** The receipt of an entry in the log as it stood at a size that a checkpoint was signed for. */
async function receipt(log: TestLog, index: number, size = log.entries.length): Promise<string> {
  const path = await inclusionProof(BigInt(index), BigInt(size), log.readTile);
  const entry = log.entries[index]?.bytes ?? Buffer.alloc(0);
  return encodeProof({ index: BigInt(index), entry, path, checkpoint: log.checkpoints.get(size) ?? '' });
}
const judge = (text: string, log: TestLog) => verifyProof(text, { verifierKey: log.key });

/** Entry 2 of the day is the issue of serial 1. */
const issue = 2;

describe('a receipt', () => {
  it('verifies for every entry at every size that was signed', async () => {
    const log = makeLog(dayDrafts(120));
    for (const size of log.checkpoints.keys())
      for (let index = 0; index < size; index += 1)
        expect(judge(await receipt(log, index, size), log), `${index} of ${size}`).toMatchObject({
          exitCode: 0,
          facts: { index: BigInt(index), size: BigInt(size) },
        });
  });

  it('is refused with any one byte changed', async () => {
    const log = makeLog(dayDrafts(40));
    const bytes = Buffer.from(await receipt(log, issue), 'utf8');
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 0x01;
      expect(judge(changed.toString('utf8'), log).exitCode, `byte ${at}`).not.toBe(0);
    }
  });

  it('is incomplete, or nothing, wherever it is cut', async () => {
    const log = makeLog(dayDrafts(40));
    const text = await receipt(log, issue);
    for (let length = 0; length < text.length; length += 1) {
      const { exitCode } = judge(text.slice(0, length), log);
      expect(exitCode, `at ${length}`).not.toBe(0);
    }
    expect(judge('', log).exitCode).toBe(3);
    expect(judge(text.slice(0, 200), log).exitCode).toBe(3);
  });

  it.each<[string, (log: TestLog) => Promise<string>]>([
    [
      'under the index of another',
      async (log) => (await receipt(log, issue)).replace(/^index \d+$/m, 'index 3'),
    ],
    [
      'beyond the end of the log',
      async (log) => (await receipt(log, issue)).replace(/^index \d+$/m, 'index 9999'),
    ],
    [
      'with the path of another',
      async (log) => {
        const [mine, other] = [await receipt(log, issue), await receipt(log, issue + 4)];
        const hashes = (text: string): string => /index \d+\n([^]*?)\n\n/.exec(text)?.[1] ?? '';
        return mine.replace(hashes(mine), hashes(other));
      },
    ],
    [
      'with one hash more',
      async (log) => (await receipt(log, issue)).replace(/(index \d+\n)(.*\n)/, '$1$2$2'),
    ],
    ['with one hash less', async (log) => (await receipt(log, issue)).replace(/(index \d+\n).*\n/, '$1')],
    [
      'with an earlier checkpoint',
      async (log) => (await receipt(log, issue)).replace(log.checkpoint, log.checkpoints.get(36) ?? ''),
    ],
    ['with something behind it', async (log) => `${await receipt(log, issue)}more\n`],
    ['with CRLF', async (log) => (await receipt(log, issue)).replaceAll('\n', '\r\n')],
    ['that is too long', async (log) => (await receipt(log, issue)) + 'x'.repeat(maxProofBytes)],
  ])('is refused %s', async (_what, make) => {
    const log = makeLog(dayDrafts(40));
    expect(judge(await make(log), log)).toMatchObject({ exitCode: 1, integrity: { state: 'failed' } });
  });

  it('is refused of a log that the pinned key did not sign', async () => {
    const log = makeLog(dayDrafts(40));
    const foreign = makeLog(dayDrafts(40), newSigner());
    expect(judge(await receipt(foreign, issue), log).exitCode).toBe(1);
    const named = makeLog(dayDrafts(40), log.signer, 1, 'other.example.com/accounting/1');
    expect(judge(await receipt(named, issue), log).exitCode).toBe(1);
  });

  it('is refused for another certificate than the one that is held', async () => {
    const cred = {
      kind: 'ssh-user',
      serial: '1',
      ca_fp: caFp,
      key_fp: 'SHA256:key',
      key_id: 'sp-1',
      principals: ['guest', 'anna'],
      not_before: '2026-11-30T00:00:00.000Z',
      not_after: '2026-11-30T01:00:00.000Z',
      options: { critical: { 'source-address': '192.0.2.0/24' }, extensions: ['permit-pty', 'a-first'] },
    };
    const log = makeLog([...dayDrafts(2), { ...dayDraft(2), fields: { cred } }, ...dayDrafts(40).slice(3)]);
    const begins = BigInt(Date.UTC(2026, 10, 30) / 1000);
    const held: HeldCertificate = {
      serial: 1n,
      caFingerprint: caFp,
      keyFingerprint: 'SHA256:key',
      kind: 'user',
      keyId: 'sp-1',
      principals: ['guest', 'anna'],
      validAfter: begins,
      validBefore: begins + 3600n,
      criticalOptions: new Map([['source-address', '192.0.2.0/24']]),
      extensions: new Map([
        ['a-first', ''],
        ['permit-pty', ''],
      ]),
    };
    const asked = async (changes: Partial<HeldCertificate>, index = issue) =>
      verifyProof(await receipt(log, index), {
        verifierKey: log.key,
        certificate: { ...held, ...changes },
      }).exitCode;
    expect(await asked({})).toBe(0);
    const others: readonly Partial<HeldCertificate>[] = [
      { serial: 2n },
      { caFingerprint: 'SHA256:other' },
      { keyFingerprint: 'SHA256:other' },
      { kind: 'host' },
      { keyId: 'sp-2' },
      { principals: ['root'] },
      { principals: ['guest', 'anna', 'root'] },
      { principals: ['anna', 'guest'] },
      { principals: ['guest,anna'] },
      { principals: [] },
      { validAfter: 0n },
      { validAfter: begins - 1n },
      { validBefore: begins + 315_360_000n },
      { validBefore: (1n << 64n) - 1n },
      { criticalOptions: new Map() },
      { criticalOptions: new Map([['source-address', '0.0.0.0/0']]) },
      { criticalOptions: new Map([...held.criticalOptions, ['force-command', 'true']]) },
      { criticalOptions: new Map([['toString', '']]) },
      { extensions: new Map([...held.extensions, ['permit-port-forwarding', '']]) },
      { extensions: new Map([['permit-pty', '']]) },
    ];
    for (const [nth, changes] of others.entries()) expect(await asked(changes), `number ${nth}`).toBe(1);
    expect(await asked({}, issue + 4)).toBe(1);
    expect(await asked({}, 1)).toBe(1);
  });

  it('is refused for another certificate for TLS than the one that is held', async () => {
    const cred = {
      kind: 'tls-server',
      serial: `4${'a'.repeat(39)}`,
      ca_fp: caFp,
      key_fp: 'SHA256:key',
      principals: ['as400', 'tn.example.com', '10.1.2.3'],
      not_before: '2026-11-30T00:00:00.000Z',
      not_after: '2027-02-28T00:00:00.000Z',
    };
    const ofKind = (kind: string) => ({ ...dayDraft(2), fields: { cred: { ...cred, kind } } });
    const logOf = (kind: string): TestLog =>
      makeLog([...dayDrafts(2), ofKind(kind), ...dayDrafts(40).slice(3)]);
    const held: HeldTlsCertificate = {
      kind: 'tls',
      serial: cred.serial,
      caFingerprint: caFp,
      keyFingerprint: 'SHA256:key',
      principals: ['10.1.2.3', 'as400', 'tn.example.com'],
      notBefore: BigInt(Date.UTC(2026, 10, 30) / 1000),
      notAfter: BigInt(Date.UTC(2027, 1, 28) / 1000),
    };
    const log = logOf('tls-server');
    const asked = async (changes: Partial<HeldTlsCertificate>, of = log, index = issue) =>
      verifyProof(await receipt(of, index), {
        verifierKey: of.key,
        certificate: { ...held, ...changes },
      }).exitCode;
    expect([await asked({}), await asked({}, logOf('tls-client'))]).toEqual([0, 0]);
    const others: readonly Partial<HeldTlsCertificate>[] = [
      { serial: `4${'b'.repeat(39)}` },
      { serial: held.serial.toUpperCase() },
      { caFingerprint: 'SHA256:other' },
      { keyFingerprint: 'SHA256:other' },
      { principals: [...held.principals, 'www.bank.example'] },
      { principals: held.principals.slice(1) },
      { principals: [] },
      { principals: ['10.1.2.3,as400,tn.example.com'] },
      { notBefore: held.notBefore - 1n },
      { notAfter: held.notAfter + 315_360_000n },
      { notAfter: 1n << 64n },
    ];
    for (const [nth, changes] of others.entries()) expect(await asked(changes), `number ${nth}`).toBe(1);
    for (const kind of ['ssh-user', 'windows-logon', 'tls-other'])
      expect([kind, await asked({}, logOf(kind))]).toEqual([kind, 1]);
    // The issue of an SSH certificate, and what is no issue at all.
    expect([await asked({}, log, issue + 4), await asked({}, log, 1)]).toEqual([1, 1]);
  });

  it('asks for a usable key', async () => {
    const log = makeLog(dayDrafts(4));
    expect(verifyProof(await receipt(log, 1), { verifierKey: 'nonsense' }).exitCode).toBe(2);
  });

  it('gets a verdict whatever the text is', () => {
    const log = makeLog(dayDrafts(4));
    const lines = fc.array(
      fc.oneof(
        fc.constantFrom('', 'c2sp.org/tlog-proof@v1', 'index 0', 'extra e30=', log.checkpoint.trimEnd()),
        fc.string({ unit: 'binary' }),
        fc.base64String(),
      ),
    );
    fc.assert(
      fc.property(lines, (parts) => {
        expect(judge(`c2sp.org/tlog-proof@v1\n${parts.join('\n')}`, log).exitCode).not.toBe(0);
      }),
      { numRuns: 2000, seed: 4711 },
    );
  });
});
