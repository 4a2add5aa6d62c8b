import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { verifyBundle } from '../../src/accounting/verify/index.ts';
import { generateProofKey, signProof, type BrokerClient } from '../../src/doors/client/index.ts';
import { systemRandom } from '../../src/kernel/index.ts';
import { formatPublicKey, parseCertificate, parseKrl, publicKeyFromKeyObject } from '../../src/ssh/index.ts';
import { alice, bob, boss, clientOf, type BrokerFolder } from '../support/broker.ts';
import { describeWithPeers } from '../support/peers.ts';
import { brokersOnPostgres, serveAll, type SharedBrokers } from '../support/postgres-brokers.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { bundleOf, clientWith, logInTo, serve, type HeldSession, type Served } from '../support/serve.ts';

const newKey = (): string =>
  formatPublicKey(publicKeyFromKeyObject(generateKeyPairSync('ed25519').publicKey), 'held');
const codeOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (error as { code?: string }).code ?? String(error),
  );

describeWithPeers(['postgres', 'psql'], 'two brokers on one PostgreSQL database', () => {
  let server: PostgresServer;
  let brokers: SharedBrokers;
  let running: Served[] = [];
  const clients: BrokerClient[] = [];
  const folder = (nth: number): BrokerFolder => brokers.folders[nth] as BrokerFolder;
  const client = (nth: number, session: HeldSession): BrokerClient => {
    const made = clientWith(folder(nth), session);
    clients.push(made);
    return made;
  };

  beforeAll(async () => {
    server = await startPostgres();
    brokers = await brokersOnPostgres(server, 2);
    running = await serveAll(brokers);
  });
  afterAll(async () => {
    for (const open of clients) open.close();
    await Promise.all(running.map((broker) => broker.stop()));
    brokers.remove();
    await server.close();
  });

  it('know each other’s sessions, and their end', async () => {
    const session = await logInTo(folder(0), alice);
    const [first, second] = [client(0, session), client(1, session)];
    const key = newKey();
    const serials = [];
    for (const from of [first, second, first, second])
      serials.push(parseCertificate((await from.sign(key, {})).certificate).serial);
    expect(new Set(serials).size).toBe(4);
    await second.logout();
    expect(await codeOf(first.sign(key, {}))).toBe('identity.session_unknown');
  });

  it('serve the list that the other one published, within a second or two, and publish it once', async () => {
    const person = await logInTo(folder(0), bob);
    const { certificate } = await client(0, person).sign(newKey(), {});
    const { serial } = parseCertificate(certificate);
    const admin = client(0, await logInTo(folder(0), boss));
    const other = client(1, person);
    const before = parseKrl(await other.krl()).version;
    const target = { kind: 'serial', value: String(serial) } as const;
    const revokedAtMs = performance.now();
    await admin.revoke({ target, reason: 'lost', lock: false, apply: true });
    let list = parseKrl(await other.krl());
    while (list.version === before && performance.now() - revokedAtMs < 5000) {
      await delay(20);
      list = parseKrl(await other.krl());
    }
    expect(performance.now() - revokedAtMs).toBeLessThan(2500);
    expect(list.certificates[0]?.serials.firsts).toContain(serial);
    expect(list.version).toBe(before + 1n);
    expect(await codeOf(other.sign(newKey(), {}))).toBe('identity.session_unknown');
  });

  it('refuse a proof that was used at the other one', async () => {
    const session = await logInTo(folder(0), alice);
    const url = new URL('/v1/session', folder(0).url);
    const { proofKey, token } = session;
    const proof = signProof(proofKey, { method: 'GET', url, token, nowMs: Date.now(), random: systemRandom });
    const ask = async (nth: number): Promise<number | undefined> => {
      const { port, caFile } = folder(nth);
      const headers = { authorization: `DPoP ${token}`, dpop: proof };
      const asked = request({
        port,
        host: '127.0.0.1',
        path: url.pathname,
        headers,
        ca: readFileSync(caFile),
      });
      asked.end();
      const [answer] = (await once(asked, 'response')) as [import('node:http').IncomingMessage];
      answer.resume();
      return answer.statusCode;
    };
    expect(await ask(0)).toBe(200);
    expect(await ask(1)).toBe(401);
    expect(await ask(0)).toBe(401);
  });

  it('slow down together whoever guesses by turns at both', async () => {
    const login = { login: 'nobody-at-all', password: 'wrong wrong wrong' };
    const answers: string[] = [];
    for (let turn = 0; turn < 5; turn += 1) {
      const guesser = clientOf(folder(turn % 2));
      answers.push(await codeOf(guesser.login(login, generateProofKey())));
      guesser.close();
    }
    const wrong = 'identity.login_refused';
    expect(answers).toEqual([wrong, wrong, wrong, 'identity.throttled', 'identity.throttled']);
  });

  it('lose nothing when one of them, or the server, is killed again and again under load', async () => {
    const total = Number(process.env['SALLYPORT_TEST_ISSUANCES'] ?? 1500);
    const sessions = await Promise.all([0, 1].map(() => logInTo(folder(1), alice)));
    const admin = await logInTo(folder(1), boss);
    const held: string[] = [];
    const revoked: bigint[] = [];
    const key = newKey();
    const state = { over: false };
    const issue = async (nth: number): Promise<void> => {
      const from = clientWith(folder(nth), sessions[nth] as HeldSession);
      while (!state.over && held.length < total) {
        try {
          held.push((await from.sign(key, { ttlSeconds: 600 })).certificate);
        } catch {
          // It died, or it is not up yet.
          await delay(50);
        }
      }
      from.close();
    };
    // Of somebody else: a revocation ends the sessions of whoever is behind it.
    const doomed: bigint[] = [];
    const doomedSession = await logInTo(folder(1), bob);
    const collecting = clientWith(folder(1), doomedSession);
    for (let count = 0; count < 100; count += 1) {
      const { certificate } = await collecting.sign(key, { ttlSeconds: 600 });
      doomed.push(parseCertificate(certificate).serial);
    }
    collecting.close();
    const revoke = async (): Promise<void> => {
      const from = clientWith(folder(1), admin);
      while (!state.over && held.length < total) {
        const serial = doomed.pop();
        if (serial === undefined) break;
        const target = { kind: 'serial', value: String(serial) } as const;
        const answer = await codeOf(from.revoke({ target, reason: 'x', lock: false, apply: true }));
        if (answer === 'done') revoked.push(serial);
      }
      from.close();
    };
    const kill = async (): Promise<void> => {
      for (let round = 1; held.length < total; round += 1) {
        await delay(300 + Math.random() * 1500);
        if (round % 3 === 0) {
          await server.kill();
          await server.start();
          continue;
        }
        const [broker] = running;
        if (broker === undefined || held.length >= total) return;
        const gone = once(broker.process, 'exit');
        broker.process.kill('SIGKILL');
        await gone;
        running[0] = await serve(folder(0).configFile);
      }
    };
    await Promise.all([...Array.from({ length: 12 }, (_, at) => issue(at % 2)), kill(), revoke()]);
    state.over = true;

    // As if a minute went by since the dead ones were last seen.
    server.sql(
      brokers.database,
      `UPDATE broker_lease SET seen_at = seen_at - interval '5 minutes' WHERE seen_at < now() - interval '8 seconds'`,
    );
    const voided = (): boolean =>
      server.sql(
        brokers.database,
        'SELECT count(*) FROM serial_block b WHERE NOT EXISTS (SELECT 1 FROM broker_lease l WHERE l.owner = b.owner)',
      ) === '0';
    for (const endMs = Date.now() + 30_000; !voided() && Date.now() < endMs;) await delay(100);
    expect(voided()).toBe(true);
    for (const broker of running) expect(await broker.stop()).toBe(0);
    running = await Promise.all(brokers.folders.map(({ configFile }) => serve(configFile)));

    const bytes = await bundleOf(folder(1), admin);
    const bundle = join(folder(1).folder, 'log.bundle');
    writeFileSync(bundle, bytes);
    const verdict = await verifyBundle(bundle, {
      verifierKey: readFileSync(folder(1).logKeyFile, 'utf8').trim(),
    });
    expect([verdict.exitCode, verdict.completeness]).toMatchObject([0, { state: 'verified' }]);

    const logged = new Set(
      [...bytes.toString('utf8').matchAll(/^\{.*"type":"cred\.issue".*\}$/gm)].map(([line]) => {
        const { cred } = JSON.parse(line) as { cred: { serial: string; key_id: string } };
        return `${cred.serial} ${cred.key_id}`;
      }),
    );
    const certificates = held.map(parseCertificate);
    expect(certificates.filter(({ serial, keyId }) => !logged.has(`${serial} ${keyId}`))).toEqual([]);
    expect(new Set(certificates.map(({ serial }) => serial)).size).toBe(held.length);
    const open = clientWith(folder(0), admin);
    const [section] = parseKrl(await open.krl()).certificates;
    open.close();
    const runs = section?.serials;
    const isListed = (serial: bigint): boolean =>
      runs?.firsts.some((first, at) => first <= serial && serial <= (runs.lasts[at] ?? 0n)) === true;
    expect(revoked.length).toBeGreaterThan(0);
    expect(revoked.filter((serial) => !isListed(serial))).toEqual([]);
    const published = [...bytes.toString('utf8').matchAll(/^\{.*"type":"krl\.publish".*\}$/gm)].map(
      ([line]) => Number((JSON.parse(line) as { artifact: { version: string } }).artifact.version),
    );
    expect(published).toEqual(published.map((_, at) => at + 1));
  }, 240_000);
});
