import type { Change, PersonState, RevokedKey } from '../../broker/index.ts';
import type { Session } from '../../identity/index.ts';
import type { PersonId } from '../../kernel/index.ts';
import type { PointReads } from './point-reads.ts';

const capacity = 50_000;

/**
 * The rows that every request asks for, kept in memory as of the last commit. Sound because one process writes this database,
 * because looking up and keeping happen at once, without a promise between them, and because `forget` follows each COMMIT likewise.
 * What is kept can only make a decision early: the guard of a change asks the database itself.
 */
export class HotRows implements PointReads {
  readonly #reads: PointReads;
  readonly #sessions = new Map<string, Session>();
  readonly #persons = new Map<PersonId, PersonState>();
  /** By the name in lower case: the column ignores case. */
  readonly #owners = new Map<string, PersonId>();
  readonly #unrevokedKeys = new Map<string, true>();

  constructor(reads: PointReads) {
    this.#reads = reads;
  }

  session(tokenHash: Buffer): Session | undefined {
    const key = tokenHash.toString('latin1');
    return this.#sessions.get(key) ?? keep(this.#sessions, key, this.#reads.session(tokenHash));
  }

  person(personId: PersonId): PersonState | undefined {
    return this.#persons.get(personId) ?? keep(this.#persons, personId, this.#reads.person(personId));
  }

  principalOwners(principals: readonly string[]): ReadonlyMap<string, PersonId> {
    const known = new Map<string, PersonId>();
    for (const name of principals) {
      const owner = this.#owners.get(name.toLowerCase());
      if (owner !== undefined) known.set(name, owner);
    }
    if (known.size === principals.length) return known;
    const owners = this.#reads.principalOwners(principals);
    for (const [name, owner] of owners) keep(this.#owners, name.toLowerCase(), owner);
    return owners;
  }

  revokedKey(fingerprint: string): RevokedKey | undefined {
    if (this.#unrevokedKeys.has(fingerprint)) return undefined;
    const revoked = this.#reads.revokedKey(fingerprint);
    if (revoked === undefined) keep(this.#unrevokedKeys, fingerprint, true);
    return revoked;
  }

  /** Drops whatever the committed change may have changed. */
  forget(change: Change): void {
    const { seenPerson, endSession, expel, lock, unlock, releasePrincipal, revokeKey } = change;
    if (endSession !== undefined) this.#sessions.delete(endSession.toString('latin1'));
    if (expel !== undefined || change.erase?.person !== undefined) this.#sessions.clear();
    for (const personId of [
      ...(expel?.people ?? []),
      seenPerson?.personId,
      lock?.personId,
      unlock,
      change.erase?.person,
    ]) {
      if (personId !== undefined) this.#persons.delete(personId);
    }
    if (change.voidDecisions !== undefined) this.#persons.clear();
    if (releasePrincipal !== undefined) this.#owners.delete(releasePrincipal.toLowerCase());
    if (revokeKey !== undefined) this.#unrevokedKeys.delete(revokeKey.fingerprint);
  }
}

function keep<Key, Value>(map: Map<Key, Value>, key: Key, value: Value | undefined): Value | undefined {
  if (value === undefined) return undefined;
  // Full is rare and a look-up is cheap: starting over is simpler than ranking what is old.
  if (map.size >= capacity) map.clear();
  map.set(key, value);
  return value;
}
