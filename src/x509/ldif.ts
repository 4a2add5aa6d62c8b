import { readCommonName } from './names.ts';

/** RFC 4523 sections 2.4 and 2.5, RFC 4522. */
const listAttributes = {
  certificates: 'certificateRevocationList;binary',
  authorities: 'authorityRevocationList;binary',
} as const;

/**
 * A CRL as LDIF, for servers that read lists from a directory, as DCM on IBM i does: the entry of the authority, if it is not there yet,
 * and the list in it. `ldapmodify -c` goes on where the entry exists.
 * @param of what the list is of: a root’s, of authorities, has an attribute of its own
 * @param base the entry below which authorities stand, e.g. `ou=pki,dc=example,dc=com`; empty: none
 * @see RFC 2849, RFC 4523 section 2
 */
export function encodeCrlLdif(
  issuer: Buffer,
  crl: Buffer,
  of: 'certificates' | 'authorities',
  base = '',
): string {
  const name = readCommonName(issuer) ?? 'CA';
  const dn = [`cn=${escapeDn(name)}`, ...(base === '' ? [] : [base])].join(',');
  const list = crl.toString('base64');
  const attribute = listAttributes[of];
  return [
    'version: 1',
    '',
    ...folded(`dn:: ${Buffer.from(dn).toString('base64')}`),
    'changetype: add',
    'objectClass: top',
    'objectClass: applicationProcess',
    'objectClass: pkiCA',
    ...folded(`cn:: ${Buffer.from(name).toString('base64')}`),
    '',
    ...folded(`dn:: ${Buffer.from(dn).toString('base64')}`),
    'changetype: modify',
    `replace: ${attribute}`,
    ...folded(`${attribute}:: ${list}`),
    '-',
    '',
  ].join('\n');
}

/** RFC 4514 section 2.4. */
function escapeDn(value: string): string {
  return value.replaceAll(/[\\",+<>;=#]/g, '\\$&');
}

function folded(line: string): readonly string[] {
  const [first = '', ...rest] = line.match(/.{1,75}/g) ?? [];
  return [first, ...rest.map((part) => ` ${part}`)];
}
