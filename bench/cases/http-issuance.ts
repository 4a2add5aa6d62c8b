import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateProofKey, signProof } from '../../src/doors/client/index.ts';
import type { ProofKey } from '../../src/doors/client/index.ts';
import { systemRandom } from '../../src/kernel/index.ts';
import { formatOpensshPrivateKey, formatPublicKey, publicKeyFromKeyObject } from '../../src/ssh/index.ts';
import { alice, bob, boss, clientOf, makeBrokerFolder } from '../../test/support/broker.ts';
import { freePort } from '../../test/support/free-port.ts';
import type { BrokerFolder } from '../../test/support/broker.ts';
import type { BenchCase } from '../case.ts';
import { openLoad } from '../http-load.ts';
import type { LoadRequest } from '../http-load.ts';
import { median, race, speedRatio } from '../measure.ts';
import type { Contender, Sample } from '../measure.ts';
import type { Row } from '../report.ts';
import { startChildServer } from '../servers/child-server.ts';
import type { ChildServer } from '../servers/child-server.ts';
import { newEd25519, signatureAndProofLoop, signatureLoop } from '../signing.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const connections = 32;

/** Targets 4 and 5: the real broker, in a process of its own, asked over HTTPS keep-alive; beside it the ssh-keygen server. */
export const httpIssuanceCase: BenchCase = {
  name: 'http-issuance',
  async run({ rounds, quick, folder, progress }) {
    const made = await makeUnlimitedFolder();
    const madeForTokens = await makeUnlimitedFolder();
    const servers: ChildServer[] = [];
    const loads: Load[] = [];
    try {
      progress('starting the broker and the ssh-keygen server');
      servers.push(
        await startChildServer(join(root, 'bin/sallyport'), ['serve', '--config', made.configFile]),
      );
      loads.push(await brokerLoad(made, servers[0], quick ? 1000 : 4000));
      const tokenAloneScript = join(root, 'bench/servers/token-alone-broker.ts');
      servers.push(await startChildServer(tokenAloneScript, [madeForTokens.configFile]));
      loads.push(await brokerLoad(madeForTokens, servers[1], quick ? 1000 : 4000));
      const port = await freePort();
      servers.push(await startKeygenServer(folder, port, made));
      loads.push(keygenLoad(port, readFileSync(made.caFile, 'utf8'), servers[2], quick ? 64 : 128));
      const [broker, tokenAlone, keygen] = loads;
      if (broker === undefined || tokenAlone === undefined || keygen === undefined)
        throw new Error('a server is missing');
      progress(
        'warming up: a broker runs for months, and V8 takes some ten thousand requests to compile it well',
      );
      for (let round = 0; round < (quick ? 4 : 6); round += 1) {
        for (const { contender } of [broker, tokenAlone]) {
          await contender.prepare?.();
          await contender.run();
        }
      }
      progress(`${rounds} rounds, ${connections} connections`);
      const { privateKey } = newEd25519();
      const samples = await race(rounds, {
        limit: signatureLoop(privateKey),
        broker: broker.contender,
        limitAgain: signatureLoop(privateKey),
        tokenAlone: tokenAlone.contender,
        limitThird: signatureLoop(privateKey),
        limitWithProof: signatureAndProofLoop(privateKey),
        keygen: keygen.contender,
      });
      return rowsOf(samples, { broker: broker.latencies, tokenAlone: tokenAlone.latencies });
    } finally {
      for (const load of loads) load.close();
      await Promise.all(servers.map((server) => server.stop()));
      made.remove();
      madeForTokens.remove();
    }
  },
};

/** A broker's folder whose hourly limit for each person is out of the way: three people ask for everything here. */
async function makeUnlimitedFolder(): Promise<BrokerFolder> {
  const made = await makeBrokerFolder({ people: [boss, alice, bob] });
  const config = readFileSync(made.configFile, 'utf8');
  writeFileSync(made.configFile, config.replace(/(certificates-per-hour:) \d+/, '$1 1000000000'));
  return made;
}

interface Load {
  readonly contender: Contender;
  /** Milliseconds of every request of every round. */
  readonly latencies: readonly number[];
  close(): void;
}

/** A load whose requests are made before the clock runs: the client's own signatures are not what is measured. */
function loadOf(
  port: number,
  ca: string,
  server: ChildServer | undefined,
  makeRequests: () => readonly LoadRequest[],
): Load {
  const load = openLoad({ port, ca, connections });
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
        latencies.push(...(await load.send(ready)));
        return ready.length;
      },
      cpuSeconds: () => server?.cpuSeconds() ?? NaN,
    },
  };
}

/** Three people with a session each, who ask for certificates for many keys. */
async function brokerLoad(made: BrokerFolder, server: ChildServer | undefined, count: number): Promise<Load> {
  const people: { readonly token: string; readonly proofKey: ProofKey }[] = [];
  for (const { login, password } of [boss, alice, bob]) {
    const proofKey = generateProofKey();
    const client = clientOf(made);
    const { token } = await client.login({ login, password }, proofKey);
    client.close();
    people.push({ token, proofKey });
  }
  const url = new URL('/v1/ssh/sign', made.url);
  const bodies = publicKeys().map((publicKey) => JSON.stringify({ publicKey }));
  const ca = readFileSync(made.caFile, 'utf8');
  return loadOf(made.port, ca, server, () =>
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

function startKeygenServer(folder: string, port: number, made: BrokerFolder): Promise<ChildServer> {
  const caFile = join(folder, 'keygen-ca');
  writeFileSync(caFile, formatOpensshPrivateKey(newEd25519().privateKey, 'ca', systemRandom), {
    mode: 0o600,
  });
  const tls = ['server.pem', 'server.key'].map((name) => join(made.folder, 'tls', name));
  return startChildServer(join(root, 'bench/servers/keygen-server.ts'), [
    folder,
    String(port),
    caFile,
    ...tls,
  ]);
}

function keygenLoad(port: number, ca: string, server: ChildServer | undefined, count: number): Load {
  const headers = { 'content-type': 'application/json', authorization: 'Bearer bench' };
  const bodies = publicKeys().map((publicKey) => JSON.stringify({ publicKey }));
  return loadOf(port, ca, server, () =>
    Array.from({ length: count }, (_, i) => ({
      path: '/sign',
      headers,
      body: bodies[i % bodies.length] ?? '',
    })),
  );
}

function publicKeys(): string[] {
  return Array.from({ length: connections }, () =>
    formatPublicKey(publicKeyFromKeyObject(newEd25519().publicKey)),
  );
}

type Samples = Record<
  'limit' | 'broker' | 'limitAgain' | 'tokenAlone' | 'limitThird' | 'limitWithProof' | 'keygen',
  readonly Sample[]
>;

/** The limit measured just before and just after a contender, in the same round. */
function around(before: readonly Sample[], after: readonly Sample[]): Sample[] {
  return before.map((sample, round) => {
    const next = after[round] ?? sample;
    return { cpu: (sample.cpu + next.cpu) / 2, wall: (sample.wall + next.wall) / 2 };
  });
}

function rate(of: readonly Sample[], by: keyof Sample): string {
  return `${Math.round(median(of.map((sample) => 1 / sample[by])))}/s`;
}

function describe(of: readonly Sample[], limit: readonly Sample[], latencies: readonly number[]): string {
  const sorted = latencies.toSorted((a, b) => a - b);
  const quantile = (part: number): string =>
    (sorted[Math.floor(part * (sorted.length - 1))] ?? NaN).toFixed(1);
  const waits = `p50 ${quantile(0.5)} ms, p99 ${quantile(0.99)} ms`;
  return `${rate(of, 'cpu')} of CPU (wall ${rate(of, 'wall')}, ${waits}) against ${rate(limit, 'cpu')}`;
}

function rowsOf(samples: Samples, latencies: Record<'broker' | 'tokenAlone', readonly number[]>): Row[] {
  const { limitWithProof, broker, tokenAlone, keygen } = samples;
  const besideBroker = around(samples.limit, samples.limitAgain);
  const besideToken = around(samples.limitAgain, samples.limitThird);
  const name = `SSH certificate over HTTPS, durable, ${connections} connections`;
  return [
    {
      target: 4,
      name: `${name}, token alone / U-rate`,
      value: speedRatio(tokenAlone, besideToken),
      good: 'at least',
      gate: 0.2,
      stretch: 0.3,
      detail: describe(tokenAlone, besideToken, latencies.tokenAlone),
    },
    {
      target: 4,
      name: `${name}, with proof of possession / U-rate`,
      value: speedRatio(broker, besideBroker),
      good: 'at least',
      gate: 0.12,
      stretch: 0.17,
      detail: describe(broker, besideBroker, latencies.broker),
    },
    {
      target: 4,
      name: `${name}, with proof / rate of U and one proof check`,
      value: speedRatio(broker, limitWithProof),
      good: 'at least',
      detail: `against ${rate(limitWithProof, 'cpu')}: what the two operations alone cost`,
    },
    {
      target: 5,
      name: `${name}, token alone / ssh-keygen per request`,
      value: speedRatio(tokenAlone, keygen),
      good: 'at least',
      gate: 60,
      stretch: 100,
      detail: `${rate(tokenAlone, 'cpu')} against ${rate(keygen, 'cpu')}`,
    },
    {
      target: 5,
      name: `${name}, token alone / ssh-keygen per request, wall`,
      value: speedRatio(tokenAlone, keygen, 'wall'),
      good: 'at least',
      gate: 35,
      stretch: 70,
      detail: `${rate(tokenAlone, 'wall')} against ${rate(keygen, 'wall')}`,
    },
  ];
}
