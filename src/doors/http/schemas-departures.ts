import { z } from 'zod';
import { tlsCertificate } from './schemas-tls.ts';
import { credential } from './schemas.ts';

const rfc3339 = z.iso.datetime({ offset: true });
const text = z.string().min(1).max(256);
const personRef = z.object({ id: z.string(), login: z.string().optional() });

export const personQuery = z.strictObject({ person: text });
export const decideBody = z.strictObject({
  review: z.string().regex(/^d-[0-9a-f]{8}$/, 'an id as `sallyport admin departures` prints it'),
  decision: z.enum(['approve', 'reject']),
  reason: z.string().min(1).max(1000),
});

const review = z.object({
  id: z.string(),
  directory: z.string(),
  openedAt: rfc3339,
  state: z.enum(['waiting', 'approved', 'rejected', 'withdrawn']),
  decidedAt: rfc3339.optional(),
  limit: z.enum(['people', 'percent']),
  atLarge: z.number().int(),
  people: z.array(personRef.extend({ reasonCode: z.string(), certificates: z.number().int() })),
});
export const departuresAnswer = z.object({
  followers: z.array(
    z.object({
      directory: z.string(),
      method: z.string().optional(),
      state: z.enum(['following', 'standby', 'failing', 'unknown']),
      lookedAt: rfc3339.optional(),
      sweptAt: rfc3339.optional(),
      waiting: z.number().int(),
      doubtful: z.array(personRef.extend({ doubt: z.string() })),
    }),
  ),
  reviews: z.array(review),
});
export const decidedAnswer = z.object({
  review,
  credentials: z.array(credential),
  tlsCredentials: z.array(tlsCertificate),
  kept: z.array(z.string()),
  krlVersion: z.string().optional(),
});

const today = z.enum(['granted', 'lost', 'unclear', 'unknown']);

export const personPageAnswer = z.object({
  person: z.object({ id: z.string(), login: z.string(), directory: z.string() }),
  directory: z.object({
    outcome: z.enum(['here', 'gone', 'paused', 'doubtful', 'unavailable']),
    reason: z.string().optional(),
    doubt: z.string().optional(),
    groups: z.number().int().optional(),
  }),
  lock: z.object({ since: rfc3339, reason: z.string() }).optional(),
  sessions: z.array(z.object({ id: z.string(), createdAt: rfc3339, expiresAt: rfc3339 })),
  certificates: z.array(z.object({ credential, today })),
  tlsCertificates: z.array(z.object({ credential: tlsCertificate, today })),
  names: z.array(z.string()),
  roles: z.array(z.enum(['admin', 'auditor', 'user'])),
  profiles: z.array(
    z.object({ profile: z.string(), principals: z.array(z.string()), ttlSeconds: z.number().int() }),
  ),
});
