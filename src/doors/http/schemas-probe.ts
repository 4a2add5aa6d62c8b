import { z } from 'zod';

const host = z.string().regex(/^[a-z0-9_.:-]{1,253}$/, 'a name or an address in lower case');
const word = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'a service or application of the catalogue');
const findings = z.array(z.string().regex(/^[a-z][a-z0-9_]{0,31}$/, 'a code')).max(32);
const rfc3339 = z.iso.datetime({ offset: true });

export const probeBody = z.strictObject({
  hosts: z
    .array(
      z.strictObject({
        host,
        ports: z
          .array(
            z.strictObject({
              port: z.number().int().min(1).max(65_535),
              service: word,
              application: word,
              state: z.enum(['silent', 'clear', 'not_tls', 'tls_failed', 'tls', 'tls_client_certificate']),
              notAfter: rfc3339.optional(),
              findings,
            }),
          )
          .max(64)
          .refine(
            (ports) => new Set(ports.map(({ port }) => port)).size === ports.length,
            'a port is there twice',
          ),
        findings,
      }),
    )
    .min(1)
    .max(50)
    .refine((hosts) => new Set(hosts.map((one) => one.host)).size === hosts.length, 'a host is there twice'),
});

export const probeAnswer = z.object({ recordedAt: rfc3339 });
