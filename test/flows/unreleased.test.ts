import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyBundle } from '../../src/accounting/verify/index.ts';
import type { BrokerClient } from '../../src/doors/client/index.ts';
import { initWitness } from '../../src/main/operator/witness.ts';
import { formatPublicKey, parseKrl, parsePublicKey, publicKeyFromKeyObject } from '../../src/ssh/index.ts';
import { ask } from '../doors/http/support.ts';
import { alice, boss, makeBrokerFolder, type BrokerFolder } from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';
import { freePort } from '../support/free-port.ts';
import { parseMetrics } from '../support/prometheus.ts';
import {
  bundleOf,
  clientWith,
  logInTo,
  runSallyport,
  serve,
  type HeldSession,
  type Served,
  type Spoken,
} from '../support/serve.ts';

const policy = `version: 1
roles:
  admin: {groups: [builtin:admins]}
profiles:
  usual:
    who: {groups: [builtin:users]}
    principals: {from: [{attribute: uid}]}
  sealed:
    who: {groups: [builtin:users]}
    principals: {explicit: [root]}
    require-witness: true
`;

/** Stands before the witness. Once it holds, whoever asks waits for ever. */
interface Gate {
  readonly port: number;
  hold(): void;
  close(): void;
}

async function openGate(to: number): Promise<Gate> {
  const sockets = new Set<Socket>();
  let holding = false;
  const server: Server = createServer((incoming) => {
    sockets.add(incoming.on('error', () => undefined));
    if (holding) return;
    const outgoing = connect(to, '127.0.0.1').on('error', () => incoming.destroy());
    sockets.add(outgoing);
    incoming.pipe(outgoing).pipe(incoming);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const cut = (): void => sockets.forEach((socket) => socket.destroy());
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    hold() {
      holding = true;
      cut();
    },
    close() {
      cut();
      server.close();
    },
  };
}

const key = (): string =>
  formatPublicKey(publicKeyFromKeyObject(generateKeyPairSync('ed25519').publicKey), 'test');

let folder: string;
let made: BrokerFolder;
let logKey: string;
let witness: Spoken;
let gate: Gate;
let broker: Served;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-unreleased-'));
  made = await makeBrokerFolder({ policy, people: [boss, alice] });
  logKey = readFileSync(made.logKeyFile, 'utf8').trim();
  const home = join(folder, 'w1');
  const { value } = await initWitness({ folder: home, name: 'witness.example/w1', logs: [logKey] });
  const { verifierKey, config } = value as { readonly verifierKey: string; readonly config: string };
  const port = await freePort();
  writeFileSync(config, readFileSync(config, 'utf8').replace('8744', String(port)));
  witness = runSallyport(['witness', 'serve', '--config', config]);
  await witness.said(/is ready/);
  gate = await openGate(port);
  writeFileSync(
    join(made.folder, 'witnesses.policy'),
    `witness W1 ${verifierKey} http://127.0.0.1:${gate.port}\nquorum W1\n`,
    { mode: 0o600 },
  );
  const text = readFileSync(made.configFile, 'utf8');
  writeFileSync(made.configFile, text.replace(/^log:$/m, 'log:\n  witnesses: witnesses.policy'));
  broker = await serve(made.configFile);
});
afterAll(async () => {
  gate.close();
  witness.process.kill('SIGKILL');
  await witness.ended();
  await broker.stop();
  made.remove();
  rmSync(folder, { recursive: true, force: true });
});

async function withClient<Value>(
  held: HeldSession,
  work: (client: BrokerClient) => Promise<Value>,
): Promise<Value> {
  const client = clientWith(made, held);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

const sign = (held: HeldSession, profile: string): Promise<{ readonly serial: bigint }> =>
  withClient(held, (client) => client.sign(key(), { profile }));

/** Entries that no quorum has seen yet. */
async function uncovered(): Promise<number> {
  const text = (await ask(made, { path: '/metrics' })).body.toString('utf8');
  const series = new Map([...parseMetrics(text).values()].flatMap((family) => [...family.series]));
  const covered = series.get('sallyport_witness_quorum_entries{quorum="W1"}') ?? 0;
  return (series.get('sallyport_log_entries') ?? 0) - covered;
}

async function listed(serial: bigint): Promise<boolean> {
  const krl = parseKrl((await ask(made, { path: '/v1/krl' })).body);
  const ca = parsePublicKey(readFileSync(made.userCaFile, 'utf8').trim());
  return krl.isRevoked({ key: ca.blob, caKey: ca.blob, serial, keyId: '' }).revoked;
}

describe('a certificate that waits for a quorum', () => {
  it('keeps no revocation waiting, and is revoked at the next start when the broker is killed', async () => {
    const person = await logInTo(made, alice);
    const admin = await logInTo(made, boss);
    const { serial: usual } = await sign(person, 'usual');
    // Nothing is being asked when the witness falls silent, so that the request is not refused before it waits.
    await expect.poll(uncovered, { timeout: 20_000 }).toBe(0);
    gate.hold();
    let ended = false;
    const waiting = codeOf(sign(person, 'sealed')).finally(() => (ended = true));
    const issued = async (): Promise<readonly (readonly unknown[])[]> =>
      (await withClient(admin, (client) => client.issued({ limit: '10' }))).items.map(
        ({ profile, serial, state }) => [profile, serial, state],
      );
    await expect.poll(issued, { timeout: 20_000 }).toContainEqual(['sealed', usual + 1n, 'live']);
    const revoked = await withClient(admin, (client) =>
      client.revoke({
        target: { kind: 'serial', value: String(usual) },
        reason: 'test',
        lock: false,
        apply: true,
      }),
    );
    expect([revoked.applied, await listed(usual), ended]).toEqual([true, true, false]);

    broker.process.kill('SIGKILL');
    await broker.ended();
    expect(await waiting).not.toBe('accepted');
    broker = await serve(made.configFile);
    expect(await listed(usual + 1n)).toBe(true);
    const again = await logInTo(made, boss);
    const { items } = await withClient(again, (client) => client.searchLog({ serial: String(usual + 1n) }));
    expect(items.map(({ entry }) => [entry['type'], entry['reason_code']])).toEqual([
      ['cred.revoke', 'issuance.not_released'],
      ['cred.issue', undefined],
    ]);

    const file = join(folder, 'bundle');
    writeFileSync(file, await bundleOf(made, again));
    expect((await verifyBundle(file, { verifierKey: logKey })).exitCode).toBe(0);
  });
});
