import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyBundle, verifyProof } from '../../src/accounting/verify/index.ts';
import type { BrokerClient } from '../../src/doors/client/index.ts';
import { loadConfig } from '../../src/main/config.ts';
import { loadPolicy } from '../../src/main/load.ts';
import { initWitness } from '../../src/main/operator/witness.ts';
import { formatPublicKey, publicKeyFromKeyObject } from '../../src/ssh/index.ts';
import { alice, boss, makeBrokerFolder, type BrokerFolder } from '../support/broker.ts';
import { ask } from '../doors/http/support.ts';
import { codeOf } from '../support/code-of.ts';
import { freePort } from '../support/free-port.ts';
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
import { parseMetrics } from '../support/prometheus.ts';
import { makeSinkTls, type SinkTls } from '../support/sink-tls.ts';

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

interface WitnessProcess {
  readonly vkey: string;
  readonly port: number;
  start(): Promise<Spoken>;
}

const key = (): string =>
  formatPublicKey(publicKeyFromKeyObject(generateKeyPairSync('ed25519').publicKey), 'test');

let folder: string;
let made: BrokerFolder;
let broker: Served;
let session: HeldSession;
let admin: HeldSession;
let logKey: string;
let policyText: string;
const running = new Map<string, Spoken>();
let silent: Server;

/** The real command’s folder, on a port of its own; the first one speaks TLS. */
async function newWitness(name: string): Promise<WitnessProcess> {
  const home = join(folder, name);
  const { value } = await initWitness({ folder: home, name: `witness.example/${name}`, logs: [logKey] });
  const { verifierKey, config } = value as { readonly verifierKey: string; readonly config: string };
  const port = await freePort();
  const pair = `{ certificate: ${tls.certificateFile('server')}, key: ${tls.keyFile('server')} }`;
  const text = readFileSync(config, 'utf8').replace('8744', String(port));
  writeFileSync(config, name === 'w1' ? text.replace(/^# tls: .*$/m, `tls: ${pair}`) : text);
  return {
    vkey: verifierKey,
    port,
    async start() {
      const process = runSallyport(['witness', 'serve', '--config', config]);
      await process.said(/is ready/);
      running.set(name, process);
      return process;
    },
  };
}

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

const sign = (profile: string): Promise<{ readonly serial: bigint }> =>
  withClient(session, (client) => client.sign(key(), { profile }));

/** What Prometheus reads. */
async function series(): Promise<ReadonlyMap<string, number>> {
  const text = (await ask(made, { path: '/metrics' })).body.toString('utf8');
  return new Map([...parseMetrics(text).values()].flatMap((family) => [...family.series]));
}

/** What `/readyz` says of the witnesses: name and state, and the words behind. */
async function readiness(): Promise<ReadonlyMap<string, string>> {
  const { dependencies } = (await ask(made, { path: '/readyz' })).json() as {
    readonly dependencies: readonly {
      readonly name: string;
      readonly state: string;
      readonly detail: string;
    }[];
  };
  const shown = dependencies.filter(({ name }) => name.startsWith('witness'));
  return new Map(shown.map(({ name, state, detail }) => [name, `${state}: ${detail}`]));
}

let tls: SinkTls;
let witnesses: readonly WitnessProcess[];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-witnesses-'));
  tls = makeSinkTls(join(folder, 'tls'));
  made = await makeBrokerFolder({ policy, people: [boss, alice] });
  logKey = readFileSync(made.logKeyFile, 'utf8').trim();
  witnesses = await Promise.all(['w1', 'w2', 'w3'].map(newWitness));
  // The third takes connections and never answers.
  silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const address = silent.address();
  const silentPort = typeof address === 'object' && address !== null ? address.port : 0;
  const lines = witnesses.map(
    ({ vkey, port }, nth) =>
      `witness W${nth + 1} ${vkey} http${nth === 0 ? 's' : ''}://127.0.0.1:${nth === 2 ? silentPort : port}`,
  );
  policyText = [`log ${logKey}`, ...lines, 'group G 2 W1 W2 W3', 'quorum G', ''].join('\n');
  writeFileSync(join(made.folder, 'witnesses.policy'), policyText, { mode: 0o600 });
  for (const witness of witnesses.slice(0, 2)) await witness.start();
});
afterAll(async () => {
  silent.close();
  for (const process of running.values()) process.process.kill('SIGKILL');
  await Promise.all([...running.values()].map((process) => process.ended()));
  await broker?.stop();
  made.remove();
  rmSync(folder, { recursive: true, force: true });
});

describe('a broker with two witnesses of three', () => {
  it('does not start with a policy that asks for witnesses where there are none', async () => {
    const asks = async (): Promise<unknown> => loadPolicy(loadConfig(made.configFile));
    expect(await codeOf(asks())).toBe('main.no_witness');
    const config = readFileSync(made.configFile, 'utf8');
    writeFileSync(
      made.configFile,
      config.replace(/^log:$/m, `log:\n  witnesses: witnesses.policy\n  witness-ca-file: ${tls.caFile}`),
    );
    writeFileSync(join(made.folder, 'witnesses.policy'), 'quorum none\n', { mode: 0o600 });
    expect(await codeOf(asks())).toBe('main.no_witness');
    writeFileSync(join(made.folder, 'witnesses.policy'), policyText, { mode: 0o600 });
    expect(await codeOf(asks())).toBe('accepted');
  });

  it('hands out a certificate whose entry a quorum has seen', async () => {
    broker = await serve(made.configFile);
    session = await logInTo(made, alice);
    admin = await logInTo(made, boss);
    const { serial } = await sign('sealed');
    expect(serial).toBe(1n);
    const proof = await withClient(session, (client) => client.proof('1'));
    const verdict = verifyProof(proof, { verifierKey: logKey, witnessPolicy: policyText });
    expect(verdict.witnesses).toMatchObject({ state: 'verified' });
    expect(verdict.exitCode).toBe(0);
    const checkpoint = await withClient(session, (client) => client.checkpoint());
    expect(checkpoint.split('\n— ')).toHaveLength(4);
  });

  it('exports what the witnesses have seen', async () => {
    const bundle = await bundleOf(made, admin);
    const file = join(folder, 'bundle');
    writeFileSync(file, bundle);
    const all = await verifyBundle(file, { verifierKey: logKey, witnessPolicy: policyText });
    expect(all.witnesses).toMatchObject({ state: 'verified' });
    expect(all.exitCode).toBe(0);
    const three = policyText.replace('group G 2', 'group G 3');
    expect((await verifyBundle(file, { verifierKey: logKey, witnessPolicy: three })).exitCode).toBe(3);
    const foreign = policyText.replace(`log ${logKey}\n`, '');
    expect((await verifyBundle(file, { verifierKey: logKey, witnessPolicy: foreign })).exitCode).toBe(0);
    expect((await verifyBundle(file, { verifierKey: logKey, witnessPolicy: 'quorum\n' })).exitCode).toBe(2);
  });

  it('shows in metrics and readiness what each of them has cosigned, and when', async () => {
    const metrics = await series();
    expect(metrics.get('sallyport_witness_quorum{quorum="G"}')).toBe(1);
    expect(metrics.get('sallyport_witness_quorum_entries{quorum="G"}')).toBeGreaterThan(1);
    for (const witness of ['W1', 'W2']) {
      expect(metrics.get(`sallyport_witness_up{witness="${witness}"}`)).toBe(1);
      expect(metrics.get(`sallyport_witness_cosigned_entries{witness="${witness}"}`)).toBeGreaterThan(1);
      expect(
        metrics.get(`sallyport_witness_cosigned_timestamp_seconds{witness="${witness}"}`),
      ).toBeGreaterThan(1e9);
    }
    // The third has said nothing yet, or was given up.
    expect(metrics.get('sallyport_witness_up{witness="W3"}')).toBeLessThan(1);
    expect(metrics.has('sallyport_witness_cosigned_entries{witness="W3"}')).toBe(false);
    const shown = await readiness();
    expect(shown.get('witnesses')).toMatch(/^up: a quorum has cosigned \d+ entries$/);
    expect(shown.get('witness:W1')).toMatch(/^up: cosigned \d+ entries \d+ s ago$/);
    expect(shown.get('witness:W3')).toMatch(/^(?:unknown|down): has cosigned nothing yet/);
  });

  it('revokes what it cannot hand out when a witness was killed, and lets nothing else wait', async () => {
    const [victim] = [running.get('w1')];
    victim?.process.kill('SIGKILL');
    await victim?.ended();
    const refused = sign('sealed');
    const told = codeOf(refused);
    const startedMs = Date.now();
    await sign('usual');
    const rehearsed = await withClient(admin, (client) =>
      client.revoke({ target: { kind: 'serial', value: '1' }, reason: 'test', lock: false, apply: true }),
    );
    expect(rehearsed.applied).toBe(true);
    expect(Date.now() - startedMs).toBeLessThan(8000);
    expect(await told).toBe('accounting.no_quorum');
    const issued = await withClient(admin, (client) => client.issued({ limit: '10' }));
    const withdrawn = issued.items.find(({ serial }) => serial === 2n);
    expect([withdrawn?.profile, withdrawn?.state]).toEqual(['sealed', 'revoked']);
    const { items } = await withClient(admin, (client) => client.searchLog({ serial: '2' }));
    expect(items.map(({ entry }) => [entry['type'], entry['reason_code']])).toEqual([
      ['cred.revoke', 'accounting.no_quorum'],
      ['cred.issue', undefined],
    ]);
  });

  it('then refuses at once, before anything is issued', async () => {
    const issued = async (): Promise<unknown[]> =>
      (await withClient(admin, (client) => client.issued({ limit: '10' }))).items.map(({ serial }) => serial);
    const before = await issued();
    session = await logInTo(made, alice);
    expect(await codeOf(sign('sealed'))).toBe('accounting.no_quorum');
    expect(await issued()).toEqual(before);
    const { items } = await withClient(admin, (client) => client.searchLog({ type: 'cred.issue_denied' }));
    expect(items.map(({ entry }) => entry['reason_code'])).toEqual(['accounting.no_quorum']);
    expect((await series()).get('sallyport_witness_quorum{quorum="G"}')).toBe(0);
    const shown = await readiness();
    expect(shown.get('witnesses')).toMatch(/^down: no quorum: certificates that must wait .* are refused; /);
    expect(shown.get('witness:W1')).toMatch(
      /^down: cosigned .*nothing listens there.* \(witness\.unreachable\)$/,
    );
  });

  it('goes on when the killed witness is back with what it remembers', async () => {
    await witnesses[0]?.start();
    // Its pause grows while it is down: until the next attempt, nothing is to be had.
    session = await logInTo(made, alice);
    await expect.poll(() => codeOf(sign('sealed')), { timeout: 60_000, interval: 1000 }).toBe('accepted');
    const { items } = await withClient(admin, (client) => client.searchLog({ type: 'witness.recover' }));
    expect(items.map(({ entry }) => entry['target'])).toEqual([{ kind: 'witness', value: 'W1' }]);
  });

  it('is told by its witness when a second one is started on the same state', async () => {
    const twin = runSallyport(['witness', 'serve', '--config', join(folder, 'w2', 'witness.yaml')]);
    expect(await twin.ended()).toBe(1);
    expect(twin.stderr()).toContain('Another witness runs');
  });
});
