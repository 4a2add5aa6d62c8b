import { z } from 'zod';
import { revocationCodes } from '../../broker/index.ts';
import { tlsCertificate } from './schemas-tls.ts';

/** Every text is bounded; unknown fields are refused, so that a misspelt one is not silently ignored. */
export const text = (maxChars: number): z.ZodString =>
  z
    .string()
    .min(1)
    .max(maxChars)
    .refine((value) => value.isWellFormed(), 'it holds half a character');
export const decimal = z.string().regex(/^\d{1,20}$/, 'a decimal number');
/** An admin's own words, which no policy looks at. */
const adminReason = text(1000);
export const rfc3339 = z.iso.datetime({ offset: true });
export const limit = z.coerce.number().int().min(1).max(1000).default(100);
const queryFlag = z.enum(['true', 'false']).default('false');

export const loginBody = z.strictObject({
  login: text(256),
  password: z.string().min(1).max(1024),
  directory: text(64).optional(),
});

export const signBody = z.strictObject({
  publicKey: text(16_384),
  profile: text(64).optional(),
  // Wider than policy takes, whose refusal says what it does take and goes into the log.
  principals: z.array(text(128)).max(1000).optional(),
  /** Only these; an empty list asks for none. */
  extensions: z.array(text(64)).max(64).optional(),
  ttlSeconds: z
    .number()
    .int()
    .min(1)
    .max(366 * 86_400)
    .optional(),
  reason: text(4000).optional(),
});

export const revokeBody = z.strictObject({
  target: z.strictObject({
    kind: z.enum(['person', 'serial', 'key', 'key_id', 'before']),
    value: text(16_384),
  }),
  reason: adminReason,
  /** Of RFC 5280, for CRL and OCSP; without one, the target says it. */
  reasonCode: z.enum(revocationCodes).optional(),
  lock: z.boolean().default(false),
  apply: z.boolean(),
});

export const personAndReason = z.strictObject({ person: text(256), reason: adminReason });
export const principalAndReason = z.strictObject({ principal: text(128), reason: adminReason });

export const explainQuery = z.strictObject({
  person: text(256).optional(),
  directory: text(64).optional(),
  profile: text(64).optional(),
  at: rfc3339.optional(),
});

export const issuedQuery = z.strictObject({
  person: text(256).optional(),
  live: queryFlag,
  after: decimal.optional(),
  limit,
});

export const searchQuery = z.strictObject({
  person: text(256).optional(),
  subject: text(256).optional(),
  serial: text(64).optional(),
  key: text(64).optional(),
  principal: text(128).optional(),
  host: text(256).optional(),
  reason: text(256).optional(),
  type: text(64).optional(),
  outcome: z.enum(['success', 'failure', 'denied']).optional(),
  from: rfc3339.optional(),
  to: rfc3339.optional(),
  after: decimal.optional(),
  limit,
});

/** Of either kind; one for TLS may have colons. */
export const serialQuery = z.strictObject({ serial: text(64) });

export const whoCouldQuery = z.strictObject({
  principal: text(128),
  host: text(256).optional(),
  at: rfc3339,
  after: decimal.optional(),
  limit,
});

export const exportQuery = z
  .strictObject({
    from: decimal.optional(),
    to: decimal.optional(),
    /** To go on with an export that broke off: its checkpoint (base64url), how many bytes are there, their SHA-256 (hex). */
    checkpoint: z.base64url().max(8000).optional(),
    offset: decimal.optional(),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/, '64 hexadecimal digits')
      .optional(),
  })
  .refine(
    ({ checkpoint, offset, sha256 }) =>
      new Set([checkpoint, offset, sha256].map((part) => part === undefined)).size === 1,
    'checkpoint, offset and sha256 belong together',
  );

const person = z.object({
  id: z.string(),
  login: z.string(),
  directory: z.string(),
  displayName: z.string().optional(),
});
const personRef = z.object({ id: z.string(), login: z.string() });
const role = z.enum(['admin', 'auditor', 'user']);
const options = z.record(z.string(), z.string());

export const loginAnswer = z.object({ token: z.string(), expiresAt: rfc3339, person, roles: z.array(role) });
export const sessionAnswer = z.object({
  person,
  roles: z.array(role),
  createdAt: rfc3339,
  expiresAt: rfc3339,
});
export const signAnswer = z.object({
  certificate: z.string(),
  serial: decimal,
  keyId: z.string(),
  profile: z.string(),
  principals: z.array(z.string()),
  validAfter: rfc3339,
  validBefore: rfc3339,
  criticalOptions: options,
  extensions: options,
  caFingerprint: z.string(),
});
export const caAnswer = z.object({
  sshUserCa: z.object({ publicKey: z.string(), fingerprint: z.string(), algorithm: z.string() }),
  sshHostCa: z.object({ publicKey: z.string(), fingerprint: z.string(), algorithm: z.string() }),
  listKey: z.object({ publicKey: z.string(), fingerprint: z.string() }),
  log: z.object({ origin: z.string(), verifierKey: z.string(), quorum: z.string().nullable() }),
});
export const credential = z.object({
  serial: decimal,
  keyId: z.string(),
  caFingerprint: z.string(),
  person: personRef,
  profile: z.string(),
  keyType: z.string(),
  keyFingerprint: z.string(),
  principals: z.array(z.string()),
  validAfter: rfc3339,
  validBefore: rfc3339,
  issuedAt: rfc3339,
  state: z.enum(['live', 'expired', 'revoked']),
  revokedAt: rfc3339.optional(),
  revokedReason: z.string().optional(),
});
export const revokeAnswer = z.object({
  applied: z.boolean(),
  credentials: z.array(credential),
  tlsCredentials: z.array(tlsCertificate),
  sessions: z.number().int(),
  lockedPerson: personRef.optional(),
  krl: z
    .object({ version: decimal, sha256: z.string(), sizeBytes: z.number().int(), publishedAt: rfc3339 })
    .optional(),
});
export const lockAnswer = z.object({ person: personRef, locked: z.boolean() });
export const issuedAnswer = z.object({ credentials: z.array(credential), next: decimal.optional() });
export const releaseAnswer = z.object({ principal: z.string(), owner: z.object({ id: z.string() }) });
export const explainAnswer = z.object({
  person: person.nullable(),
  outcome: z.enum(['granted', 'refused']),
  grant: z
    .object({
      profile: z.string(),
      rule: z.string(),
      principals: z.array(z.string()),
      validAfter: rfc3339,
      validBefore: rfc3339,
      criticalOptions: options,
      extensions: options,
    })
    .optional(),
  refusals: z.array(z.object({ code: z.string(), message: z.string() })).optional(),
  steps: z.array(
    z.object({ part: z.string(), outcome: z.string(), because: z.string(), line: z.number().optional() }),
  ),
});
export const entry = z.object({
  index: decimal,
  entry: z.record(z.string(), z.unknown()),
  openings: z.record(z.string(), z.string()).nullable(),
  /** Paths of which something else is kept than what was recorded; left out where all is well. */
  altered: z.array(z.string()).optional(),
});
export const searchAnswer = z.object({ entries: z.array(entry), next: decimal.optional() });
export const explainCertificateAnswer = z.object({
  /** Decimal; of a certificate for TLS 40 hexadecimal digits. */
  serial: z.string().regex(/^(?:\d{1,20}|[0-9a-f]{40})$/),
  /** Left out when no certificate with this serial was released. */
  credential: credential.optional(),
  /** The same of a serial for TLS. */
  tlsCredential: tlsCertificate.optional(),
  /** Oldest first. */
  entries: z.array(entry),
});
export const sinksAnswer = z.object({
  sinks: z.array(
    z.object({
      name: z.string(),
      kind: z.string(),
      format: z.string(),
      state: z.enum(['up', 'down', 'standby', 'unknown']),
      /** Index of the entry that it is given next. */
      next: decimal,
      lag: decimal,
      lastDeliveredAt: rfc3339.optional(),
      failingSince: rfc3339.optional(),
      code: z.string().optional(),
    }),
  ),
});
export const healthAnswer = z.object({ status: z.enum(['ok', 'failing']) });
export const readyAnswer = z.object({
  status: z.enum(['ready', 'not_ready']),
  dependencies: z.array(
    z.object({ name: z.string(), state: z.enum(['up', 'down', 'unknown']), detail: z.string().optional() }),
  ),
});
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  code: z.string(),
  detail: z.string(),
  next: z.string().optional(),
  requestId: z.string(),
  details: z.record(z.string(), z.unknown()).optional(),
});
