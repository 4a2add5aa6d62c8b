const grammar = /^[a-z][a-z0-9._-]{0,63}$/;

/** True for a name in the form that the file holds: lower case, 1 to 64 of `a-z 0-9 . _ -`, a letter first. */
export function isCanonicalName(text: string): boolean {
  return grammar.test(text);
}

/**
 * The one name that a typed login means: spaces around it and the case of ASCII letters do not count. Anything outside ASCII,
 * such as full-width letters or the Kelvin sign (whose lower case is `k`), is no name here rather than another way to write one.
 */
export function canonicalLogin(typed: string): string | undefined {
  if (typed.length > 256) return undefined;
  const name = /^ *([A-Za-z0-9._-]{1,64}) *$/.exec(typed)?.[1]?.toLowerCase();
  return name !== undefined && grammar.test(name) ? name : undefined;
}
