import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { alice, auditor, bob, boss } from '../../test/support/broker.ts';
import { brokersOnPostgres } from '../../test/support/postgres-brokers.ts';
import type { PostgresServer } from '../../test/support/postgres.ts';
import { brokerLoad, makeUnlimitedFolder, startServe, warmUp } from '../broker-load.ts';
import type { Load } from '../broker-load.ts';
import type { BenchCase, BenchContext } from '../case.ts';
import { median, race, rate, speedRatio } from '../measure.ts';
import type { Contender, Sample } from '../measure.ts';
import type { Row } from '../report.ts';
import type { ChildServer } from '../servers/child-server.ts';
import { postgresCpuSeconds, startDurablePostgres } from '../stores.ts';

const clients = 64;

/** Two brokers that share a PostgreSQL, against one with the embedded store: issuance over HTTPS, as many clients for both. */
export const twoBrokersCase: BenchCase = {
  name: 'two-brokers',
  async run(context) {
    const server = await startDurablePostgres(context.note);
    if (server === undefined) return [];
    const closing: (() => void | Promise<void>)[] = [() => server.close()];
    try {
      return [await compared(context, server, closing)];
    } finally {
      for (const close of closing.reverse()) await close();
    }
  },
};

async function compared(
  { rounds, quick, progress }: BenchContext,
  server: PostgresServer,
  closing: (() => void | Promise<void>)[],
): Promise<Row> {
  progress('starting PostgreSQL, two brokers on it, and one on SQLite');
  const shared = await brokersOnPostgres(server, 2, { people: [boss, alice, bob, auditor] });
  closing.push(() => shared.remove());
  const alone = await makeUnlimitedFolder();
  closing.push(() => alone.remove());
  const brokers: ChildServer[] = [];
  const loads: Load[] = [];
  const count = quick ? 1000 : 6000;
  for (const made of [...shared.folders, alone]) {
    const [first] = shared.folders;
    // A broker that joins a log brings a checkpoint of it, or it would take the database for an old copy.
    if (first !== undefined && made !== first && made !== alone)
      copyFileSync(join(first.folder, 'log-checkpoint'), join(made.folder, 'log-checkpoint'));
    const broker = await startServe(made);
    closing.push(() => broker.stop());
    const part = made === alone ? 1 : 2;
    const load = await brokerLoad(made, broker, { count: count / part, connections: clients / part });
    closing.push(() => load.close());
    brokers.push(broker);
    loads.push(load);
  }
  progress('warming up');
  await warmUp(loads, quick ? 3 : 6);
  progress(`${rounds} rounds, ${clients} connections`);
  const [first, second, one] = loads;
  if (first === undefined || second === undefined || one === undefined)
    throw new Error('a broker is missing');
  const spent = { brokers: [] as number[], server: [] as number[], client: [] as number[] };
  const ofBrokers = (): number => (brokers[0]?.cpuSeconds() ?? NaN) + (brokers[1]?.cpuSeconds() ?? NaN);
  const { two, single } = await race(rounds, {
    two: {
      async prepare() {
        await first.contender.prepare?.();
        await second.contender.prepare?.();
      },
      async run() {
        const before = [ofBrokers(), postgresCpuSeconds(server), process.cpuUsage()] as const;
        const done = await Promise.all([first.contender.run(), second.contender.run()]);
        const { user, system } = process.cpuUsage(before[2]);
        spent.brokers.push(ofBrokers() - before[0]);
        spent.server.push(postgresCpuSeconds(server) - before[1]);
        spent.client.push((user + system) / 1e6);
        return done[0] + done[1];
      },
      cpuSeconds: ofBrokers,
    } satisfies Contender,
    single: one.contender,
  });
  return rowOf(two, single, { ...spent, count });
}

function rowOf(
  two: readonly Sample[],
  single: readonly Sample[],
  spent: Record<'brokers' | 'server' | 'client', readonly number[]> & { readonly count: number },
): Row {
  const each = (seconds: readonly number[]): string =>
    `${((median(seconds) / spent.count) * 1e6).toFixed(0)} µs`;
  const ofSingle = `${(median(single.map(({ cpu }) => cpu)) * 1e6).toFixed(0)} µs`;
  return {
    target: 18,
    name: `two brokers on one PostgreSQL / one on SQLite, issuance over HTTPS, ${clients} connections, wall`,
    value: speedRatio(two, single, 'wall'),
    good: 'at least',
    gate: 0.7,
    stretch: 1.2,
    detail:
      `${rate(two, 'wall')} against ${rate(single, 'wall')}. One machine for all: CPU for each certificate, brokers ${each(spent.brokers)}, ` +
      `PostgreSQL ${each(spent.server)} (synced), the client ${each(spent.client)}; the broker on SQLite ${ofSingle}`,
  };
}
