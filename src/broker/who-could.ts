import { toRfc3339 } from '../kernel/index.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import type { Rooms, SignedIn } from './rooms.ts';
import type { Credential } from './unit-of-work.ts';

export interface WhoCouldQuery {
  /** The account name that a host would have been asked for. */
  readonly principal: string;
  readonly atMs: number;
  /** Serials below this one. */
  readonly before?: bigint;
  readonly limit: number;
}

/**
 * The certificates that opened that account at that moment, newest first: issued and begun, and neither expired nor revoked. The
 * look itself is recorded.
 */
export async function whoCould(
  rooms: Rooms,
  query: WhoCouldQuery,
  caller: SignedIn,
): Promise<{ readonly credentials: readonly Credential[]; readonly next?: bigint; readonly nowMs: number }> {
  const { principal, atMs, before, limit } = query;
  const nowMs = rooms.clock.nowMs();
  const fields = { target: { kind: 'who_could', value: principal, at: toRfc3339(atMs) } };
  await rooms.store.commit({
    guard: stillSignedIn(caller),
    entries: [entryBy(caller, { type: 'log.read', timeMs: nowMs, fields })],
  });
  const found = await rooms.store.credentials({
    principal,
    usableAtMs: atMs,
    live: false,
    ...(before === undefined ? {} : { before }),
    limit: limit + 1,
    nowMs,
  });
  const credentials = found.slice(0, limit);
  const last = credentials.at(-1);
  return { credentials, nowMs, ...(found.length > limit && last !== undefined ? { next: last.serial } : {}) };
}
