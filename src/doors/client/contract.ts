import type { Serial } from '../../kernel/index.ts';
import { toRfc3339 } from '../../kernel/index.ts';
import type { Answer } from './answer.ts';
import { readTlsCertificate, type TlsCertificate } from './tls-client.ts';

/** Printable ASCII without white space: what an Authorization header can carry (RFC 9110 section 11.2). */
export const tokenGrammar = /^[A-Za-z0-9._~+/=-]{16,1024}$/;
const fingerprintGrammar = /^SHA256:[A-Za-z0-9+/]{43}$/;
/** One line `type base64 [comment]`, as OpenSSH writes it. */
const keyLineGrammar = /^[a-z0-9@.-]{1,64} [A-Za-z0-9+/]+={0,2}(?: [^\p{Cc}]*)?$/u;

export interface SessionOwner {
  readonly person: {
    readonly id: string;
    readonly login: string;
    readonly directory: string;
    readonly displayName?: string;
  };
  readonly roles: readonly string[];
}

/**
 * `person` and `roles`, as `/v1/login`, `/v1/session` and the session file have them.
 * @throws CodedError `client.bad_answer`
 */
export function readOwner(answer: Answer): SessionOwner {
  const person = answer.object('person');
  const displayName = person.optionalText('displayName', 400);
  return {
    person: {
      id: person.text('id', 200),
      login: person.text('login', 400),
      directory: person.text('directory', 100),
      ...(displayName === undefined ? {} : { displayName }),
    },
    roles: answer.texts('roles', 10, 40),
  };
}

export interface LoginAnswer extends SessionOwner {
  readonly token: string;
  readonly expiresAtMs: number;
}

/**
 * Answer of `POST /v1/login`; the token has only characters that a header can carry.
 * @throws CodedError `client.bad_answer`
 */
export function readLogin(answer: Answer): LoginAnswer {
  return {
    token: answer.token('token', tokenGrammar),
    expiresAtMs: answer.time('expiresAt'),
    ...readOwner(answer),
  };
}

export interface SessionAnswer extends SessionOwner {
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

/** Answer of `GET /v1/session`. @throws CodedError `client.bad_answer` */
export function readSession(answer: Answer): SessionAnswer {
  return {
    ...readOwner(answer),
    createdAtMs: answer.time('createdAt'),
    expiresAtMs: answer.time('expiresAt'),
  };
}

/** What is asked for; whatever is left out means "what policy gives". */
export interface SignRequest {
  readonly profile?: string;
  readonly principals?: readonly string[];
  /** Only these; an empty list asks for none. */
  readonly extensions?: readonly string[];
  readonly ttlSeconds?: number;
  readonly reason?: string;
}

export interface SignAnswer {
  /** One line `type base64 comment`; the caller parses it and believes that, not the other fields. */
  readonly certificate: string;
  readonly serial: Serial;
  readonly keyId: string;
  readonly profile: string;
  readonly caFingerprint: string;
}

/**
 * Answer of `POST /v1/ssh/sign`. The certificate is one line of the right form, not yet parsed.
 * @throws CodedError `client.bad_answer`
 */
export function readSigned(answer: Answer): SignAnswer {
  return {
    certificate: answer.token('certificate', keyLineGrammar, 64 * 1024),
    serial: answer.serial('serial'),
    keyId: answer.text('keyId', 100),
    profile: answer.text('profile', 100),
    caFingerprint: answer.token('caFingerprint', fingerprintGrammar),
  };
}

export interface NamedKey {
  readonly publicKey: string;
  readonly fingerprint: string;
}

export interface AuthorityAnswer {
  readonly sshUserCa: NamedKey & { readonly algorithm: string };
  /** Undefined: a broker from before there were host certificates. */
  readonly sshHostCa?: NamedKey & { readonly algorithm: string };
  readonly listKey: NamedKey;
  /** `quorum`: whose cosignatures the broker asks for; undefined: nobody’s. */
  readonly log: {
    readonly origin: string;
    readonly verifierKey: string;
    readonly quorum?: string;
  };
}

/**
 * Answer of `GET /v1/ca`. That each fingerprint is the one of its key is for the caller to check.
 * @throws CodedError `client.bad_answer`
 */
export function readAuthority(answer: Answer): AuthorityAnswer {
  const log = answer.object('log');
  return {
    sshUserCa: readCa(answer.object('sshUserCa')),
    ...(answer.has('sshHostCa') ? { sshHostCa: readCa(answer.object('sshHostCa')) } : {}),
    listKey: readNamedKey(answer.object('listKey')),
    log: {
      origin: log.token('origin', /^[^\s+\p{Cc}]+$/u, 400),
      // C2SP signed-note verifier key: name+hash+base64.
      verifierKey: log.token('verifierKey', /^[^\s+\p{Cc}]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*$/u, 1000),
      ...(log.has('quorum') ? { quorum: log.text('quorum', 1000) } : {}),
    },
  };
}

function readCa(ca: Answer): AuthorityAnswer['sshUserCa'] {
  return { ...readNamedKey(ca), algorithm: ca.token('algorithm', /^[a-z0-9-]+$/, 64) };
}

function readNamedKey(answer: Answer): NamedKey {
  return {
    publicKey: answer.token('publicKey', keyLineGrammar, 16 * 1024),
    fingerprint: answer.token('fingerprint', fingerprintGrammar),
  };
}

export interface Explanation {
  readonly person: { readonly id: string; readonly login: string; readonly directory: string } | undefined;
  readonly outcome: 'granted' | 'refused';
  readonly grant:
    | {
        readonly profile: string;
        readonly rule: string;
        readonly principals: readonly string[];
        readonly validAfterMs: number;
        readonly validBeforeMs: number;
        readonly criticalOptions: ReadonlyMap<string, string>;
        readonly extensions: ReadonlyMap<string, string>;
      }
    | undefined;
  readonly refusals: readonly { readonly code: string; readonly message: string }[];
  readonly steps: readonly {
    readonly part: string;
    readonly outcome: 'given' | 'refused' | 'skipped';
    readonly because: string;
    readonly line: number | undefined;
  }[];
}

/** Answer of `GET /v1/policy/explain`. @throws CodedError `client.bad_answer` */
export function readExplanation(answer: Answer): Explanation {
  const person = answer.optionalObject('person');
  const grant = answer.optionalObject('grant');
  return {
    person: person && {
      id: person.text('id', 200),
      login: person.text('login', 400),
      directory: person.text('directory', 100),
    },
    outcome: answer.word('outcome', ['granted', 'refused']),
    grant: grant && {
      profile: grant.text('profile', 100),
      rule: grant.text('rule'),
      principals: grant.texts('principals', 256, 200),
      validAfterMs: grant.time('validAfter'),
      validBeforeMs: grant.time('validBefore'),
      criticalOptions: grant.textMap('criticalOptions'),
      extensions: grant.textMap('extensions'),
    },
    refusals: answer.has('refusals')
      ? answer.objects('refusals', 100).map((refusal) => ({
          code: refusal.text('code', 100),
          message: refusal.text('message'),
        }))
      : [],
    steps: answer.objects('steps', 1000).map((step) => ({
      part: step.text('part', 200),
      outcome: step.word('outcome', ['given', 'refused', 'skipped']),
      because: step.text('because', 2000),
      line: step.has('line') ? step.count('line') : undefined,
    })),
  };
}

/** One certificate as the broker's rows know it. */
export interface Credential {
  readonly serial: Serial;
  readonly keyId: string;
  readonly caFingerprint: string;
  readonly person: { readonly id: string; readonly login: string };
  readonly profile: string;
  readonly keyType: string;
  readonly keyFingerprint: string;
  readonly principals: readonly string[];
  readonly validAfterMs: number;
  readonly validBeforeMs: number;
  readonly issuedAtMs: number;
  readonly state: 'live' | 'expired' | 'revoked';
  readonly revokedAtMs: number | undefined;
  readonly revokedReason: string | undefined;
}

/** One item of `GET /v1/admin/issued` and of `POST /v1/admin/revoke`. @throws CodedError `client.bad_answer` */
export function readCredential(answer: Answer): Credential {
  const person = answer.object('person');
  return {
    serial: answer.serial('serial'),
    keyId: answer.text('keyId', 100),
    caFingerprint: answer.text('caFingerprint', 100),
    person: { id: person.text('id', 200), login: person.text('login', 400) },
    profile: answer.text('profile', 100),
    keyType: answer.text('keyType', 100),
    keyFingerprint: answer.text('keyFingerprint', 100),
    principals: answer.texts('principals', 256, 200),
    validAfterMs: answer.time('validAfter'),
    validBeforeMs: answer.time('validBefore'),
    issuedAtMs: answer.time('issuedAt'),
    state: answer.word('state', ['live', 'expired', 'revoked']),
    revokedAtMs: answer.optionalTime('revokedAt'),
    revokedReason: answer.optionalText('revokedReason', 2000),
  };
}

/** A credential as JSON for machines: the API's own names and forms. */
export function credentialJson(credential: Credential): Readonly<Record<string, unknown>> {
  const { serial, validAfterMs, validBeforeMs, issuedAtMs, revokedAtMs, ...same } = credential;
  return {
    ...same,
    serial: serial.toString(),
    validAfter: toRfc3339(validAfterMs),
    validBefore: toRfc3339(validBeforeMs),
    issuedAt: toRfc3339(issuedAtMs),
    ...(revokedAtMs === undefined ? {} : { revokedAt: toRfc3339(revokedAtMs) }),
  };
}

/** What CRL and OCSP can say of why a certificate ended (RFC 5280 section 5.3.1). */
export type RevocationCode =
  | 'unspecified'
  | 'keyCompromise'
  | 'affiliationChanged'
  | 'superseded'
  | 'cessationOfOperation'
  | 'privilegeWithdrawn';

export type RevocationTarget = {
  readonly kind: 'person' | 'serial' | 'key' | 'key_id' | 'before';
  readonly value: string;
};

export interface RevokeAnswer {
  /** False: a rehearsal, nothing was changed. */
  readonly applied: boolean;
  readonly credentials: readonly Credential[];
  readonly tlsCredentials: readonly TlsCertificate[];
  /** Broker sessions that end with them. */
  readonly sessions: number;
  readonly lockedPerson: { readonly id: string; readonly login: string } | undefined;
  readonly krl:
    | {
        readonly version: string;
        readonly sha256: string;
        readonly sizeBytes: number;
        readonly publishedAtMs: number;
      }
    | undefined;
}

/** Answer of `POST /v1/admin/revoke`, of a rehearsal too. @throws CodedError `client.bad_answer` */
export function readRevoked(answer: Answer): RevokeAnswer {
  const locked = answer.optionalObject('lockedPerson');
  const krl = answer.optionalObject('krl');
  return {
    applied: answer.flag('applied'),
    credentials: answer.objects('credentials', 1_000_000).map(readCredential),
    // A broker without certificates for TLS may leave it out.
    tlsCredentials: answer.has('tlsCredentials')
      ? answer.objects('tlsCredentials', 1_000_000).map(readTlsCertificate)
      : [],
    sessions: answer.count('sessions'),
    lockedPerson: locked && { id: locked.text('id', 200), login: locked.text('login', 400) },
    krl: krl && {
      version: readVersion(krl),
      sha256: krl.token('sha256', /^[0-9a-f]{64}$/),
      sizeBytes: krl.count('sizeBytes'),
      publishedAtMs: krl.time('publishedAt'),
    },
  };
}

/** Versions are 64-bit: a decimal text, or a number while it is small. */
function readVersion(krl: Answer): string {
  const value = krl.raw['version'];
  return typeof value === 'number' ? String(krl.count('version')) : krl.token('version', /^\d{1,20}$/);
}

export interface LockAnswer {
  readonly person: { readonly id: string; readonly login: string };
  readonly locked: boolean;
}

/** Answer of `POST /v1/admin/lock` and `unlock`. @throws CodedError `client.bad_answer` */
export function readLock(answer: Answer): LockAnswer {
  const person = answer.object('person');
  return {
    person: { id: person.text('id', 200), login: person.text('login', 400) },
    locked: answer.flag('locked'),
  };
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Give it back as `after` for the next page. */
  readonly next: string | undefined;
}

/** One log entry as the broker showed it; the proof that it is in the log is the work of `audit verify`. */
export interface LogEntry {
  readonly index: string;
  readonly entry: Readonly<Record<string, unknown>>;
  /** Clear values of the committed personal fields, path to value; undefined when erased or not for the reader; `altered` names those not as recorded. */
  readonly openings: Readonly<Record<string, unknown>> | undefined;
  readonly altered?: readonly string[];
}

/** One item of a search; the entry's own fields are as they came: unchecked. @throws CodedError `client.bad_answer` */
export function readLogEntry(answer: Answer): LogEntry {
  const { index, altered } = answer.raw;
  return {
    index: typeof index === 'number' ? String(answer.count('index')) : answer.token('index', /^\d{1,20}$/),
    entry: answer.object('entry').raw,
    openings: answer.optionalObject('openings')?.raw,
    ...(Array.isArray(altered) ? { altered: altered.map(String) } : {}),
  };
}

/** What the broker says of one serial of its CA. */
export interface ExplainedCertificate {
  readonly serial: string;
  /** Undefined when no certificate with this serial was released. */
  readonly credential: Credential | undefined;
  /** The same of a serial for TLS. */
  readonly tlsCredential: TlsCertificate | undefined;
  /** Oldest first. */
  readonly entries: readonly LogEntry[];
}

/** Answer of `GET /v1/audit/explain`. @throws CodedError `client.bad_answer` */
export function readExplainedCertificate(answer: Answer): ExplainedCertificate {
  const credential = answer.optionalObject('credential');
  const tls = answer.optionalObject('tlsCredential');
  return {
    serial: answer.token('serial', /^(?:\d{1,20}|[0-9a-f]{40})$/),
    credential: credential && readCredential(credential),
    tlsCredential: tls && readTlsCertificate(tls),
    entries: answer.objects('entries', 1000).map(readLogEntry),
  };
}

/** A place that is sent copies of the log. */
export interface SinkAnswer {
  readonly name: string;
  readonly kind: string;
  readonly format: string;
  readonly state: 'up' | 'down' | 'standby' | 'unknown';
  /** Index of the entry that it is given next. */
  readonly next: string;
  /** How many entries it does not have yet. */
  readonly lag: string;
  readonly lastDeliveredAtMs: number | undefined;
  readonly failingSinceMs: number | undefined;
  /** Of the last try that failed. */
  readonly code: string | undefined;
}

/** One item of `GET /v1/audit/sinks`. @throws CodedError `client.bad_answer` */
export function readSink(answer: Answer): SinkAnswer {
  return {
    name: answer.text('name', 100),
    kind: answer.text('kind', 100),
    format: answer.text('format', 100),
    state: answer.word('state', ['up', 'down', 'standby', 'unknown']),
    next: answer.token('next', /^\d{1,20}$/),
    lag: answer.token('lag', /^\d{1,20}$/),
    lastDeliveredAtMs: answer.optionalTime('lastDeliveredAt'),
    failingSinceMs: answer.optionalTime('failingSince'),
    code: answer.optionalText('code', 100),
  };
}
