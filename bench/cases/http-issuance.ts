import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemRandom } from '../../src/kernel/index.ts';
import { formatOpensshPrivateKey } from '../../src/ssh/index.ts';
import type { BrokerFolder } from '../../test/support/broker.ts';
import { freePort } from '../../test/support/free-port.ts';
import {
  brokerLoad,
  loadOf,
  makeUnlimitedFolder,
  publicKeys,
  scriptAt,
  startServe,
  warmUp,
} from '../broker-load.ts';
import type { Load } from '../broker-load.ts';
import type { BenchCase } from '../case.ts';
import { around, race, rate, speedRatio } from '../measure.ts';
import type { Sample } from '../measure.ts';
import type { Row } from '../report.ts';
import { startChildServer } from '../servers/child-server.ts';
import type { ChildServer } from '../servers/child-server.ts';
import { newEd25519, signatureAndProofLoop, signatureLoop } from '../signing.ts';

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
      const size = { count: quick ? 1000 : 4000, connections };
      servers.push(await startServe(made));
      loads.push(await brokerLoad(made, servers[0], size));
      const tokenAloneScript = scriptAt('bench/servers/token-alone-broker.ts');
      servers.push(await startChildServer(tokenAloneScript, [madeForTokens.configFile]));
      loads.push(await brokerLoad(madeForTokens, servers[1], size));
      const port = await freePort();
      servers.push(await startKeygenServer(folder, port, made));
      loads.push(keygenLoad(port, readFileSync(made.caFile, 'utf8'), servers[2], quick ? 64 : 128));
      const [broker, tokenAlone, keygen] = loads;
      if (broker === undefined || tokenAlone === undefined || keygen === undefined)
        throw new Error('a server is missing');
      progress('warming up');
      await warmUp([broker, tokenAlone], quick ? 4 : 6);
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

function startKeygenServer(folder: string, port: number, made: BrokerFolder): Promise<ChildServer> {
  const caFile = join(folder, 'keygen-ca');
  writeFileSync(caFile, formatOpensshPrivateKey(newEd25519().privateKey, 'ca', systemRandom), {
    mode: 0o600,
  });
  const tls = ['server.pem', 'server.key'].map((name) => join(made.folder, 'tls', name));
  return startChildServer(scriptAt('bench/servers/keygen-server.ts'), [folder, String(port), caFile, ...tls]);
}

function keygenLoad(port: number, ca: string, server: ChildServer | undefined, count: number): Load {
  const headers = { 'content-type': 'application/json', authorization: 'Bearer bench' };
  const bodies = publicKeys(connections).map((publicKey) => JSON.stringify({ publicKey }));
  return loadOf({ port, ca, connections, expected: 201 }, server, () =>
    Array.from({ length: count }, (_, i) => ({
      path: '/sign',
      headers,
      body: bodies[i % bodies.length] ?? '',
    })),
  );
}

type Samples = Record<
  'limit' | 'broker' | 'limitAgain' | 'tokenAlone' | 'limitThird' | 'limitWithProof' | 'keygen',
  readonly Sample[]
>;

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
