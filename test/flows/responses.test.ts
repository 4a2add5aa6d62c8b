import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  judgeDueLogins,
  respondToLogins,
  takeReport,
  type ReportingHost,
  type ResponseRequest,
} from '../../src/broker/index.ts';
import { parseKrl } from '../../src/ssh/index.ts';
import { alice, boss, startTestBroker, type LoggedInClient, type TestBroker } from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';
import { describeWithPeers } from '../support/peers.ts';

const chief = { login: 'chief', groups: ['admins'], password: 'canary-chief-4Tn6Qw' };
const strangeKey = `SHA256:${'x'.repeat(43)}`;

describeWithPeers(['ssh-keygen'], 'what rules do about logins that nothing explains', () => {
  let outside: string;
  let broker: TestBroker;
  let nowMs = Date.now();
  let nextHost = 1;
  const admins: LoggedInClient[] = [];
  beforeAll(async () => {
    outside = mkdtempSync(join(tmpdir(), 'sallyport-outside-'));
    const script = join(outside, 'quarantine.sh');
    writeFileSync(
      script,
      `#!/bin/sh\ncat > ${outside}/taken\n[ ! -e ${outside}/refuse ] || { echo no such host >&2; exit 3; }\n`,
    );
    chmodSync(script, 0o755);
    broker = await startTestBroker({
      people: [boss, chief, alice],
      clock: { nowMs: () => nowMs },
      directories: `logins:
  responses:
    rules:
      - { verdicts: [unknown_serial], quarantine: edr, live: true }
      - { verdicts: [foreign_ca], quarantine: edr }
      - { verdicts: [static_key], revoke: key, live: true }
      - { verdicts: [password_or_other], revoke: key }
    quarantines:
      - { name: edr, command: [${script}, --now] }
    hosts-per-ten-minutes: 2
`,
    });
    for (const admin of [boss, chief]) admins.push(await broker.loggedIn(admin));
  });
  afterAll(async () => {
    for (const admin of admins) admin.close();
    await broker.stop();
    rmSync(outside, { recursive: true, force: true });
  });

  /** A host that nobody saw yet reports a login, and time passes until it is judged. */
  const seen = async (what: 'unknown_serial' | 'foreign_ca' | 'static_key', host?: ReportingHost) => {
    const { rooms } = broker.running;
    const id = `h-${nextHost}`;
    const on: ReportingHost = host ?? { id, name: `web${nextHost}.example.com`, accounts: new Map() };
    nextHost += 1;
    const ca = what === 'foreign_ca' ? strangeKey : rooms.issuer.caFingerprint;
    const tail =
      what === 'static_key' ? `RSA ${strangeKey}` : `RSA-CERT ${strangeKey} ID x (serial 4711) CA RSA ${ca}`;
    const line = `Accepted publickey for root from 192.0.2.9 port 1 ssh2: ${tail}`;
    const { next } = await rooms.store.reportPosition(on.id, 'b');
    await takeReport(rooms, on, { boot: 'b', events: [{ kind: 'login', seq: next, atMs: nowMs, line }] });
    nowMs += 30_000;
    await respondToLogins(rooms, await judgeDueLogins(rooms, async () => on));
    return on;
  };
  const requestFor = async ({ id }: ReportingHost): Promise<ResponseRequest | undefined> =>
    (await broker.running.rooms.store.responseRequests(0, 100)).find(({ hostId }) => hostId === id);
  const decide = (nth: number, id: string, approve = true) =>
    (admins[nth] as LoggedInClient).decideResponse({ id, approve });

  it('is asked for by the broker and done only after two administrators approved, once', async () => {
    const host = await seen('unknown_serial');
    const { id } = (await requestFor(host)) as ResponseRequest;
    await seen('unknown_serial', host);
    expect(await broker.running.rooms.store.responseRequests(0, 100)).toHaveLength(1);
    expect(await admins[0]?.responses()).toMatchObject([
      { id, state: 'waiting', approvals: [], verdict: 'unknown_serial' },
    ]);

    expect(await decide(0, id)).toMatchObject({ state: 'waiting' });
    expect(await codeOf(decide(0, id))).toBe('responses.approved_already');
    expect(existsSync(join(outside, 'taken'))).toBe(false);
    expect(await decide(1, id)).toMatchObject({ state: 'executed' });
    expect(await codeOf(decide(1, id))).toBe('responses.not_open');

    const [document = '', ...signature] = readFileSync(join(outside, 'taken'), 'utf8').split('\n');
    const asked = JSON.parse(document) as Record<string, string>;
    expect(asked).toMatchObject({
      id,
      host_id: host.id,
      host_name: host.name,
      verdict: 'unknown_serial',
      quarantine: 'edr',
    });
    writeFileSync(
      join(outside, 'signers'),
      `sallyport ${broker.running.rooms.authority.listKey.publicKey}\n`,
    );
    writeFileSync(join(outside, 'sig'), signature.join('\n'));
    const verify = ['-Y', 'verify', '-f', join(outside, 'signers'), '-I', 'sallyport'];
    const namespace = ['-n', 'quarantine-request@sallyport', '-s', join(outside, 'sig')];
    expect(
      execFileSync('ssh-keygen', [...verify, ...namespace], { input: document, encoding: 'utf8' }),
    ).toContain('Good');
  });

  it('fails aloud when the outside does not take it, and is not tried again by itself', async () => {
    writeFileSync(join(outside, 'refuse'), '');
    const host = await seen('unknown_serial');
    const { id } = (await requestFor(host)) as ResponseRequest;
    await decide(0, id);
    expect(await codeOf(decide(1, id))).toBe('responses.refused');
    expect(await requestFor(host)).toMatchObject({ state: 'failed' });
    rmSync(join(outside, 'refuse'));
    const found = await broker.running.rooms.store.searchLog({ type: 'response.execute', limit: 9 });
    expect(
      found.map(({ bytes }) => (JSON.parse(bytes.toString('utf8')) as { outcome: string }).outcome),
    ).toEqual(['failure', 'success']);
  });

  it('is held for the third host within ten minutes, and can then only be rejected', async () => {
    const host = await seen('unknown_serial');
    const { id, state } = (await requestFor(host)) as ResponseRequest;
    expect(state).toBe('held');
    expect(await codeOf(decide(0, id))).toBe('responses.held');
    expect(await decide(0, id, false)).toMatchObject({ state: 'rejected' });
    nowMs += 600_000;
    expect(await requestFor(await seen('unknown_serial'))).toMatchObject({ state: 'waiting' });
  });

  it('is only rehearsed where the rule is not live', async () => {
    const host = await seen('foreign_ca');
    const { id, state } = (await requestFor(host)) as ResponseRequest;
    expect(state).toBe('rehearsed');
    expect(await codeOf(decide(0, id))).toBe('responses.not_open');
    expect(await codeOf(decide(0, 'q-0000000000000000'))).toBe('responses.unknown');
  });

  it('is asked for in earnest although it was rehearsed before', async () => {
    // Past the hour in which the other hosts of this file were flagged.
    nowMs += 3_600_001;
    const host = await seen('foreign_ca');
    await seen('unknown_serial', host);
    const states = (await broker.running.rooms.store.responseRequests(0, 100))
      .filter(({ hostId }) => hostId === host.id)
      .map(({ state }) => state);
    expect(states.toSorted()).toEqual(['rehearsed', 'waiting']);
  });

  it('revokes a key for good, in the list that hosts fetch', async () => {
    const admin = admins[0] as LoggedInClient;
    expect(parseKrl(await admin.krl()).sha256).toHaveLength(0);
    await seen('static_key');
    expect(parseKrl(await admin.krl()).sha256).toHaveLength(1);
    expect(await broker.running.rooms.store.revokedKey(strangeKey)).toMatchObject({
      reason: expect.stringContaining('static_key') as string,
    });
  });
});
