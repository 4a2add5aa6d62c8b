import type { DepartureChange, DepartureReads, Leases } from '../../broker/index.ts';
import type { PersonId } from '../../kernel/index.ts';
import { reviewFacts, toFollowed, toReview } from '../departure-rows.ts';
import type { Send } from './apply-change.ts';
import type { Run } from './connections.ts';
import { toSession, type Row } from '../rows.ts';
import { asCoded, conflict } from './faults.ts';

/** Sends the rows; the answer is CodedError `store.conflict` when the review was decided already. */
export function applyDepartures(send: Send, { followed, departureReview: review }: DepartureChange): void {
  if (followed !== undefined) {
    send(
      `INSERT INTO followed_directory VALUES ($1, $2, $3)
       ON CONFLICT (directory) DO UPDATE SET cursor = excluded.cursor, moved_ms = excluded.moved_ms`,
      [followed.directory, followed.cursor, followed.atMs],
    );
  }
  if (review === undefined) return;
  send(
    `INSERT INTO departure_review VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO UPDATE SET
     state = excluded.state, decided_ms = excluded.decided_ms, facts = excluded.facts WHERE departure_review.state = 'waiting'`,
    [
      review.id,
      review.directory,
      review.openedMs,
      review.state,
      review.decidedMs ?? null,
      reviewFacts(review),
    ],
    ({ count }) => {
      if (count === 0) throw conflict('These departures were decided about meanwhile.');
    },
  );
}

/** The questions about departures, asked by `run`. */
export function createDepartureReads(
  all: (sql: string, ...values: readonly unknown[]) => Promise<readonly Row[]>,
): DepartureReads {
  return {
    async peopleAtLarge(directory, nowMs) {
      const rows = await all(
        `SELECT DISTINCT person_id FROM credential WHERE revoked_ms IS NULL AND valid_before > $2 AND starts_with(person_id, $1)
         UNION SELECT person_id FROM session WHERE directory = $3 AND expires_ms > $4`,
        `${directory}:`,
        Math.floor(nowMs / 1000),
        directory,
        nowMs,
      );
      return rows.map((row) => row['person_id'] as PersonId);
    },
    async liveSessions(personId, nowMs) {
      const sql = 'SELECT * FROM session WHERE person_id = $1 AND expires_ms > $2 ORDER BY created_ms, id';
      return (await all(sql, personId, nowMs)).map(toSession);
    },
    async principalsOf(personId) {
      const rows = await all(
        'SELECT name FROM principal WHERE person_id = $1 ORDER BY lower(name)',
        personId,
      );
      return rows.map((row) => row['name'] as string);
    },
    async followedDirectory(directory) {
      const [row] = await all('SELECT * FROM followed_directory WHERE directory = $1', directory);
      return row && toFollowed(row);
    },
    async departureReviews(sinceMs) {
      const sql =
        'SELECT * FROM departure_review WHERE opened_ms >= $1 ORDER BY opened_ms DESC, id LIMIT 1000';
      return (await all(sql, sinceMs)).map(toReview);
    },
  };
}

/** Leases by the clock of the database, so that the clocks of the brokers do not matter. */
export function createLeases(ask: Run): Leases {
  return {
    async holdLease(name, holder, forMs) {
      try {
        const { rows } = await ask(
          `INSERT INTO work_lease VALUES ($1, $2, clock_timestamp() + $3::double precision * interval '1 millisecond')
           ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
           WHERE work_lease.holder = excluded.holder OR work_lease.until < clock_timestamp() RETURNING holder`,
          [name, holder, forMs],
        );
        return rows.length > 0;
      } catch (error) {
        throw asCoded(error, 'The database did not answer');
      }
    },
  };
}
