import type { LoginThrottle, LoginTicket, ThrottleRow } from '../../src/identity/index.ts';

/** @returns 0 when admitted (and failed), otherwise the seconds to wait. */
export function fail(
  throttle: LoginThrottle,
  login: string,
  address: string,
  rows?: Map<string, ThrottleRow>,
): number {
  const admission = throttle.admit({ login, address });
  if (admission.outcome === 'throttled') return admission.retryAfterSeconds;
  for (const row of admission.ticket.failed()) rows?.set(row.key, row);
  return 0;
}

export function ticketOf(throttle: LoginThrottle, login: string, address: string): LoginTicket {
  const admission = throttle.admit({ login, address });
  if (admission.outcome === 'throttled') throw new Error(`throttled for ${admission.retryAfterSeconds} s`);
  return admission.ticket;
}
