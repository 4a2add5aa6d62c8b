import { openedValues } from '../../broker/index.ts';
import type {
  Credential,
  ExplainedCertificate,
  Explanation,
  LoggedIn,
  Publication,
  SinkState,
  StoredEntry,
} from '../../broker/index.ts';
import { viewTls } from './views-tls.ts';

const at = (timeMs: number): string => new Date(timeMs).toISOString();
const atSeconds = (seconds: bigint): string => at(Number(seconds) * 1000);

type Person = LoggedIn['person'];

/** What JSON shows of things: times as RFC 3339, 64-bit numbers as decimal strings. */
export function viewPerson({ id, login, directory, displayName }: Person): object {
  return { id, login, directory, ...(displayName === undefined ? {} : { displayName }) };
}

export function viewCredential(credential: Credential, nowMs: number): object {
  const { revokedMs, revokedReason } = credential;
  const expired = Number(credential.validBefore) * 1000 <= nowMs;
  return {
    serial: String(credential.serial),
    keyId: credential.keyId,
    caFingerprint: credential.caFingerprint,
    person: { id: credential.personId, login: credential.login },
    profile: credential.profile,
    keyType: credential.keyType,
    keyFingerprint: credential.keyFingerprint,
    principals: credential.principals,
    validAfter: atSeconds(credential.validAfter),
    validBefore: atSeconds(credential.validBefore),
    issuedAt: at(credential.issuedMs),
    state: revokedMs !== undefined ? 'revoked' : expired ? 'expired' : 'live',
    ...(revokedMs === undefined ? {} : { revokedAt: at(revokedMs), revokedReason }),
  };
}

export function viewPublication({ version, sha256, bytes, publishedMs }: Publication): object {
  return { version: String(version), sha256, sizeBytes: bytes.length, publishedAt: at(publishedMs) };
}

export function viewExplanation({ person, decision }: Explanation): object {
  const base = {
    person: person === undefined ? null : viewPerson(person),
    outcome: decision.outcome,
    steps: decision.steps,
  };
  if (decision.outcome === 'refused') {
    return { ...base, refusals: decision.refusals.map(({ code, message }) => ({ code, message })) };
  }
  const { profile, rule, principals, validAfter, validBefore, criticalOptions, extensions } = decision.grant;
  return {
    ...base,
    grant: {
      profile,
      rule,
      principals,
      validAfter: atSeconds(validAfter),
      validBefore: atSeconds(validBefore),
      criticalOptions: Object.fromEntries(criticalOptions),
      extensions: Object.fromEntries(extensions),
    },
  };
}

/** An entry with the clear values of its commitments that are still held, and the names of those that are not what was recorded. */
export function viewEntry(entry: StoredEntry): object {
  const { values, altered } = openedValues(entry);
  return {
    index: String(entry.index),
    entry: JSON.parse(entry.bytes.toString('utf8')) as unknown,
    openings: entry.openings === undefined ? null : values,
    ...(altered.length === 0 ? {} : { altered }),
  };
}

export function viewExplained(
  serial: bigint | string,
  { credential, tlsCredential, entries, nowMs }: ExplainedCertificate,
): object {
  return {
    serial: String(serial),
    ...(credential === undefined ? {} : { credential: viewCredential(credential, nowMs) }),
    ...(tlsCredential === undefined ? {} : { tlsCredential: viewTls(tlsCredential, nowMs) }),
    entries: entries.map(viewEntry),
  };
}

/** Without the words of the failure, which may name files and servers: those are for whoever runs the broker. */
export function viewSink({ name, kind, format, state, ...sink }: SinkState): object {
  const { next, lag, lastDeliveredMs, failure } = sink;
  return {
    name,
    kind,
    format,
    state,
    next: String(next),
    lag: String(lag),
    ...(lastDeliveredMs === undefined ? {} : { lastDeliveredAt: at(lastDeliveredMs) }),
    ...(failure === undefined ? {} : { failingSince: at(failure.sinceMs), code: failure.code }),
  };
}
