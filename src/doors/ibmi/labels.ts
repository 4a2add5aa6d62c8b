import { CodedError, printable } from '../../kernel/index.ts';

/**
 * Label of a certificate in a store of DCM: 1 to 64 of letters, digits and `. _ -`, beginning with a letter. DCM takes more (which
 * characters, no source says); these need no quoting anywhere.
 * @throws CodedError `ibmi.bad_label`
 */
export function parseLabel(text: string): string {
  if (/^[A-Za-z][A-Za-z0-9._-]{0,63}$/.test(text)) return text;
  throw new CodedError('ibmi.bad_label', `“${printable(text, 80)}” cannot be a label.`, {
    next: 'Use 1 to 64 letters, digits and . _ - beginning with a letter, e.g. telnet-2026-11.',
  });
}

/**
 * The label rule: what it is for, and the month it was made in; a number behind it when that is taken. DCM skips an entry whose label
 * or public key it has already, and says nothing: every renewal gets a new label and a new key.
 * @param word e.g. `telnet`. @param taken labels that the store has, whatever the case of letters.
 */
export function nextLabel(word: string, madeMs: number, taken: readonly string[]): string {
  const base = `${word}-${new Date(madeMs).toISOString().slice(0, 7)}`;
  const known = new Set(taken.map((label) => label.toLowerCase()));
  for (let nth = 1; nth < 1000; nth += 1) {
    const label = nth === 1 ? base : `${base}-${nth}`;
    if (!known.has(label.toLowerCase())) return parseLabel(label);
  }
  throw new CodedError('ibmi.no_free_label', `All labels from ${base} on are taken.`, {
    next: 'Remove certificates from the store that are used no more.',
  });
}
