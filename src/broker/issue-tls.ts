import type { EntryDraft } from '../accounting/index.ts';
import {
  makeTlsSubject,
  packPkcs12,
  parseServerNames,
  readTlsSubject,
  type NewKeyType,
  type Pkcs12Delivery,
  type Pkcs12Wish,
  type TlsIssuer,
  type TlsSubject,
} from '../issuance/index.ts';
import { CodedError, isCodedError } from '../kernel/index.ts';
import { decideTls, type AskedName, type TlsDecision, type TlsGrant } from '../policy/index.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import { lockedOut } from './open-session.ts';
import { askAboutTls, refusalError } from './owned-decision.ts';
import type { Rooms, SignedIn } from './rooms.ts';
import { tlsFields } from './tls-entries.ts';
import { chainOf, issuerFor, outOfBounds } from './tls-room.ts';
import type { ServedBy, TlsCredential, X509Serial } from './tls-rows.ts';

export interface TlsIssueRequest {
  readonly profile: string;
  /** PEM, or base64 of DER. Undefined: the broker makes the pair. */
  readonly csr?: string;
  readonly newKey?: Pkcs12Wish & { readonly type: NewKeyType };
  /** Further names, beside those of the CSR. */
  readonly names?: readonly string[];
  readonly ttlSeconds?: number;
  readonly reason?: string;
  readonly servedBy?: ServedBy;
}

export interface IssuedTls {
  /** DER. */
  readonly certificate: Buffer;
  readonly issuer: TlsIssuer;
  readonly credential: TlsCredential;
  readonly grant: TlsGrant;
  /** Only where the broker made the pair: kept nowhere once it has left. */
  readonly pkcs12?: Pkcs12Delivery;
}

/**
 * A session and a key become an X.509 certificate. Decide, then sign; record, then release.
 * @throws CodedError the first refusal's `policy.…` code with all of them in its details, `x509.…` for a request that cannot be read,
 * `revocation.key_revoked`, `policy.too_many_certificates`, `identity.locked_out`, `issuance.no_authority`, `issuance.lint`, `store.…`
 */
export async function issueTls(rooms: Rooms, request: TlsIssueRequest, caller: SignedIn): Promise<IssuedTls> {
  const { store, clock } = rooms;
  const { person } = caller;
  const atMs = clock.nowMs();

  // 1. The person's hour, before anything that costs: every refusal below is an entry.
  const quota = await rooms.certificateQuota.take(person.id);
  if (quota.outcome === 'refused') {
    if (quota.first) return refuse(rooms, caller, request, { error: quota.error });
    throw quota.error;
  }

  // 2. What is to be certified. A pair is made only for whom policy would give it: it costs a second of a thread.
  const { subject, names } = await readSubject(rooms, caller, request);
  const state = await store.person(person.id);
  if (state === undefined || state.lockedMs !== undefined)
    return refuse(rooms, caller, request, { subject, error: lockedOut() });
  if (subject !== undefined && (await store.revokedKey(subject.fingerprint)) !== undefined) {
    const error = new CodedError(
      'revocation.key_revoked',
      `The key ${subject.fingerprint} has been revoked.`,
      {
        next: 'Make a new key and ask again.',
      },
    );
    return refuse(rooms, caller, request, { subject, error });
  }

  // 3. Policy decides. Nothing has been signed.
  const decision = await decideWithOwner(rooms, caller, request, { subject, names, atMs });
  if (decision.outcome === 'refused')
    return refuse(rooms, caller, request, { subject, error: refusalError(decision.refusals, askAboutTls) });
  const { grant } = decision;

  // 4. The certificate, linted, and the signature.
  const issuer = issuerFor(rooms.tls, grant.kind);
  const error = outOfBounds(issuer, grant);
  if (error !== undefined) return refuse(rooms, caller, request, { subject, error });
  const own = subject ?? (await makeTlsSubject(newKeyOf(request)));
  const linted = issuer.lint(grant, own.publicKey);
  const certificate = await issuer.sign(linted);

  const month = new Date(atMs).toISOString().slice(0, 7);
  const packed = await packPkcs12(
    own,
    { certificate, chain: wholeChain(rooms, issuer), label: `${grant.commonName.slice(0, 40)}-${month}` },
    request.newKey ?? { encryption: 'modern' },
    rooms.random,
  );

  // 5. One transaction: nobody revoked the person, the session or the key meanwhile; the row, the entry, the tree.
  const credential: TlsCredential = {
    ...rowOf({ grant, issuer, subject: own, serial: linted.serial as X509Serial, atMs }),
    personId: person.id,
    login: person.login,
    ...(grant.kind === 'tls-server' ? {} : { subjectId: person.id }),
    ...(request.servedBy && { servedBy: request.servedBy }),
  };
  try {
    await store.commit({
      guard: { ...stillSignedIn(caller), keyFingerprint: own.fingerprint },
      ...(grant.personal.length > 0 && {
        claim: { principals: grant.personal, personId: person.id, atMs },
      }),
      tls: { credential },
      entries: [issueEntry(caller, request, credential, grant)],
    });
  } catch (error) {
    if (isCodedError(error, 'store.conflict')) return refuse(rooms, caller, request, { subject: own, error });
    throw error;
  }

  // 6. Only now does it leave the process.
  rooms.counters.issued(grant.profile);
  return { certificate, issuer, credential, grant, ...(packed && { pkcs12: packed }) };
}

interface Made {
  readonly grant: TlsGrant;
  readonly issuer: TlsIssuer;
  readonly subject: TlsSubject;
  readonly serial: X509Serial;
  readonly atMs: number;
}

/** The row of a certificate, without whose it is. */
export function rowOf({
  grant,
  issuer,
  subject,
  serial,
  atMs,
}: Made): Omit<TlsCredential, 'personId' | 'login'> {
  return {
    caFingerprint: issuer.caFingerprint,
    serial,
    kind: grant.kind,
    profile: grant.profile,
    commonName: grant.commonName,
    names: grant.names.map(({ kind, value }) => `${kind}:${value}`),
    keyType: subject.facts.type,
    keyFingerprint: subject.fingerprint,
    notBefore: grant.notBefore,
    notAfter: grant.notAfter,
    issuedMs: atMs,
  };
}

/** With the root: a key store is to have all of it. */
function wholeChain({ tls }: Rooms, issuer: TlsIssuer): readonly Buffer[] {
  return [...chainOf(issuer), ...(tls === undefined ? [] : [tls.root])];
}

const newKeyOf = (request: TlsIssueRequest): NewKeyType => request.newKey?.type ?? 'rsa-2048';

async function decideWithOwner(
  rooms: Rooms,
  caller: SignedIn,
  request: TlsIssueRequest,
  { subject, names, atMs }: Read & { readonly atMs: number },
): Promise<TlsDecision> {
  const type = newKeyOf(request);
  const asked = {
    profile: request.profile,
    key: subject?.facts ?? factsOf(type),
    newKey: subject === undefined,
    names,
    commonName: subject?.commonName,
    ttlSeconds: request.ttlSeconds,
    reason: request.reason,
    atMs,
  };
  const policy = rooms.policy();
  const first = decideTls(policy, caller.person, asked, () => undefined);
  if (first.outcome === 'refused' || first.grant.personal.length === 0) return first;
  const owners = await rooms.store.principalOwners(first.grant.personal);
  return decideTls(policy, caller.person, asked, (principal) => owners.get(principal));
}

function factsOf(type: NewKeyType): TlsSubject['facts'] {
  const bits = Number(/\d+$/.exec(type)?.[0]);
  return { type: type.startsWith('rsa') ? 'rsa' : type, bits };
}

function issueEntry(
  caller: SignedIn,
  request: TlsIssueRequest,
  credential: TlsCredential,
  grant: TlsGrant,
): EntryDraft {
  return entryBy(caller, {
    type: 'cred.issue',
    timeMs: credential.issuedMs,
    subject: caller.person.id,
    fields: { cred: tlsFields(credential), decision: { rule: grant.rule, version: grant.policyVersion } },
    reason: request.reason,
  });
}

interface Read {
  /** Undefined: the pair is to be made. */
  readonly subject: TlsSubject | undefined;
  readonly names: readonly AskedName[];
}

/** A request that cannot be read is a refusal like any other: it is recorded. */
async function readSubject(rooms: Rooms, caller: SignedIn, request: TlsIssueRequest): Promise<Read> {
  const { csr, names: further = [] } = request;
  try {
    if (csr === undefined) return { subject: undefined, names: parseServerNames(further) };
    const subject = readTlsSubject(csr, further);
    return { subject, names: subject.names };
  } catch (error) {
    if (error instanceof CodedError) return refuse(rooms, caller, request, { error });
    throw error;
  }
}

interface Refused {
  readonly error: CodedError;
  readonly subject?: TlsSubject | undefined;
}

/** Records the refusal, then refuses. */
async function refuse(
  rooms: Rooms,
  caller: SignedIn,
  request: TlsIssueRequest,
  { error, subject }: Refused,
): Promise<never> {
  const policy = rooms.policy();
  const kind = policy.tlsProfiles.get(request.profile)?.kind ?? 'tls-server';
  const cred = {
    kind,
    ...(subject && { key_fp: subject.fingerprint, key_type: subject.facts.type }),
  };
  const decision = {
    version: policy.policyVersion,
    profile: request.profile.slice(0, 64).toWellFormed(),
  };
  await rooms.store.commit({
    entries: [
      entryBy(caller, {
        type: 'cred.issue_denied',
        timeMs: rooms.clock.nowMs(),
        reasonCode: error.code,
        subject: caller.person.id,
        fields: { cred, decision },
        reason: request.reason,
      }),
    ],
  });
  throw error;
}
