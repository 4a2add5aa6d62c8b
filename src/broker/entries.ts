import type { EntryDraft } from '../accounting/index.ts';
import { toRfc3339, type PersonId } from '../kernel/index.ts';
import type { Caller, SignedIn } from './rooms.ts';
import type { Credential, Guard } from './unit-of-work.ts';

type Fields = NonNullable<EntryDraft['fields']>;

/** The part of an entry that says where the request came from. */
export function fromCaller(caller: Caller): {
  readonly fields: Fields;
  readonly personal: Record<string, string>;
} {
  return {
    fields: { corr: { request: caller.requestId } },
    personal: {
      'src.ip': caller.sourceAddress,
      ...(caller.userAgent === undefined ? {} : { 'src.ua': caller.userAgent.slice(0, 256) }),
    },
  };
}

/** Whatever a signed-in person changes or reads, they must still be signed in when it is committed. */
export function stillSignedIn({ person, epoch, session }: SignedIn): Guard {
  return { person: { personId: person.id, epoch }, sessionHash: session.tokenHash };
}

/** What a signed-in person did, or was refused. */
export interface Deed {
  readonly type: EntryDraft['type'];
  readonly timeMs: number;
  /** Set when it was refused. */
  readonly reasonCode?: string;
  /** Whom it concerns. */
  readonly subject?: PersonId | undefined;
  readonly fields?: Fields;
  /** In the person's own words. */
  readonly reason?: string | undefined;
}

/** The entry of a deed: who, from where, under which session, and what. */
export function entryBy(caller: SignedIn, deed: Deed): EntryDraft {
  const { fields, personal } = fromCaller(caller);
  const { type, timeMs, reasonCode, subject, reason } = deed;
  return {
    type,
    timeMs,
    ...(reasonCode === undefined ? { outcome: 'success' } : { outcome: 'denied', reasonCode }),
    actor: { uid: caller.person.id, kind: 'person', auth: 'session', session: caller.session.id },
    ...(subject === undefined ? {} : { subject: { uid: subject } }),
    fields: { ...fields, ...deed.fields },
    personal: { ...personal, 'actor.name': caller.person.login, ...(reason === undefined ? {} : { reason }) },
  };
}

/** The log's `cred` field of a certificate. */
export function credentialFields(credential: Credential): Fields {
  return {
    kind: 'ssh-user',
    serial: String(credential.serial),
    ca_fp: credential.caFingerprint,
    key_id: credential.keyId,
    key_fp: credential.keyFingerprint,
    key_type: credential.keyType,
    principals: credential.principals,
    not_before: toRfc3339(Number(credential.validAfter) * 1000),
    not_after: toRfc3339(Number(credential.validBefore) * 1000),
    profile: credential.profile,
  };
}
