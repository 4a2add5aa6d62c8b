import type { PersonState, RevokedKey } from '../../broker/index.ts';
import type { Session } from '../../identity/index.ts';
import type { PersonId } from '../../kernel/index.ts';
import { toPersonState, toRevokedKey, toSession } from '../rows.ts';
import type { Statements } from './statements.ts';

/** The look-ups by primary key that every request makes, at once and not as promises, so that they can be kept in memory. */
export interface PointReads {
  session(tokenHash: Buffer): Session | undefined;
  person(personId: PersonId): PersonState | undefined;
  /** Keyed by the names as they were asked. */
  principalOwners(principals: readonly string[]): ReadonlyMap<string, PersonId>;
  revokedKey(fingerprint: string): RevokedKey | undefined;
}

export function createPointReads(statement: Statements): PointReads {
  return {
    session(tokenHash) {
      const row = statement('SELECT * FROM session WHERE token_hash = ?').get(tokenHash);
      return row && toSession(row);
    },
    person(personId) {
      const row = statement('SELECT * FROM person WHERE person_id = ?').get(personId);
      return row && toPersonState(row);
    },
    principalOwners(principals) {
      const owners = new Map<string, PersonId>();
      for (const name of principals) {
        const row = statement('SELECT person_id FROM principal WHERE name = ?').get(name);
        if (row !== undefined) owners.set(name, row['person_id'] as PersonId);
      }
      return owners;
    },
    revokedKey(fingerprint) {
      const row = statement('SELECT * FROM revoked_key WHERE fingerprint = ?').get(fingerprint);
      return row && toRevokedKey(row);
    },
  };
}
