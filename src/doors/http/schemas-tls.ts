import { z } from 'zod';
import { revocationCodes } from '../../broker/index.ts';

const text = (maxChars: number): z.ZodString =>
  z
    .string()
    .min(1)
    .max(maxChars)
    .refine((value) => value.isWellFormed(), 'it holds half a character');
const rfc3339 = z.iso.datetime({ offset: true });
const serial = z.string().regex(/^[0-9a-f]{40}$/, '40 hexadecimal digits');
const names = z.array(text(253)).max(100);
/** What is to serve it, so that its renewal can be planned. */
const servedBy = z.strictObject({
  applications: z.array(z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'a word of the catalogue')).max(64),
  label: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9._-]{0,63}$/, '1 to 64 letters, digits and . _ - beginning with a letter')
    .optional(),
});

export const tlsIssueBody = z
  .strictObject({
    profile: text(64),
    /** PEM. */
    csr: text(60_000).optional(),
    /** The broker makes the pair and hands it over once. */
    newKey: z
      .strictObject({
        type: z.enum(['rsa-2048', 'rsa-3072', 'ecdsa-p256', 'ecdsa-p384']).default('rsa-2048'),
        encryption: z.enum(['compatible', 'modern']).default('modern'),
        friendlyName: z
          .string()
          .regex(/^[A-Za-z0-9._ -]{1,64}$/, '1 to 64 letters, digits and . _ - or space')
          .optional(),
      })
      .optional(),
    /** Beside those of the CSR. */
    names: names.optional(),
    ttlSeconds: z
      .number()
      .int()
      .min(1)
      .max(366 * 86_400 * 2)
      .optional(),
    reason: text(4000).optional(),
    servedBy: servedBy.optional(),
  })
  .refine(({ csr, newKey }) => (csr === undefined) !== (newKey === undefined), 'either csr or newKey');

export const tlsCertificate = z.object({
  serial,
  caFingerprint: z.string(),
  kind: z.enum(['tls-server', 'tls-client', 'windows-logon']),
  profile: z.string(),
  commonName: z.string(),
  names: z.array(z.string()),
  keyType: z.string(),
  keyFingerprint: z.string(),
  person: z.object({ id: z.string(), login: z.string() }),
  notBefore: rfc3339,
  notAfter: rfc3339,
  issuedAt: rfc3339,
  renews: serial.optional(),
  servedBy: z.object({ applications: z.array(z.string()), label: z.string().optional() }).optional(),
  state: z.enum(['live', 'expired', 'revoked']),
  revokedAt: rfc3339.optional(),
  revokedReason: z.string().optional(),
  /** What CRL and OCSP say. */
  revokedCode: z.enum(revocationCodes).optional(),
});

export const tlsIssueAnswer = z.object({
  /** PEM, one certificate. */
  certificate: z.string(),
  /** PEM, one each: what stands between it and the root, then the root. */
  chain: z.array(z.string()),
  root: z.string(),
  issued: tlsCertificate,
  /** Only where the broker made the pair: base64, and the password that opens it. Neither is kept. */
  pkcs12: z.object({ file: z.string(), password: z.string(), friendlyName: z.string() }).optional(),
});

export const tlsRenewBody = z.strictObject({
  /** PEM: the one that is to be renewed. */
  certificate: text(60_000),
  /** PEM. */
  csr: text(60_000),
  time: rfc3339,
  /** Base64: docs/flows/tls.md. */
  signature: text(2000),
  ttlSeconds: z
    .number()
    .int()
    .min(1)
    .max(732 * 86_400)
    .optional(),
});

export const tlsListQuery = z.strictObject({
  person: text(256).optional(),
  live: z.enum(['true', 'false']).default('false'),
  endsWithinDays: z.coerce.number().int().min(0).max(4000).optional(),
  after: z
    .string()
    .regex(/^\d{1,18}$/, 'a decimal number')
    .optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});

export const tlsListAnswer = z.object({ certificates: z.array(tlsCertificate), next: z.string().optional() });

export const tlsAuthorityAnswer = z.object({
  /** PEM. */
  root: z.string(),
  address: z.string(),
  authorities: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(['issuing', 'logon']),
      certificate: z.string(),
      fingerprint: z.string(),
      notAfter: rfc3339,
      crl: z.string(),
      deltaCrl: z.string(),
      ocsp: z.string(),
    }),
  ),
});
