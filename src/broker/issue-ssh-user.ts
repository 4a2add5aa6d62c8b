import type { EntryDraft } from '../accounting/index.ts';
import {
  formatCertificate,
  newKeyId,
  readSubjectKey,
  type LintedSshUser,
  type SubjectKey,
} from '../issuance/index.ts';
import { CodedError, isCodedError } from '../kernel/index.ts';
import type { UserGrant } from '../policy/index.ts';
import { decideWithOwners, refusalError } from './owned-decision.ts';
import { credentialFields, entryBy, stillSignedIn } from './entries.ts';
import { lockedOut } from './open-session.ts';
import type { Rooms, SignedIn } from './rooms.ts';
import { voidSerial } from './void-serial.ts';
import type { Committed, Credential } from './unit-of-work.ts';
import { quorumOutOfReach, waitForQuorum } from './witnessed-release.ts';

export interface SshUserRequest {
  /** In any format that `readSubjectKey` takes. */
  readonly publicKey: string;
  readonly profile?: string;
  readonly principals?: readonly string[];
  /** Only these of what the profile gives; an empty list asks for none. */
  readonly extensions?: readonly string[];
  readonly ttlSeconds?: number;
  readonly reason?: string;
}

export interface IssuedSshUser {
  /** One line, as in a `-cert.pub` file: type, base64, key id. */
  readonly certificate: string;
  readonly credential: Credential;
  readonly grant: UserGrant;
}

/**
 * A session becomes an SSH user certificate. Decide, then sign; record, then release.
 * @throws CodedError the first refusal's `policy.…` code with all of them in its details, `revocation.key_revoked`,
 * `policy.too_many_certificates`, `issuance.authority_key`, `accounting.no_quorum`, `identity.locked_out`, `ssh.…` for a key that cannot be
 * read, `store.…`
 */
export async function issueSshUser(
  rooms: Rooms,
  request: SshUserRequest,
  caller: SignedIn,
): Promise<IssuedSshUser> {
  const { store, clock } = rooms;
  const { person } = caller;
  const atMs = clock.nowMs();

  // 1. The person's hour. First of all, because every refusal below is an entry: a loop of requests must not become a loop of those.
  const quota = await rooms.certificateQuota.take(person.id);
  if (quota.outcome === 'refused') {
    if (quota.first) return refuse(rooms, caller, request, { error: quota.error });
    throw quota.error;
  }

  // 2. What is to be certified, and what stands against it.
  const subject = await subjectKey(rooms, caller, request);
  const state = await store.person(person.id);
  if (state === undefined || state.lockedMs !== undefined) {
    return refuse(rooms, caller, request, { subject, error: lockedOut() });
  }
  if ((await store.revokedKey(subject.fingerprint)) !== undefined) {
    const revoked = new CodedError(
      'revocation.key_revoked',
      `The key ${subject.fingerprint} has been revoked.`,
      {
        next: 'Make a new key with ssh-keygen and ask again.',
      },
    );
    return refuse(rooms, caller, request, { subject, error: revoked });
  }
  // Everybody can read these keys; a certificate over one would be nobody's.
  if ([rooms.issuer, rooms.hosts.issuer].some((one) => one.caKey.blob.equals(subject.key.blob))) {
    const error = new CodedError(
      'issuance.authority_key',
      'This is the key of an authority of this broker.',
      {
        next: 'Send a public key of your own: make one with ssh-keygen.',
      },
    );
    return refuse(rooms, caller, request, { subject, error });
  }

  // 3. Policy decides. Nothing has been signed or reserved.
  const { profile, principals, extensions, ttlSeconds, reason } = request;
  const decision = await decideWithOwners(rooms, person, {
    key: subject.facts,
    sourceAddress: caller.sourceAddress,
    atMs,
    profile,
    principals,
    extensions,
    ttlSeconds,
    reason,
  });
  if (decision.outcome === 'refused') {
    const error = refusalError(decision.refusals);
    const conflict = decision.refusals.find(({ forLog }) => forLog !== undefined)?.forLog;
    return refuse(rooms, caller, request, {
      subject,
      error,
      ...(conflict === undefined ? {} : { conflict }),
    });
  }
  const { grant } = decision;
  const unwitnessed = grant.requireWitness ? quorumOutOfReach(rooms) : undefined;
  if (unwitnessed !== undefined) return refuse(rooms, caller, request, { subject, error: unwitnessed });

  // 4. A serial, reserved durably before it is signed; the certificate, linted; the signature.
  const serial = await rooms.serials.next();
  const keyId = newKeyId(rooms.random);
  let certificate: Buffer;
  try {
    const linted: LintedSshUser = rooms.issuer.lint(grant, { key: subject.key, serial, keyId }, atMs);
    const signed = rooms.issuer.sign(linted);
    certificate = Buffer.isBuffer(signed) ? signed : await signed;
  } catch (error) {
    await voidSerial(rooms, serial, error);
    throw error;
  }

  // 5. One transaction: nobody revoked the person, the session or the key meanwhile; the row, the entry, the tree.
  const credential: Credential = {
    caFingerprint: rooms.issuer.caFingerprint,
    serial,
    keyId,
    personId: person.id,
    login: person.login,
    profile: grant.profile,
    keyType: subject.key.type,
    keyFingerprint: subject.fingerprint,
    principals: grant.principals,
    validAfter: grant.validAfter,
    validBefore: grant.validBefore,
    issuedMs: atMs,
  };
  const settledSerials = rooms.serials.takeSettled();
  let committed: Committed;
  try {
    committed = await store.commit({
      guard: { ...stillSignedIn(caller), keyFingerprint: subject.fingerprint },
      credential,
      // All of them, also those that were the person's own before: they may have been released meanwhile.
      claim: { principals: grant.personalPrincipals, personId: person.id, atMs },
      settledSerials,
      entries: [issueEntry(caller, request, credential, grant)],
    });
  } catch (error) {
    await voidSerial(rooms, serial, error);
    if (isCodedError(error, 'store.conflict')) return refuse(rooms, caller, request, { subject, error });
    throw error;
  }
  rooms.serials.settle(serial);

  // 6. Where the profile says so: not before a quorum of witnesses vouches for the entry.
  if (grant.requireWitness) await waitForQuorum(rooms, { credential, index: committed.firstIndex }, caller);

  // 7. Only now does it leave the process.
  rooms.counters.issued(grant.profile);
  return { certificate: formatCertificate(certificate, keyId), credential, grant };
}

function issueEntry(
  caller: SignedIn,
  request: SshUserRequest,
  credential: Credential,
  grant: UserGrant,
): EntryDraft {
  const options = {
    critical: Object.fromEntries(grant.criticalOptions),
    extensions: [...grant.extensions.keys()],
  };
  return entryBy(caller, {
    type: 'cred.issue',
    timeMs: credential.issuedMs,
    subject: caller.person.id,
    fields: {
      cred: { ...credentialFields(credential), options },
      decision: {
        rule: grant.rule,
        version: grant.policyVersion,
        // What a start after a crash goes by: src/broker/withdraw-unreleased.ts.
        ...(grant.requireWitness && { witness: 'required' }),
      },
    },
    reason: request.reason,
  });
}

/** A key that cannot be read is a refusal like any other: it is recorded. */
async function subjectKey(rooms: Rooms, caller: SignedIn, request: SshUserRequest): Promise<SubjectKey> {
  try {
    return readSubjectKey(request.publicKey);
  } catch (error) {
    if (error instanceof CodedError) return refuse(rooms, caller, request, { error });
    throw error;
  }
}

interface Refused {
  readonly error: CodedError;
  /** Missing when the key itself could not be read. */
  readonly subject?: SubjectKey;
  /** For the log only: whose name it is that the person would have got. */
  readonly conflict?: Readonly<Record<string, string>> | undefined;
}

/** Records the refusal, then refuses. */
async function refuse(
  rooms: Rooms,
  caller: SignedIn,
  request: SshUserRequest,
  { error, subject, conflict }: Refused,
): Promise<never> {
  const { profile, reason } = request;
  const cred = {
    kind: 'ssh-user',
    ...(subject && { key_fp: subject.fingerprint, key_type: subject.key.type }),
  };
  const decision = {
    version: rooms.policy().policyVersion,
    ...(profile !== undefined && { profile: profile.slice(0, 64).toWellFormed() }),
    ...(conflict && { conflict }),
  };
  await rooms.store.commit({
    entries: [
      entryBy(caller, {
        type: 'cred.issue_denied',
        timeMs: rooms.clock.nowMs(),
        reasonCode: error.code,
        subject: caller.person.id,
        fields: { cred, decision },
        reason,
      }),
    ],
  });
  throw error;
}
