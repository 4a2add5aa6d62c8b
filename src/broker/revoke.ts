import type { EntryDraft } from '../accounting/index.ts';
import { readSubjectKey } from '../issuance/index.ts';
import {
  CodedError,
  findX509Serial,
  parseKeyId,
  parseRfc3339,
  parseSerial,
  printable,
  type PersonId,
} from '../kernel/index.ts';
import { expiredMarginSeconds } from '../revocation/index.ts';
import { credentialFields, entryBy, stillSignedIn } from './entries.ts';
import { findPerson, type KnownPerson } from './find-person.ts';
import { ownLock } from './lock-person.ts';
import type { Rooms, SignedIn } from './rooms.ts';
import { tlsFields } from './tls-entries.ts';
import { publishCrls } from './tls-room.ts';
import type { RevocationReason } from './tls-words.ts';
import type { StoredTlsCredential, TlsTarget, X509Serial } from './tls-rows.ts';
import type { Change, Credential, CredentialTarget, Publication, Reads } from './unit-of-work.ts';

export interface RevokeRequest {
  readonly target: { readonly kind: CredentialTarget['kind']; readonly value: string };
  /** What CRL and OCSP say; undefined: what goes with the target. */
  readonly code?: RevocationReason | undefined;
  readonly reason: string;
  /** Also refuses new logins of the person until `unlock`. Only with a person. */
  readonly lock: boolean;
  /** False rehearses: everything is looked up, nothing changes. */
  readonly apply: boolean;
}

export interface Revoked {
  readonly applied: boolean;
  /** What was (or would be) cut off. */
  readonly credentials: readonly Credential[];
  /** The same of certificates for TLS: with a person their own, and never those of servers that they asked for. */
  readonly tlsCredentials: readonly StoredTlsCredential[];
  /** Sessions of the people behind them, which end with them. */
  readonly sessions: number;
  readonly lockedPerson?: KnownPerson;
  /** The list that carries it, already being served. */
  readonly published?: Publication;
}

/**
 * Revocation is one act: every live credential that the target names, the sessions of the people behind them, the lock, the
 * entries, in one transaction; then the list, read back, recorded and served before the answer goes out.
 * @throws CodedError `revocation.unknown_target`, `revocation.bad_target`, `revocation.own_lock` and `store.…`, which change
 * nothing; `revocation.not_published` when only the list is missing
 */
export async function revoke(rooms: Rooms, request: RevokeRequest, caller: SignedIn): Promise<Revoked> {
  // 1. What is meant, beyond doubt.
  const person = request.target.kind === 'person' ? await findPerson(rooms, request.target.value) : undefined;
  if (request.lock && person === undefined) {
    throw new CodedError('revocation.bad_target', 'Only a person can be locked.', {
      next: 'Use --person with --lock.',
    });
  }
  if (request.lock && person?.id === caller.person.id) throw ownLock();
  const target = resolveTarget(rooms, request, person);
  if (person === undefined && !(await everIssued(rooms.store, target))) {
    throw new CodedError('revocation.unknown_target', `Nothing was ever issued for ${describe(request)}.`, {
      next: 'Check the value; `sallyport admin issued` lists what was issued. Nothing has been changed.',
    });
  }
  const lockedPerson = request.lock ? person : undefined;

  // 2. The rehearsal answers from the same questions as the act. It is a look at somebody's credentials, and recorded as one.
  if (!request.apply) {
    // The typed name of a person is personal: an entry is for ever, so their id stands there.
    const value = person?.id ?? printable(request.target.value, 128);
    const fields = { target: { kind: `revoke ${request.target.kind}`, value } };
    const timeMs = rooms.clock.nowMs();
    const entry = entryBy(caller, { type: 'log.read', timeMs, subject: person?.id, fields });
    await rooms.store.commit({ guard: stillSignedIn(caller), entries: [entry] });
    const {
      credentials,
      tls: tlsCredentials,
      sessions,
    } = await hits(rooms.store, target, rooms.clock.nowMs());
    const hit = { credentials, tlsCredentials, sessions: total(sessions) };
    return { applied: false, ...hit, ...(lockedPerson && { lockedPerson }) };
  }

  // 3. The act.
  const done = await rooms.store.transact(async (reads) => {
    const nowMs = rooms.clock.nowMs();
    const found = await hits(reads, target, nowMs);
    const revoked = { revokedMs: nowMs, revokedReason: request.reason };
    const revokedCode = codeOf(request, target);
    return {
      change: changeFor(request, { target, person, nowMs, ...found }, caller),
      result: {
        credentials: found.credentials.map((credential) => ({ ...credential, ...revoked })),
        tlsCredentials: found.tls.map((credential) => ({ ...credential, ...revoked, revokedCode })),
        sessions: total(found.sessions),
      },
    };
  });
  rooms.counters.revoked(done.credentials.length + done.tlsCredentials.length);

  // 4. The lists. What was committed is in them, or in ones that are already out.
  const published = await publish(rooms, target, done.tlsCredentials);
  return { applied: true, ...done, ...(published && { published }), ...(lockedPerson && { lockedPerson }) };
}

/** A serial tells by its length which of the two it is. */
type Target = CredentialTarget | { readonly kind: 'x509'; readonly serial: X509Serial };

/** What the target means among certificates for TLS; undefined: nothing. */
function tlsTarget(target: Target): TlsTarget | undefined {
  if (target.kind === 'x509') return { kind: 'serial', serial: target.serial };
  return target.kind === 'serial' || target.kind === 'key_id' ? undefined : target;
}

async function everIssued(reads: Reads, target: Target): Promise<boolean> {
  if (target.kind !== 'x509' && (await reads.everIssued(target))) return true;
  const tls = tlsTarget(target);
  return tls !== undefined && reads.everIssuedTls(tls);
}

async function publish(
  rooms: Rooms,
  target: Target,
  tls: readonly StoredTlsCredential[],
): Promise<Publication | undefined> {
  const authorities = new Set(tls.map(({ caFingerprint }) => caFingerprint));
  try {
    const [krl] = await Promise.all([
      target.kind === 'x509' ? undefined : rooms.krl.publish(),
      rooms.tls !== undefined && authorities.size > 0 ? publishCrls(rooms.tls, authorities) : undefined,
    ]);
    return krl;
  } catch (error) {
    throw new CodedError(
      'revocation.not_published',
      'The revocation is recorded and the broker refuses what was revoked, but the new list could not be published yet.',
      {
        next: 'The broker tries again every second; if the list does not change, tell whoever runs the broker.',
        cause: error,
      },
    );
  }
}

function resolveTarget(rooms: Rooms, { target }: RevokeRequest, person: KnownPerson | undefined): Target {
  switch (target.kind) {
    case 'person':
      if (person === undefined) throw new CodedError('revocation.unknown_target', 'Nobody is meant.');
      return { kind: 'person', personId: person.id };
    case 'serial': {
      const serial = findX509Serial(target.value) as X509Serial | undefined;
      if (serial !== undefined) return { kind: 'x509', serial };
      return { kind: 'serial', serial: parseSerial(target.value), caFingerprint: rooms.issuer.caFingerprint };
    }
    case 'key':
      return { kind: 'key', fingerprint: asFingerprint(target.value) };
    case 'key_id':
      return { kind: 'key_id', keyId: parseKeyId(target.value) };
    case 'before': {
      const beforeMs = parseRfc3339(target.value);
      if (beforeMs === undefined || beforeMs > rooms.clock.nowMs() + 60_000) {
        throw new CodedError(
          'revocation.bad_target',
          `“${printable(target.value, 60)}” is not a time in the past.`,
          { next: 'Write it as RFC 3339 with a zone, for example 2026-11-23T16:00:00Z.' },
        );
      }
      return { kind: 'before', beforeMs };
    }
  }
}

function asFingerprint(value: string): string {
  const text = value.trim();
  if (!text.startsWith('SHA256:')) return readSubjectKey(text).fingerprint;
  if (/^SHA256:[A-Za-z0-9+/]{43}$/.test(text)) return text;
  throw new CodedError('revocation.bad_target', `“${printable(text, 80)}” is not a SHA-256 fingerprint.`, {
    next: 'Give SHA256: and 43 characters, as `ssh-keygen -l` prints it, or the public key file.',
  });
}

interface Hits {
  readonly credentials: readonly Credential[];
  readonly tls: readonly StoredTlsCredential[];
  /** Live sessions of everybody behind the target. */
  readonly sessions: ReadonlyMap<PersonId, number>;
}

async function hits(reads: Reads, target: Target, nowMs: number): Promise<Hits> {
  const thenMs = nowMs - Number(expiredMarginSeconds) * 1000;
  const among = tlsTarget(target);
  const tls = among === undefined ? [] : await reads.liveTls(among, thenMs);
  // Those that expired a moment ago as well: a host whose clock is behind, or ours that was ahead, would still take them.
  const credentials = target.kind === 'x509' ? [] : await reads.liveCredentials(target, thenMs);
  const people = new Set(credentials.map(({ personId }) => personId));
  for (const { subjectId } of tls) if (subjectId !== undefined) people.add(subjectId);
  if (target.kind === 'person') people.add(target.personId);
  const sessions = new Map<PersonId, number>();
  for (const personId of people) sessions.set(personId, await reads.sessionsOf(personId, nowMs));
  return { credentials, tls, sessions };
}

function total(sessions: Hits['sessions']): number {
  return [...sessions.values()].reduce((sum, count) => sum + count, 0);
}

interface Act extends Hits {
  readonly target: Target;
  readonly person: KnownPerson | undefined;
  readonly nowMs: number;
}

/** RFC 5280 section 5.3.1. */
const codeFor: Readonly<Record<Target['kind'], RevocationReason>> = {
  person: 'privilegeWithdrawn',
  key: 'keyCompromise',
  serial: 'unspecified',
  x509: 'unspecified',
  key_id: 'unspecified',
  before: 'unspecified',
};

function codeOf({ code }: RevokeRequest, { kind }: Target): RevocationReason {
  return code ?? codeFor[kind];
}

function changeFor(request: RevokeRequest, act: Act, caller: SignedIn): Change {
  const { target, person, credentials, tls, nowMs } = act;
  const { reason, lock } = request;
  return {
    guard: stillSignedIn(caller),
    ...(person && {
      seenPerson: { personId: person.id, directory: person.directory, login: person.login, atMs: nowMs },
    }),
    expel: { people: [...act.sessions.keys()], atMs: nowMs },
    ...(person && lock && { lock: { personId: person.id, atMs: nowMs, reason } }),
    // A certificate of that time may be under way, decided and not committed.
    ...(target.kind === 'before' && { voidDecisions: true }),
    ...(target.kind !== 'x509' && { revoke: { credentials, atMs: nowMs, reason } }),
    ...(tls.length > 0 && {
      tls: {
        revoke: {
          serials: tls.map(({ serial }) => serial),
          atMs: nowMs,
          reason,
          code: codeOf(request, target),
        },
      },
    }),
    ...(target.kind === 'key' && {
      revokeKey: { fingerprint: target.fingerprint, revokedMs: nowMs, reason },
    }),
    ...(target.kind === 'key_id' && { revokeKeyIds: credentials }),
    entries: entriesFor(request, act, caller),
  };
}

function entriesFor(request: RevokeRequest, act: Act, caller: SignedIn): readonly EntryDraft[] {
  const { person, target, nowMs: timeMs } = act;
  const { reason } = request;
  const entries = act.credentials.map((credential) =>
    entryBy(caller, {
      type: 'cred.revoke',
      timeMs,
      subject: credential.personId,
      fields: { cred: credentialFields(credential) },
      reason,
    }),
  );
  for (const credential of act.tls)
    entries.push(
      entryBy(caller, {
        type: 'cred.revoke',
        timeMs,
        subject: credential.subjectId ?? credential.personId,
        fields: { cred: tlsFields(credential, codeOf(request, target)) },
        reason,
      }),
    );
  for (const [subject, ended] of act.sessions) {
    if (ended === 0 && subject !== person?.id) continue;
    entries.push(
      entryBy(caller, { type: 'session.revoke', timeMs, subject, fields: { sessions: { ended } }, reason }),
    );
  }
  if (request.lock)
    entries.push(entryBy(caller, { type: 'subject.lock', timeMs, subject: person?.id, reason }));
  if (person === undefined) {
    // The act itself, also where nothing live was hit: a revoked key must not be certified again.
    const value = target.kind === 'key' ? target.fingerprint : printable(request.target.value, 128);
    const kind = target.kind === 'x509' ? 'serial' : target.kind;
    const fields = { target: { kind, value, hits: act.credentials.length + act.tls.length } };
    entries.push(entryBy(caller, { type: 'cred.revoke', timeMs, fields, reason }));
  }
  return entries;
}

function describe({ target }: RevokeRequest): string {
  const value = printable(target.value, 80);
  const names = {
    person: 'the person',
    serial: 'serial',
    key: 'the key',
    key_id: 'key id',
    before: 'the time before',
  } as const;
  return `${names[target.kind]} ${value}`;
}
