import type { EntryDraft } from '../accounting/index.ts';
import { toRfc3339 } from '../kernel/index.ts';
import type { TlsCredential } from './tls-rows.ts';
import type { RevocationReason } from './tls-words.ts';

/** What a certificate says whose it is, without the kinds of the names, the main one first. */
export function namesIn({ commonName, names }: TlsCredential): readonly string[] {
  return [...new Set([commonName, ...names.map((name) => name.slice(name.indexOf(':') + 1))])];
}

/** The log's `cred` field of an X.509 certificate. @param code of one that ends */
export function tlsFields(
  credential: TlsCredential,
  code?: RevocationReason,
): NonNullable<EntryDraft['fields']> {
  return {
    kind: credential.kind,
    serial: credential.serial,
    ca_fp: credential.caFingerprint,
    key_fp: credential.keyFingerprint,
    key_type: credential.keyType,
    principals: namesIn(credential),
    not_before: toRfc3339(Number(credential.notBefore) * 1000),
    not_after: toRfc3339(Number(credential.notAfter) * 1000),
    profile: credential.profile,
    ...(credential.renews === undefined ? {} : { renews: credential.renews }),
    ...(code === undefined ? {} : { crl_reason: code }),
  };
}
