import { freePort } from '../../test/support/free-port.ts';
import { loadOf, scriptAt, warmUp } from '../broker-load.ts';
import type { Load } from '../broker-load.ts';
import type { BenchCase } from '../case.ts';
import { race, rate, speedRatio } from '../measure.ts';
import { startChildServer } from '../servers/child-server.ts';
import type { ChildServer } from '../servers/child-server.ts';

const connections = 16;

/** Target 17: what the middleware of the product adds to node:http, with a route that does nothing. */
export const httpStackCase: BenchCase = {
  name: 'http-stack',
  async run({ rounds, quick, progress }) {
    const servers: ChildServer[] = [];
    const loads: Load[] = [];
    try {
      for (const which of ['product', 'bare']) {
        const port = await freePort();
        const server = await startChildServer(scriptAt('bench/servers/stack-server.ts'), [
          which,
          String(port),
        ]);
        servers.push(server);
        const requests = Array.from({ length: quick ? 3000 : 20_000 }, () => ({
          path: '/healthz',
          headers: {},
        }));
        loads.push(loadOf({ port, connections, expected: 200 }, server, () => requests));
      }
      const [product, bare] = loads;
      if (product === undefined || bare === undefined) throw new Error('a server is missing');
      progress(`${rounds} rounds, ${connections} connections`);
      await warmUp(loads, 2);
      const samples = await race(rounds, { product: product.contender, bare: bare.contender });
      return [
        {
          target: 17,
          name: 'HTTP stack with all middleware / bare node:http',
          value: speedRatio(samples.bare, samples.product),
          good: 'at most',
          gate: 2.2,
          stretch: 1.5,
          detail: `${rate(samples.product)} against ${rate(samples.bare)} of CPU: GET /healthz over plain HTTP, kept connections, the same bytes of JSON`,
        },
      ];
    } finally {
      for (const load of loads) load.close();
      await Promise.all(servers.map((server) => server.stop()));
    }
  },
};
