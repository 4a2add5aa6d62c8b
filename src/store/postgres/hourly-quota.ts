import type { QuotaMemory, SharedTake } from '../../broker/index.ts';
import { big, blob, type Row } from '../rows.ts';
import type { Run } from './connections.ts';
import { asCoded } from './faults.ts';
import { Gathered } from './gathered.ts';

const dbMs = 'floor(extract(epoch from clock_timestamp()) * 1000)::bigint';
/** Of the row that is there: what it holds by now, in the notation of `HourlyQuota`. */
const perHour = '(excluded.tokens + excluded.granted)';
const asked = '(excluded.granted + excluded.refusals)';
const filled = `least(${perHour}, q.tokens + greatest(0, excluded.filled_ms - q.filled_ms) * ${perHour} / 3600000)`;
const granted = `least(${asked}, floor(${filled}))`;

/** Takes several at once of each key; who has no row yet has a full hour. Rows in the order of their keys: nobody waits crosswise. */
const takeSql = `
  INSERT INTO hourly_quota AS q
  SELECT key, per_hour - least(n, per_hour), ${dbMs}, least(n, per_hour), greatest(n - per_hour, 0)
  FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) AS a (key, per_hour, n) ORDER BY key
  ON CONFLICT (key) DO UPDATE SET
    tokens = ${filled} - ${granted}, filled_ms = greatest(q.filled_ms, excluded.filled_ms), granted = ${granted},
    refusals = CASE WHEN ${granted} > 0 THEN 0 ELSE q.refusals END + ${asked} - ${granted}
  RETURNING key, tokens, granted, refusals`;

/** The hours of people, counted once for all brokers on the database. */
export function createQuotaMemory(ask: Run): QuotaMemory {
  const takes = new Gathered((all: readonly Take[]) => takeAll(ask, all));
  return { takeFromHour: (take) => takes.ask(take) };
}

type Take = Parameters<QuotaMemory['takeFromHour']>[0];

async function takeAll(ask: Run, all: readonly Take[]): Promise<readonly SharedTake[]> {
  const byKey = Map.groupBy(all, ({ key }) => key.toString('hex'));
  const groups = [...byKey.values()].flatMap((group) =>
    group[0] === undefined ? [] : [{ ...group[0], n: group.length }],
  );
  try {
    const { rows } = await ask(takeSql, [
      groups.map(({ key }) => key),
      groups.map(({ perHour: most }) => most),
      groups.map(({ n }) => n),
    ]);
    const left = new Map(rows.map((row) => [blob(row, 'key').toString('hex'), takesOf(row, byKey)]));
    return all.map(({ key }) => {
      const next = left.get(key.toString('hex'))?.shift();
      if (next === undefined) throw new Error('each question has an answer');
      return next;
    });
  } catch (error) {
    throw asCoded(error, 'The database did not answer');
  }
}

/** The answers of one key, in the order of the questions: first what was granted. */
function takesOf(row: Row, byKey: ReadonlyMap<string, readonly Take[]>): SharedTake[] {
  const count = byKey.get(blob(row, 'key').toString('hex'))?.length ?? 0;
  const given = Number(row['granted']);
  const before = Number(big(row, 'refusals')) - (count - given);
  return Array.from({ length: count }, (_, nth) => ({
    isGranted: nth < given,
    refusalsBefore: before + Math.max(0, nth - given),
    tokens: Number(row['tokens']),
  }));
}

/** Who has asked for nothing in an hour has a full hour again, with or without a row. */
export async function forgetFullHours(ask: Run): Promise<void> {
  await ask(`DELETE FROM hourly_quota WHERE filled_ms < ${dbMs} - 3600000`);
}
