/**
 * Reads GeneralizedTime as directories write it: `YYYYMMDDHH[MM[SS[.f…]]]` and `Z` or `±HH[MM]`.
 * @returns milliseconds since the epoch (before it: negative), or undefined when the text is anything else.
 * @see RFC 4517 section 3.3.13
 */
export function parseGeneralizedTime(text: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(?:(\d\d)(\d\d)?)?(?:[.,]\d{1,9})?(?:Z|([+-])(\d\d)(\d\d)?)$/.exec(
    text,
  );
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0));
  // Year 0 is how ppolicy says “for ever”; Date.UTC would take it for 1900.
  const date = new Date(0);
  date.setUTCFullYear(year ?? 0, Math.max(1, month ?? 1) - 1, day);
  date.setUTCHours(hour ?? 0, minute, second);
  const offsetMinutes = Number(match[8] ?? 0) * 60 + Number(match[9] ?? 0);
  const timeMs = date.getTime() - (match[7] === '-' ? -1 : 1) * offsetMinutes * 60_000;
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

/** The whole second, as `YYYYMMDDHHMMSSZ`. */
export function formatGeneralizedTime(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`;
}
