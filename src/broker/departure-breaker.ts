/** How many departures are believed at once. */
export interface DepartureLimits {
  /** More people than these within the window need an admin's word. */
  readonly mostPeople: number;
  /** So many per cent of those who have something live, from three people on: in a small house everybody is many per cent. */
  readonly mostPercent: number;
  readonly windowMs: number;
}

const percentFrom = 3;

/** Which limit is passed; undefined: none. `recent` departed within the window, `found` would depart now, of `atLarge` besides `recent`. */
export function limitPassed(
  limits: DepartureLimits,
  { recent, found, atLarge }: { readonly recent: number; readonly found: number; readonly atLarge: number },
): 'people' | 'percent' | undefined {
  if (found === 0) return undefined;
  const departing = recent + found;
  if (departing > limits.mostPeople) return 'people';
  const isMany = departing >= percentFrom && departing * 100 > limits.mostPercent * (atLarge + recent);
  return isMany ? 'percent' : undefined;
}
