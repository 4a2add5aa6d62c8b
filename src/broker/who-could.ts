import { printable, toRfc3339 } from '../kernel/index.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import { findHost } from './list-hosts.ts';
import { reportingHost } from './report-logins.ts';
import type { Rooms, SignedIn } from './rooms.ts';
import type { Credential } from './unit-of-work.ts';

export interface WhoCouldQuery {
  /** The account name that a host would have been asked for. */
  readonly principal: string;
  /** Id or name of a host, whose group may open the account by other names. */
  readonly host?: string;
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
  const { principal, host, atMs, before, limit } = query;
  const nowMs = rooms.clock.nowMs();
  const names = host === undefined ? [principal] : await namesThatOpen(rooms, principal, host);
  const on: Record<string, string> = host === undefined ? {} : { host: printable(host, 255) };
  const fields = { target: { kind: 'who_could', value: principal, at: toRfc3339(atMs), ...on } };
  await rooms.store.commit({
    guard: stillSignedIn(caller),
    entries: [entryBy(caller, { type: 'log.read', timeMs: nowMs, fields })],
  });
  const pages = await Promise.all(
    names.map((name) =>
      rooms.store.credentials({
        principal: name,
        usableAtMs: atMs,
        live: false,
        ...(before === undefined ? {} : { before }),
        limit: limit + 1,
        nowMs,
      }),
    ),
  );
  const found = newestFirst(pages.flat());
  const credentials = found.slice(0, limit);
  const last = credentials.at(-1);
  return { credentials, nowMs, ...(found.length > limit && last !== undefined ? { next: last.serial } : {}) };
}

/** @throws CodedError `hosts.unknown_host` */
async function namesThatOpen(rooms: Rooms, account: string, host: string): Promise<readonly string[]> {
  const { accounts } = reportingHost(rooms, await findHost(rooms, host));
  return accounts.get(account) ?? [account];
}

/** A certificate may bear several of the names. */
function newestFirst(credentials: readonly Credential[]): readonly Credential[] {
  const each = new Map(credentials.map((one) => [`${one.caFingerprint} ${one.serial}`, one]));
  return [...each.values()].toSorted((a, b) => (a.serial < b.serial ? 1 : -1));
}
