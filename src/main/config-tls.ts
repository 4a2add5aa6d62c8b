import { z } from 'zod';
import { parseServerUrl } from '../identity/index.ts';
import { path } from './config-fields.ts';

const hours = z
  .string()
  .regex(/^\d{1,3}[hd]$/, 'a duration such as 12h or 2d')
  .transform((value) => Number(value.slice(0, -1)) * (value.endsWith('h') ? 3_600_000 : 86_400_000))
  .refine((lifetimeMs) => lifetimeMs >= 3_600_000 && lifetimeMs <= 30 * 86_400_000, 'between 1h and 30d');

const dn = z
  .string()
  .max(512)
  .regex(/^[A-Za-z][A-Za-z0-9-]*=[^\p{Cc}]+$/u, 'a distinguished name, e.g. ou=pki,dc=example,dc=com');

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
    /** Where the entries of the authorities stand in a directory. */
    'ldap-base': dn.optional(),
    /** The broker itself puts its lists there. */
    'ldap-push': z
      .strictObject({
        url: z
          .string()
          .refine(
            (text) => parseServerUrl(text) !== undefined,
            'ldaps://host or ldap://host, which then speaks StartTLS',
          ),
        'ca-file': path.optional(),
        'bind-dn': dn,
        'password-file': path,
      })
      .optional(),
  })
  .refine(
    (own) => own['ldap-push'] === undefined || own['ldap-base'] !== undefined,
    'ldap-push needs ldap-base',
  )
  .optional();

/** The same with its paths made absolute by `full`. */
export function absoluteTlsAuthority(
  own: TlsAuthorityConfig,
  full: (relative: string) => string,
): TlsAuthorityConfig {
  const push = own['ldap-push'];
  const caFile = push?.['ca-file'];
  return {
    ...own,
    folder: full(own.folder),
    ...(push && {
      'ldap-push': {
        ...push,
        'password-file': full(push['password-file']),
        ...(caFile === undefined ? {} : { 'ca-file': full(caFile) }),
      },
    }),
  };
}

export type TlsAuthorityConfig = NonNullable<z.output<typeof tlsAuthority>>;
