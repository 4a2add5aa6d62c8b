import type { EntryDraft, EntryValue } from '../accounting/index.ts';
import { expiredMarginSeconds } from '../revocation/index.ts';
import { credentialFields } from './entries.ts';
import type { Finding, LostWhat } from './find-departure.ts';
import type { Rooms } from './rooms.ts';
import { tlsFields } from './tls-entries.ts';
import type { TlsCredential } from './tls-rows.ts';
import type { RevocationReason } from './tls-words.ts';
import type { Change, Credential } from './unit-of-work.ts';

/** How the broker came to ask about somebody. */
export interface Cause {
  /** A method of watching, the regular question to everybody, or an admin's approval. */
  readonly seenBy: string;
  /** What changed in the directory, as far as it was named. */
  readonly objects: readonly { readonly id: string; readonly attributes: readonly string[] }[];
  /** Id of the review that an admin approved. */
  readonly review?: string;
}

export interface CutOff {
  readonly credentials: readonly Credential[];
  readonly tls: readonly TlsCredential[];
}

export type Lost = Extract<Finding, { kind: 'lost' }>;

/** RFC 5280 section 5.3.1, for CRL and OCSP. */
const goneCode: RevocationReason = 'privilegeWithdrawn';

const reasons: Readonly<Record<LostWhat, string>> = {
  disabled: 'disabled in the directory',
  expired: 'the account in the directory has expired',
  removed: 'gone from the directory',
  out_of_scope: 'no longer in the part of the directory that counts',
  rights: 'the directory no longer gives the right to it',
};

const mostObjects = 8;

/**
 * Takes from one person what the directory no longer gives, in one transaction: the credentials, the sessions where nothing is left,
 * and the entries, the first of which names the change in the directory. What was issued meanwhile to somebody who is gone is taken, too.
 * @returns what died; publishing the lists is for whoever calls this. @throws CodedError `store.…`
 */
export async function cutOff(
  rooms: Pick<Rooms, 'store' | 'clock' | 'counters'>,
  lost: Lost,
  cause: Cause,
): Promise<CutOff> {
  const { personId, endsSessions } = lost;
  const named = new Set([...lost.credentials, ...lost.tls].map(nameOf));
  const revoked = await rooms.store.transact(async (reads) => {
    const nowMs = rooms.clock.nowMs();
    const sinceMs = nowMs - Number(expiredMarginSeconds) * 1000;
    const target = { kind: 'person', personId } as const;
    const ends = (one: Credential | TlsCredential): boolean =>
      named.has(nameOf(one)) || (endsSessions && lost.what !== 'rights');
    const credentials = (await reads.liveCredentials(target, sinceMs)).filter(ends);
    const tls = (await reads.liveTls(target, sinceMs)).filter(ends);
    const sessions = endsSessions ? await reads.sessionsOf(personId, nowMs) : 0;
    // Somebody else was quicker, or it has expired.
    if (credentials.length === 0 && tls.length === 0 && sessions === 0)
      return { change: { entries: [] }, result: { credentials: [], tls: [] } };
    const change: Change = {
      ...(endsSessions ? { expel: { people: [personId], atMs: nowMs } } : { voidDecisions: [personId] }),
      ...(credentials.length === 0
        ? {}
        : { revoke: { credentials, atMs: nowMs, reason: reasons[lost.what] } }),
      ...(tls.length === 0
        ? {}
        : {
            tls: {
              revoke: {
                serials: tls.map(({ serial }) => serial),
                atMs: nowMs,
                reason: reasons[lost.what],
                code: goneCode,
              },
            },
          }),
      entries: entriesFor(lost, cause, { credentials, tls, sessions, timeMs: nowMs }),
    };
    return { change, result: { credentials, tls } };
  });
  rooms.counters.revoked(revoked.credentials.length + revoked.tls.length);
  return revoked;
}

/** Names a credential of either kind. */
export function nameOf({
  caFingerprint,
  serial,
}: Pick<Credential | TlsCredential, 'caFingerprint' | 'serial'>): string {
  return `${caFingerprint} ${serial}`;
}

function entriesFor(
  { personId, reasonCode, what }: Lost,
  cause: Cause,
  act: {
    readonly credentials: readonly Credential[];
    readonly tls: readonly TlsCredential[];
    readonly sessions: number;
    readonly timeMs: number;
  },
): readonly EntryDraft[] {
  const draft = (type: EntryDraft['type'], fields: EntryDraft['fields']): EntryDraft => ({
    type,
    outcome: 'success',
    reasonCode,
    timeMs: act.timeMs,
    actor: { kind: 'broker' },
    subject: { uid: personId },
    ...(fields === undefined ? {} : { fields }),
  });
  const objects = cause.objects
    .slice(0, mostObjects)
    .map(({ id, attributes }) => ({ id, attributes: attributes.slice(0, 32) }) satisfies EntryValue);
  const directory = personId.slice(0, personId.indexOf(':'));
  return [
    draft('directory.change', {
      target: { kind: 'directory', value: directory },
      change: {
        what: [what],
        seen_by: cause.seenBy,
        objects,
        ...(cause.review === undefined ? {} : { review: cause.review }),
      },
    }),
    ...act.credentials.map((credential) => draft('cred.revoke', { cred: credentialFields(credential) })),
    ...act.tls.map((credential) => draft('cred.revoke', { cred: tlsFields(credential, goneCode) })),
    ...(act.sessions === 0 ? [] : [draft('session.revoke', { sessions: { ended: act.sessions } })]),
  ];
}
