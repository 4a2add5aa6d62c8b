import type { SignedIn } from './rooms.ts';
import type { StoredEntry } from './unit-of-work.ts';

/** Auditors and admins read everything; anybody else what concerns themselves. */
export function seesWholeLog({ roles }: SignedIn): boolean {
  return roles.has('auditor') || roles.has('admin');
}

/**
 * What somebody sees of an entry about themselves: addresses, words and names only where they were the ones who acted. The
 * entry is then for reading, not for proving: an export proves.
 */
export function shownTo(caller: SignedIn, entry: StoredEntry): StoredEntry {
  if (seesWholeLog(caller)) return entry;
  const content = JSON.parse(entry.bytes.toString('utf8')) as {
    readonly actor?: { readonly uid?: string };
    readonly decision?: { readonly conflict?: unknown };
  };
  const caused = content.actor?.uid === caller.person.id;
  const { conflict: _forTheLog, ...decision } = content.decision ?? {};
  const shown = content.decision === undefined ? content : { ...content, decision };
  return {
    ...entry,
    bytes: Buffer.from(JSON.stringify(shown)),
    openings: caused ? entry.openings : undefined,
  };
}
