import type { BrokerFolder } from '../../test/support/broker.ts';
import { brokerLoad, warmUp } from '../broker-load.ts';
import type { BenchContext } from '../case.ts';
import { median, race, speedRatio } from '../measure.ts';
import type { Sample } from '../measure.ts';
import type { Row } from '../report.ts';
import type { ChildServer } from '../servers/child-server.ts';

/** A broker that runs, and how many certificates it held when it began. */
export interface Grown {
  readonly made: BrokerFolder;
  readonly server: ChildServer;
  readonly certificates: number;
}

const connections = 32;

/** What issuing costs a broker that holds many certificates, against one that holds few; and what each holds in memory. */
export async function growthRows(context: BenchContext, few: Grown, many: Grown): Promise<Row[]> {
  const { rounds, quick, progress } = context;
  const atRest = [few, many].map(({ server }) => server.memoryMb());
  const size = { count: quick ? 1000 : 4000, connections };
  const loads = [
    await brokerLoad(few.made, few.server, size),
    await brokerLoad(many.made, many.server, size),
  ] as const;
  progress('warming up');
  await warmUp(loads, quick ? 3 : 6);
  progress(`${rounds} rounds of issuance over HTTPS, ${connections} connections`);
  const samples = await race(rounds, { few: loads[0].contender, many: loads[1].contender });
  for (const load of loads) load.close();
  const after = [few, many].map(({ server }) => server.memoryMb());
  const mb = (numbers: readonly number[]): string => numbers.map((each) => each.toFixed(0)).join(' and ');
  const cost = (of: readonly Sample[], by: keyof Sample): string =>
    `${(median(of.map((sample) => sample[by])) * 1e6).toFixed(0)} µs`;
  return [
    {
      target: 19,
      name: `issuance over HTTPS at ${many.certificates} / at ${few.certificates} stored certificates, CPU`,
      value: speedRatio(samples.few, samples.many),
      good: 'at most',
      gate: 1.15,
      stretch: 1.05,
      detail: `${cost(samples.many, 'cpu')} against ${cost(samples.few, 'cpu')}, wall ${cost(samples.many, 'wall')} against ${cost(samples.few, 'wall')}`,
    },
    {
      target: 19,
      name: `memory at rest at ${many.certificates} / at ${few.certificates} stored certificates`,
      value: (atRest[1] ?? NaN) / (atRest[0] ?? NaN),
      good: 'at most',
      detail: `MB held (RSS) by the broker with few and with many: ${mb(atRest)} at rest, ${mb(after)} after the load`,
    },
  ];
}
