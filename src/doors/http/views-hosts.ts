import type { HostToken } from '../../broker/index.ts';
import { toRfc3339 } from '../../kernel/index.ts';

/** A token as JSON shows it: everything but what it is. */
export function viewHostToken(token: HostToken, nowMs: number): object {
  const { id, group, names, addresses, maxUses, used, createdMs, expiresMs, createdBy, droppedMs } = token;
  const state =
    droppedMs !== undefined
      ? 'dropped'
      : used >= maxUses
        ? 'used_up'
        : expiresMs <= nowMs
          ? 'expired'
          : 'good';
  return {
    id,
    group,
    names,
    addresses,
    maxUses,
    used,
    createdAt: toRfc3339(createdMs),
    expiresAt: toRfc3339(expiresMs),
    createdBy,
    state,
  };
}
