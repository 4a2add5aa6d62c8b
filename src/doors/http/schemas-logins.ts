import { z } from 'zod';
import { decimal, entry, explainCertificateAnswer, limit, rfc3339, text } from './schemas.ts';

export const loginsQuery = z.strictObject({
  unexplained: z.enum(['true', 'false']).default('false'),
  person: text(256).optional(),
  host: text(256).optional(),
  account: text(128).optional(),
  from: rfc3339.optional(),
  to: rfc3339.optional(),
  after: decimal.optional(),
  limit,
});

export const loginsAnswer = z.object({
  entries: z.array(entry),
  next: decimal.optional(),
  coverage: z.object({
    enrolledHosts: z.number().int(),
    /** Within the last hour. */
    reportingHosts: z.number().int(),
    /** Stretches of reports that are missing, of the last thirty days. */
    gaps: z.number().int(),
  }),
});

const response = z.object({
  id: z.string(),
  host: z.object({ id: z.string(), name: z.string() }),
  quarantine: z.string(),
  verdict: z.string(),
  /** Where the login stands in the log. */
  loginIndex: decimal,
  state: z.enum(['rehearsed', 'held', 'waiting', 'executing', 'executed', 'failed', 'rejected']),
  createdAt: rfc3339,
  changedAt: rfc3339,
  /** Ids of the administrators who approved. */
  approvals: z.array(z.string()),
});

export const responsesAnswer = z.object({ responses: z.array(response) });
export const responseAnswer = response;
export const decideResponseBody = z.strictObject({ id: text(64), approve: z.boolean() });

export const explainLineBody = z.strictObject({
  line: z.string().min(1).max(2048),
  host: text(256).optional(),
  at: rfc3339,
});
export const explainLineAnswer = z.object({
  verdict: z.string(),
  account: z.string(),
  address: z.string(),
  /** Left out when the line names no certificate of this CA. */
  certificate: explainCertificateAnswer.optional(),
});
