import { parseAddressRange, parseNamePattern } from '../hosts/index.ts';
import { CodedError, printable, sha256 } from '../kernel/index.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import type { HostToken } from './host-rows.ts';
import type { Rooms, SignedIn } from './rooms.ts';

const mostTokens = 1000;
const maxLifeMs = 366 * 86_400_000;

export interface NewHostToken {
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  readonly group: string;
  readonly maxUses: number;
  readonly lifeSeconds: number;
  readonly reason?: string | undefined;
}

/**
 * A token that enrols hosts of these names into this group. @returns the secret, which is shown this once and kept nowhere, and the row
 * @throws CodedError `hosts.bad_name`, `hosts.bad_address`, `hosts.unknown_group`, `hosts.bad_lifetime`
 */
export async function newHostToken(
  rooms: Rooms,
  asked: NewHostToken,
  caller: SignedIn,
): Promise<{ readonly secret: string; readonly token: HostToken }> {
  const nowMs = rooms.clock.nowMs();
  rooms.hosts.bundles.loadGroup(asked.group);
  const lifeMs = asked.lifeSeconds * 1000;
  if (lifeMs <= 0 || lifeMs > maxLifeMs) {
    throw new CodedError('hosts.bad_lifetime', 'A token lives for a minute to a year.', {
      next: 'Choose another time.',
    });
  }
  const secret = rooms.random(24).toString('base64url');
  const token: HostToken = {
    id: `tk-${rooms.random(8).toString('hex')}`,
    hash: sha256(secret),
    group: asked.group,
    names: [...new Set(asked.names.map(parseNamePattern))],
    addresses: [...new Set(asked.addresses.map(parseAddressRange))],
    maxUses: asked.maxUses,
    used: 0,
    createdMs: nowMs,
    expiresMs: nowMs + lifeMs,
    createdBy: caller.person.login,
  };
  const fields = {
    target: { kind: 'host_token', value: token.id },
    token: {
      group: token.group,
      names: token.names,
      addresses: token.addresses,
      max_uses: token.maxUses,
      expires: new Date(token.expiresMs).toISOString(),
    },
  };
  await rooms.store.commit({
    guard: stillSignedIn(caller),
    hosts: { newToken: token },
    entries: [entryBy(caller, { type: 'host.token_new', timeMs: nowMs, fields, reason: asked.reason })],
  });
  return { secret, token };
}

/** The newest first, at most a thousand. */
export function listHostTokens(rooms: Rooms): Promise<readonly HostToken[]> {
  return rooms.store.hostTokens(mostTokens);
}

/** Nobody enrols with it any more; hosts that did stay. @throws CodedError `hosts.unknown_token`; `store.conflict` when it is dropped already */
export async function dropHostToken(
  rooms: Rooms,
  asked: { readonly id: string; readonly reason?: string | undefined },
  caller: SignedIn,
): Promise<HostToken> {
  const token = await rooms.store.hostToken(asked.id);
  if (token === undefined) {
    throw new CodedError('hosts.unknown_token', `There is no token ${printable(asked.id, 40)}.`, {
      next: 'See `sallyport host token list`.',
    });
  }
  const timeMs = rooms.clock.nowMs();
  const fields = { target: { kind: 'host_token', value: token.id } };
  await rooms.store.commit({
    guard: stillSignedIn(caller),
    hosts: { dropToken: { id: token.id, atMs: timeMs } },
    entries: [entryBy(caller, { type: 'host.token_drop', timeMs, fields, reason: asked.reason })],
  });
  return { ...token, droppedMs: timeMs };
}
