import { z } from 'zod';
import { path } from './config-fields.ts';

const hours = z
  .string()
  .regex(/^\d{1,3}[hd]$/, 'a duration such as 12h or 2d')
  .transform((value) => Number(value.slice(0, -1)) * (value.endsWith('h') ? 3_600_000 : 86_400_000))
  .refine((lifetimeMs) => lifetimeMs >= 3_600_000 && lifetimeMs <= 30 * 86_400_000, 'between 1h and 30d');

/** `tls-authority`: absent, the broker issues no certificates for TLS. */
export const tlsAuthority = z
  .strictObject({
    /** Certificates of the authorities, as `tls init` wrote them. */
    folder: path,
    /** What stands in certificates: plain HTTP, or the check would need itself. */
    address: z
      .string()
      .regex(
        /^http:\/\/[a-z0-9][a-z0-9.-]{0,252}(?::\d{1,5})?$/,
        'http://, a host and a port, e.g. http://pki.example.com:8880',
      ),
    /** A listener of its own for lists, OCSP and issuers, without TLS and with nothing else. */
    listen: z
      .string()
      .regex(/^(?:\[[0-9a-fA-F:.]+\]|[^:\s]+):\d{1,5}$/, 'an address and a port, e.g. 0.0.0.0:8880')
      .optional(),
    'crl-lifetime': hours.default(86_400_000),
  })
  .optional();

export type TlsAuthorityConfig = NonNullable<z.output<typeof tlsAuthority>>;
