import type { SQLInputValue } from 'node:sqlite';
import type { DepartureChange, DepartureReads } from '../../broker/index.ts';
import type { PersonId } from '../../kernel/index.ts';
import { reviewFacts, toFollowed, toReview } from '../departure-rows.ts';
import { conflict } from './faults.ts';
import { toSession, type Row } from '../rows.ts';

/** @throws CodedError `store.conflict` when the review was decided already */
export function applyDepartures(
  run: (sql: string, ...values: SQLInputValue[]) => number,
  { followed, departureReview: review }: DepartureChange,
): void {
  if (followed !== undefined) {
    run(
      `INSERT INTO followed_directory VALUES (?, ?, ?)
       ON CONFLICT (directory) DO UPDATE SET cursor = excluded.cursor, moved_ms = excluded.moved_ms`,
      followed.directory,
      followed.cursor,
      followed.atMs,
    );
  }
  if (review === undefined) return;
  const written = run(
    `INSERT INTO departure_review VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
     state = excluded.state, decided_ms = excluded.decided_ms, facts = excluded.facts WHERE departure_review.state = 'waiting'`,
    review.id,
    review.directory,
    review.openedMs,
    review.state,
    review.decidedMs ?? null,
    reviewFacts(review),
  );
  if (written === 0) throw conflict('These departures were decided about meanwhile.');
}

/** The questions about departures over one connection. */
export function createDepartureReads(
  all: (sql: string, ...values: SQLInputValue[]) => Row[],
): DepartureReads {
  return {
    async peopleAtLarge(directory, nowMs) {
      const rows = all(
        `SELECT DISTINCT person_id FROM credential WHERE revoked_ms IS NULL AND valid_before > ?2 AND substr(person_id, 1, length(?1)) = ?1
         UNION SELECT person_id FROM session WHERE directory = ?3 AND expires_ms > ?4`,
        `${directory}:`,
        Math.floor(nowMs / 1000),
        directory,
        nowMs,
      );
      return rows.map((row) => row['person_id'] as PersonId);
    },
    async liveSessions(personId, nowMs) {
      const sql = 'SELECT * FROM session WHERE person_id = ? AND expires_ms > ? ORDER BY created_ms, id';
      return all(sql, personId, nowMs).map(toSession);
    },
    async principalsOf(personId) {
      const rows = all('SELECT name FROM principal WHERE person_id = ? ORDER BY name', personId);
      return rows.map((row) => row['name'] as string);
    },
    async followedDirectory(directory) {
      const [row] = all('SELECT * FROM followed_directory WHERE directory = ?', directory);
      return row && toFollowed(row);
    },
    async departureReviews(sinceMs) {
      const sql =
        'SELECT * FROM departure_review WHERE opened_ms >= ? ORDER BY opened_ms DESC, id LIMIT 1000';
      return all(sql, sinceMs).map(toReview);
    },
  };
}
