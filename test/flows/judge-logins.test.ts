import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyBundle } from '../../src/accounting/verify/index.ts';
import { judgeDueLogins, takeReport, type ReportingHost } from '../../src/broker/index.ts';
import type { ReportedEvent } from '../../src/hosts/index.ts';
import {
  fingerprint,
  formatPublicKey,
  parseCertificate,
  publicKeyFromKeyObject,
  type Certificate,
} from '../../src/ssh/index.ts';
import { alice, boss, startTestBroker, type TestBroker } from '../support/broker.ts';

const web1: ReportingHost = {
  id: 'h-web1',
  name: 'web1.example.com',
  accounts: new Map([['deploy', ['alice', 'release-team']]]),
};

describe('logins that a host reports', () => {
  let broker: TestBroker;
  let held: Certificate;
  let keyFingerprint: string;
  let nowMs = Date.now();
  let next = 1n;
  beforeAll(async () => {
    broker = await startTestBroker({ clock: { nowMs: () => nowMs } });
    const client = await broker.loggedIn(alice);
    const key = publicKeyFromKeyObject(generateKeyPairSync('ed25519').publicKey);
    keyFingerprint = fingerprint(key.blob);
    held = parseCertificate((await client.sign(formatPublicKey(key), { ttlSeconds: 3600 })).certificate);
    client.close();
  });
  afterAll(() => broker.stop());

  const certificateTail = (
    over: { key?: string; id?: string; serial?: bigint; ca?: string } = {},
  ): string => {
    const { key = keyFingerprint, id = held.keyId, serial = held.serial } = over;
    const ca = over.ca ?? broker.running.rooms.issuer.caFingerprint;
    return `publickey for ACCOUNT from 192.0.2.7 port 4711 ssh2: ED25519-CERT ${key} ID ${id} (serial ${serial}) CA ED25519 ${ca}`;
  };
  const login = (line: string, atMs = nowMs): ReportedEvent => {
    const event: ReportedEvent = { kind: 'login', seq: next, atMs, line: `Accepted ${line}` };
    next += 1n;
    return event;
  };
  const report = (...events: readonly ReportedEvent[]): Promise<bigint> =>
    takeReport(broker.running.rooms, web1, { boot: 'b1', events });
  const judge = () => judgeDueLogins(broker.running.rooms, async () => web1);
  /** Entries of that type, the newest first, as the log has them. */
  const logged = async (type: string): Promise<readonly Record<string, Record<string, string>>[]> => {
    const found = await broker.running.rooms.store.searchLog({ type, limit: 50 });
    return found.map(
      ({ bytes }) => JSON.parse(bytes.toString('utf8')) as Record<string, Record<string, string>>,
    );
  };

  it('that a certificate explains are entries at once, with its bearer', async () => {
    expect(await report(login(certificateTail().replace('ACCOUNT', 'alice')))).toBe(2n);
    const [entry] = await logged('login.seen');
    const [person] = await broker.running.rooms.store.personsByLogin('alice');
    expect(entry).toMatchObject({
      outcome: 'success',
      subject: { uid: person?.personId },
      target: { kind: 'host', host_id: 'h-web1', name: 'web1.example.com' },
      login: { verdict: 'explained', account: 'alice', method: 'publickey', boot: 'b1', seq: '1' },
      cred: { serial: String(held.serial), key_id: held.keyId },
    });
    expect(await report(login(certificateTail().replace('ACCOUNT', 'deploy')))).toBe(3n);
    expect(await judge()).toEqual([]);
  });

  it('that nothing explains wait for what may be on its way, and are judged then', async () => {
    const cases: readonly (readonly [verdict: string, event: ReportedEvent])[] = [
      ['unknown_serial', login(certificateTail({ serial: 4711n }).replace('ACCOUNT', 'alice'))],
      ['mismatch', login(certificateTail({ key: `SHA256:${'x'.repeat(43)}` }).replace('ACCOUNT', 'alice'))],
      ['mismatch', login(certificateTail({ id: 'forged' }).replace('ACCOUNT', 'alice'))],
      ['foreign_ca', login(certificateTail({ ca: `SHA256:${'x'.repeat(43)}` }).replace('ACCOUNT', 'alice'))],
      ['principal_mismatch', login(certificateTail().replace('ACCOUNT', 'root'))],
      ['out_of_window', login(certificateTail().replace('ACCOUNT', 'alice'), nowMs + 3_700_000)],
      ['static_key', login(`publickey for alice from 192.0.2.7 port 1 ssh2: RSA SHA256:${'x'.repeat(43)}`)],
      ['password_or_other', login('password for alice from 192.0.2.7 port 1 ssh2')],
      ['unreadable', login('publickey for alice from 192.0.2.7 port 1 ssh2: ED25519-CERT SHA256:cut')],
    ];
    await report(...cases.map(([, event]) => event));
    expect(await judge()).toEqual([]);
    nowMs += 30_000;
    const judged = await judge();
    expect(judged.map(({ verdict }) => verdict)).toEqual(cases.map(([verdict]) => verdict));
    const entries = (await logged('login.unexplained')).toReversed();
    expect(entries.map(({ reason_code: code }) => code)).toEqual(
      cases.map(([verdict]) => `hosts.${verdict}`),
    );
    expect(await judge()).toEqual([]);
  });

  it('with a revoked certificate are explained as long as the list may be on its way, and no longer', async () => {
    const admin = await broker.loggedIn(boss);
    const target = { kind: 'serial', value: String(held.serial) } as const;
    await admin.revoke({ target, reason: 'lost', lock: false, apply: true });
    admin.close();
    const line = certificateTail().replace('ACCOUNT', 'alice');
    await report(login(line, nowMs + 60_000), login(line, nowMs + 60_001));
    nowMs += 31_000;
    expect((await judge()).map(({ verdict }) => verdict)).toEqual(['revoked_used']);
  });

  it('are taken once, and what is missing is an entry', async () => {
    const before = (await logged('login.seen')).length;
    const again = login(certificateTail().replace('ACCOUNT', 'alice'), nowMs - 60_000);
    await report(again);
    expect(await report(again)).toBe(next);
    expect((await logged('login.seen')).length).toBe(before + 1);
    next += 3n;
    await report(
      { kind: 'gap', seq: next, atMs: nowMs, why: 'journal-rotated' },
      { kind: 'session', seq: next + 1n, atMs: nowMs, what: 'ended', serial: held.serial, caFingerprint: broker.running.rooms.issuer.caFingerprint, account: 'alice' },
    ); // prettier-ignore
    next += 2n;
    expect(
      (await logged('host.feed_gap')).map(({ gap }) => [gap?.['from'], gap?.['to'], gap?.['why']]),
    ).toEqual([
      [String(next - 2n), String(next - 2n), 'journal-rotated'],
      [String(next - 5n), String(next - 3n), 'not-reported'],
    ]);
    expect((await logged('host.session'))[0]).toMatchObject({ session: { what: 'ended', account: 'alice' } });
    expect((await broker.running.rooms.store.reportPosition('h-web1', 'b1')).next).toBe(next);
  });

  it('leave a log that verifies whole', async () => {
    const admin = await broker.loggedIn(boss);
    const bundle = join(broker.folder, 'log.bundle');
    const chunks: Buffer[] = [];
    for await (const chunk of await admin.exportLog({})) chunks.push(chunk);
    admin.close();
    writeFileSync(bundle, Buffer.concat(chunks));
    const verdict = await verifyBundle(bundle, {
      verifierKey: readFileSync(broker.logKeyFile, 'utf8').trim(),
    });
    expect([verdict.exitCode, verdict.completeness.state]).toEqual([0, 'verified']);
  });

  it('are found by their host and by the account', async () => {
    const { store } = broker.running.rooms;
    expect((await store.searchLog({ host: 'web1.example.com', principal: 'root', limit: 9 })).length).toBe(1);
    expect((await store.searchLog({ host: 'h-web1', type: 'login.seen', limit: 9 })).length).toBeGreaterThan(
      1,
    );
  });
});
