import type { EntryDraft } from '../accounting/index.ts';
import { readRenewal, type Renewal, type TlsIssuer } from '../issuance/index.ts';
import { CodedError } from '../kernel/index.ts';
import { decideTlsRenewal, type TlsGrant } from '../policy/index.ts';
import { fromCaller } from './entries.ts';
import { rowOf } from './issue-tls.ts';
import { askAboutTls, refusalError } from './owned-decision.ts';
import type { Caller, Rooms } from './rooms.ts';
import { tlsFields } from './tls-entries.ts';
import { issuerFor, outOfBounds } from './tls-room.ts';
import type { StoredTlsCredential, TlsCredential, X509Serial } from './tls-rows.ts';

export interface TlsRenewRequest {
  /** PEM: the certificate that is to be renewed. */
  readonly certificate: string;
  /** PEM. */
  readonly csr: string;
  /** RFC 3339: when it was signed. */
  readonly time: string;
  /** Base64: by the key of the certificate, over what `renewalStatement` says. */
  readonly signature: string;
  readonly ttlSeconds?: number;
}

export interface RenewedTls {
  /** DER. */
  readonly certificate: Buffer;
  readonly issuer: TlsIssuer;
  readonly credential: TlsCredential;
}

/**
 * A server's certificate is renewed by whoever holds its key: no session, no person. The new one is good for the same names and no
 * others, as long as the profile gives them still. Those of people are not renewed: they ask anew, and the directory is asked with them.
 * @throws CodedError `issuance.bad_renewal` for a proof that does not hold, whatever is wrong with it; `issuance.not_renewable`,
 * `policy.…`, `revocation.key_revoked`, `x509.…`, `store.…`
 */
export async function renewTls(rooms: Rooms, request: TlsRenewRequest, caller: Caller): Promise<RenewedTls> {
  const { store, clock } = rooms;
  const atMs = clock.nowMs();

  // 1. The proof: whoever cannot make it learns nothing, and nothing is recorded of them.
  const renewal = readRenewal(request, atMs);
  const old = await store.tlsCredential(renewal.serial as X509Serial);
  if (old === undefined || old.keyFingerprint !== renewal.oldKeyFingerprint) throw unknown();
  const quota = await rooms.certificateQuota.take(`tls:${old.serial}`);
  if (quota.outcome === 'refused') throw quota.error;

  // 2. What stands against it.
  if (Number(old.notAfter) * 1000 < atMs || old.revokedMs !== undefined || old.kind !== 'tls-server') {
    const error = new CodedError(
      'issuance.not_renewable',
      'This certificate has ended, was revoked, or is a person’s.',
      {
        next: 'Get a new one with `sallyport tls issue`.',
      },
    );
    return refuse(rooms, { old, renewal, caller }, error);
  }
  for (const fingerprint of [old.keyFingerprint, renewal.subject.fingerprint])
    if ((await store.revokedKey(fingerprint)) !== undefined) {
      const error = new CodedError('revocation.key_revoked', `The key ${fingerprint} has been revoked.`, {
        next: 'Make a new key, and get a new certificate with `sallyport tls issue`.',
      });
      return refuse(rooms, { old, renewal, caller }, error);
    }

  // 3. Policy: the same names, if the profile still gives them.
  const grant = decide(rooms, { old, renewal, request, atMs });
  if (grant instanceof CodedError) return refuse(rooms, { old, renewal, caller }, grant);

  // 4. The certificate, linted, and the signature.
  const issuer = issuerFor(rooms.tls, grant.kind);
  const error = outOfBounds(issuer, grant);
  if (error !== undefined) return refuse(rooms, { old, renewal, caller }, error);
  const linted = issuer.lint(grant, renewal.subject.publicKey);
  const certificate = await issuer.sign(linted);

  // 5. One transaction, in which the old one is still good.
  const credential: TlsCredential = {
    ...rowOf({ grant, issuer, subject: renewal.subject, serial: linted.serial as X509Serial, atMs }),
    personId: old.personId,
    login: old.login,
    renews: old.serial,
    ...(old.servedBy && { servedBy: old.servedBy }),
  };
  await store.transact(async (reads) => {
    if ((await reads.tlsCredential(old.serial))?.revokedMs !== undefined)
      throw new CodedError('store.conflict', 'The certificate was revoked while the request was under way.');
    return {
      change: {
        guard: { keyFingerprint: renewal.subject.fingerprint },
        tls: { credential },
        entries: [renewEntry(caller, credential, grant)],
      },
      result: undefined,
    };
  });

  // 6. Only now does it leave the process.
  rooms.counters.issued(grant.profile);
  return { certificate, issuer, credential };
}

interface Asked {
  readonly old: StoredTlsCredential;
  readonly renewal: Renewal;
}

function decide(
  rooms: Rooms,
  { old, renewal, request, atMs }: Asked & { readonly request: TlsRenewRequest; readonly atMs: number },
): TlsGrant | CodedError {
  const names = old.names.map((name) => ({
    kind: name.slice(0, name.indexOf(':')),
    value: name.slice(name.indexOf(':') + 1),
  }));
  const { subject } = renewal;
  const wished = [...subject.names, ...(subject.commonName === undefined ? [] : [subject.commonName])];
  const foreign = wished.find(({ value }) => !names.some((name) => name.value === value));
  if (foreign !== undefined) {
    return new CodedError('policy.name_not_allowed', 'A renewal is good for the same names only.', {
      next: 'Leave the names out of the CSR, or get a new certificate with `sallyport tls issue`.',
    });
  }
  const main = names.find(({ value }) => value === old.commonName);
  const decision = decideTlsRenewal(rooms.policy(), {
    profile: old.profile,
    key: subject.facts,
    newKey: false,
    // The name of a KDC comes from the profile, as it did the first time.
    names: names.filter(({ kind }) => kind !== 'kerberos'),
    commonName: main,
    ttlSeconds: request.ttlSeconds,
    atMs,
  });
  return decision.outcome === 'granted' ? decision.grant : refusalError(decision.refusals, askAboutTls);
}

function renewEntry(caller: Caller, credential: TlsCredential, grant: TlsGrant): EntryDraft {
  const { fields, personal } = fromCaller(caller);
  return {
    type: 'cred.issue',
    outcome: 'success',
    timeMs: credential.issuedMs,
    // Whoever holds the key: nobody said who that is.
    actor: { kind: 'unknown', auth: 'key' },
    subject: { uid: credential.personId },
    fields: {
      ...fields,
      cred: tlsFields(credential),
      decision: { rule: grant.rule, version: grant.policyVersion },
    },
    personal,
  };
}

function unknown(): CodedError {
  return new CodedError(
    'issuance.bad_renewal',
    'The proof does not belong to a certificate of this broker.',
    {
      next: 'Sign with the key of the certificate that is to be renewed, and send both.',
    },
  );
}

/** Records the refusal, then refuses. */
async function refuse(
  rooms: Rooms,
  { old, renewal, caller }: Asked & { readonly caller: Caller },
  error: CodedError,
): Promise<never> {
  const { fields, personal } = fromCaller(caller);
  await rooms.store.commit({
    entries: [
      {
        type: 'cred.issue_denied',
        outcome: 'denied',
        reasonCode: error.code,
        timeMs: rooms.clock.nowMs(),
        actor: { kind: 'unknown', auth: 'key' },
        subject: { uid: old.personId },
        fields: {
          ...fields,
          cred: { kind: old.kind, key_fp: renewal.subject.fingerprint, key_type: renewal.subject.facts.type },
          decision: { version: rooms.policy().policyVersion, profile: old.profile },
        },
        personal,
      },
    ],
  });
  throw error;
}
