import type { PersonState, Reads, RevokedKey } from '../../broker/index.ts';
import type { Session } from '../../identity/index.ts';
import type { PersonId } from '../../kernel/index.ts';
import type { Run } from './connections.ts';
import { Gathered } from './gathered.ts';
import { blob, toPersonState, toRevokedKey, toSession, type Row } from '../rows.ts';

export type PointReads = Pick<Reads, 'session' | 'person' | 'principalOwners' | 'revokedKey'>;

/**
 * The look-ups that every request makes, those of many requests in one statement. Nothing is kept: another broker may have ended
 * the session a moment ago.
 */
export function createPointReads(ask: Run): PointReads {
  const byKey =
    <Found>(
      sql: string,
      keyOf: (row: Row) => string,
      read: (row: Row) => Found,
      keyOfAsked: (key: unknown) => string = String,
    ) =>
    async (asked: readonly unknown[]): Promise<readonly (Found | undefined)[]> => {
      const { rows } = await ask(sql, [asked]);
      const found = new Map(rows.map((row) => [keyOf(row), read(row)]));
      return asked.map((key) => found.get(keyOfAsked(key)));
    };
  const latin = (bytes: unknown): string => (bytes as Buffer).toString('latin1');
  const text =
    (column: string) =>
    (row: Row): string =>
      row[column] as string;

  const sessions = new Gathered<Buffer, Session | undefined>(
    byKey(
      'SELECT * FROM session WHERE token_hash = ANY($1)',
      (row) => latin(blob(row, 'token_hash')),
      toSession,
      latin,
    ),
  );
  const persons = new Gathered<PersonId, PersonState | undefined>(
    byKey('SELECT * FROM person WHERE person_id = ANY($1)', text('person_id'), toPersonState),
  );
  const keys = new Gathered<string, RevokedKey | undefined>(
    byKey('SELECT * FROM revoked_key WHERE fingerprint = ANY($1)', text('fingerprint'), toRevokedKey),
  );
  const owners = new Gathered<string, PersonId | undefined>(
    byKey(
      `SELECT asked, p.person_id FROM (SELECT DISTINCT unnest($1::text[]) COLLATE "C" AS asked) AS a
       JOIN principal p ON lower(p.name) = lower(asked)`,
      text('asked'),
      (row) => row['person_id'] as PersonId,
    ),
  );
  return {
    session: (tokenHash) => sessions.ask(tokenHash),
    person: (personId) => persons.ask(personId),
    revokedKey: (fingerprint) => keys.ask(fingerprint),
    async principalOwners(principals) {
      const found = await Promise.all(principals.map((name) => owners.ask(name)));
      const known = principals.map((name, at) => [name, found[at]] as const);
      return new Map(known.filter((pair): pair is [string, PersonId] => pair[1] !== undefined));
    },
  };
}
