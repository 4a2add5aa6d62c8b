import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateProofKey, signProof } from '../src/doors/client/index.ts';
import type { ProofKey } from '../src/doors/client/index.ts';
import { systemRandom } from '../src/kernel/index.ts';
import { formatPublicKey, publicKeyFromKeyObject } from '../src/ssh/index.ts';
import { alice, auditor, bob, boss, clientOf, makeBrokerFolder } from '../test/support/broker.ts';
import type { BrokerFolder } from '../test/support/broker.ts';
import { openLoad } from './http-load.ts';
import type { LoadOptions, LoadRequest } from './http-load.ts';
import type { Contender } from './measure.ts';
import { startChildServer } from './servers/child-server.ts';
import type { ChildServer } from './servers/child-server.ts';
import { newEd25519 } from './signing.ts';

const root = fileURLToPath(new URL('../', import.meta.url));

/** A script of the project, e.g. `bench/servers/keygen-server.ts`. */
export function scriptAt(path: string): string {
  return join(root, path);
}

/** `sallyport serve`, a process of its own. */
export function startServe({ configFile }: Pick<BrokerFolder, 'configFile'>): Promise<ChildServer> {
  return startChildServer(scriptAt('bin/sallyport'), ['serve', '--config', configFile]);
}

/** A broker's folder whose hourly limit for each person is out of the way: three people ask for everything here. */
export async function makeUnlimitedFolder(): Promise<BrokerFolder> {
  const made = await makeBrokerFolder({ people: [boss, alice, bob, auditor] });
  const config = readFileSync(made.configFile, 'utf8');
  writeFileSync(made.configFile, config.replace(/(certificates-per-hour:) \d+/, '$1 1000000000'));
  return made;
}

/** Requests to one server over connections that are kept. */
export interface Load {
  readonly contender: Contender;
  /** Milliseconds of every request of every round. */
  readonly latencies: readonly number[];
  close(): void;
}

/** A load whose requests are made before the clock runs: the client's own signatures are not what is measured. */
export function loadOf(
  options: LoadOptions,
  server: ChildServer | undefined,
  makeRequests: () => readonly LoadRequest[],
): Load {
  const load = openLoad(options);
  const latencies: number[] = [];
  let ready: readonly LoadRequest[] = [];
  return {
    latencies,
    close: () => load.close(),
    contender: {
      prepare() {
        ready = makeRequests();
      },
      async run() {
        for (const milliseconds of await load.send(ready)) latencies.push(milliseconds);
        return ready.length;
      },
      cpuSeconds: () => server?.cpuSeconds() ?? NaN,
    },
  };
}

/** Three people with a session each, who ask the broker for `count` certificates a round, for as many keys as there are connections. */
export async function brokerLoad(
  made: BrokerFolder,
  server: ChildServer | undefined,
  { count, connections }: { readonly count: number; readonly connections: number },
): Promise<Load> {
  const people: { readonly token: string; readonly proofKey: ProofKey }[] = [];
  for (const { login, password } of [boss, alice, bob]) {
    const proofKey = generateProofKey();
    const client = clientOf(made);
    const { token } = await client.login({ login, password }, proofKey);
    client.close();
    people.push({ token, proofKey });
  }
  const url = new URL('/v1/ssh/sign', made.url);
  const bodies = publicKeys(connections).map((publicKey) => JSON.stringify({ publicKey }));
  const ca = readFileSync(made.caFile, 'utf8');
  return loadOf({ port: made.port, ca, connections, expected: 201 }, server, () =>
    Array.from({ length: count }, (_, i) => {
      const { token, proofKey } = people[i % people.length] ?? { token: '', proofKey: generateProofKey() };
      const body = bodies[i % bodies.length] ?? '';
      return { path: url.pathname, headers: headersFor(url, token, proofKey), body };
    }),
  );
}

function headersFor(url: URL, token: string, proofKey: ProofKey): Record<string, string> {
  const dpop = signProof(proofKey, { method: 'POST', url, token, nowMs: Date.now(), random: systemRandom });
  return { 'content-type': 'application/json', authorization: `DPoP ${token}`, dpop };
}

/** Fresh Ed25519 keys, one line each. */
export function publicKeys(count: number): string[] {
  return Array.from({ length: count }, () => formatPublicKey(publicKeyFromKeyObject(newEd25519().publicKey)));
}

/** A broker runs for months, and V8 takes some ten thousand requests to compile it well. */
export async function warmUp(loads: readonly Load[], times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    for (const { contender } of loads) {
      await contender.prepare?.();
      await contender.run();
    }
  }
}
