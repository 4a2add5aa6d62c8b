import { parseOrigin } from '../../accounting/index.ts';
import { previousOrigins, type Standing, type Store } from '../../broker/index.ts';
import { isCodedError } from '../../kernel/index.ts';

/**
 * Every name that a log of this broker is known to have had, the newest first. None may be given again: the key would sign two
 * histories under one name.
 */
export async function takenNames(store: Store, { origin, keptNote }: Standing): Promise<readonly string[]> {
  const [kept = ''] = keptNote?.split('\n', 1) ?? [];
  return [...(isOrigin(kept) ? [kept] : []), origin, ...(await previousOrigins(store))];
}

/** `…/accounting/1` becomes `…/accounting/1.2`, and that `…/accounting/1.3`, until nobody had it. */
export function nextOrigin(taken: readonly string[]): string {
  const [, stem, last] = /^(.*)\.(\d{1,6})$/.exec(taken[0] ?? '') ?? [];
  const name = stem === undefined ? `${(taken[0] ?? '').slice(0, 190)}.2` : `${stem}.${Number(last) + 1}`;
  return taken.includes(name) ? nextOrigin([name, ...taken]) : name;
}

function isOrigin(text: string): boolean {
  try {
    return parseOrigin(text) === text;
  } catch (error) {
    if (isCodedError(error, 'accounting.bad_origin')) return false;
    throw error;
  }
}
