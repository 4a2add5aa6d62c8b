import type { Change, Store } from '../../src/broker/index.ts';
import type { BenchCase, BenchContext } from '../case.ts';
import { createIssuances } from '../issuance.ts';
import type { Issuances } from '../issuance.ts';
import { race, rate, speedRatio } from '../measure.ts';
import type { Contender } from '../measure.ts';
import type { Row } from '../report.ts';
import { benchCa, newPostgresStore, newSqliteStore, startDurablePostgres } from '../stores.ts';

const committers = 32;

/** Target 6: whoever arrives together shares a transaction and its sync, against one transaction after the other. */
export const groupCommitCase: BenchCase = {
  name: 'group-commit',
  async run(context) {
    const { store } = newSqliteStore(context.folder);
    const rows = [await compared(context, store, { where: 'SQLite', gate: 2, stretch: 4 })];
    await store.close();
    const server = await startDurablePostgres(context.note);
    if (server === undefined) return rows;
    try {
      const onServer = await newPostgresStore(server);
      rows.push(await compared(context, onServer, { where: 'PostgreSQL' }));
      await onServer.close();
    } finally {
      await server.close();
    }
    return rows;
  },
};

async function compared(
  { rounds, quick, progress }: BenchContext,
  store: Store,
  { where, ...limits }: { readonly where: string } & Pick<Row, 'gate' | 'stretch'>,
): Promise<Row> {
  progress(`${rounds} rounds on ${where}`);
  const issuances = await createIssuances(store, benchCa);
  const { grouped, each } = await race(rounds, {
    grouped: committing(issuances, quick ? 320 : 3200, committers),
    each: committing(issuances, quick ? 100 : 800, 1),
  });
  await issuances.finish();
  return {
    target: 6,
    name: `group commit of ${committers} committers / the same one by one, ${where}, wall`,
    value: speedRatio(grouped, each, 'wall'),
    good: 'at least',
    ...limits,
    detail:
      `${rate(grouped, 'wall')} against ${rate(each, 'wall')}, one issuance each: guard, row, claim, entry, tree, checkpoint; ` +
      `by CPU of this process ${speedRatio(grouped, each).toFixed(1)} times`,
  };
}

/** So many changes, made before the clock runs, by so many who each wait for theirs before they begin the next. */
function committing(issuances: Issuances, count: number, workers: number): Contender {
  let ready: Change[] = [];
  return {
    async prepare() {
      ready = [];
      while (ready.length < count) ready.push(await issuances.next(Date.now()));
    },
    async run() {
      const waiting = ready.values();
      const work = async (): Promise<void> => {
        for (const change of waiting) await issuances.commit(change);
      };
      await Promise.all(Array.from({ length: workers }, work));
      return count;
    },
  };
}
