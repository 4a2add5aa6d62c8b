/** The ranges of [first, last] that hold none of the ascending `taken`. */
export function gaps(first: bigint, last: bigint, taken: readonly bigint[]): [bigint, bigint][] {
  const found: [bigint, bigint][] = [];
  let next = first;
  for (const serial of taken) {
    if (serial > next) found.push([next, serial - 1n]);
    next = serial + 1n;
  }
  if (next <= last) found.push([next, last]);
  return found;
}
