import { line } from './slapd-people.ts';
import { unicodePwd } from '../support/samba.ts';

/**
 * Values that a directory may hold and give back: each becomes (part of) the DN of a person and of a group. Whoever pastes them
 * into a filter or a DN as they are asks another question than the one that was meant.
 */
export const secondOrderValues: readonly string[] = [
  '*',
  '**',
  'alice*',
  '*)(objectClass=*',
  '*)(member=*',
  'x)(|(member=*))(&(a=b',
  '*))(|(uid=alice',
  '(',
  ')',
  '()',
  '&(uid=*)',
  'a\\b',
  '\\',
  '\\2a',
  '\\2A\\29\\28uid=\\2a',
  '\\00',
  'alice\\',
  '#',
  '#04026869',
  'a#b',
  'a=b',
  'uid=alice',
  'alice,ou=people',
  ',ou=people',
  'alice+uid=bob',
  '"',
  '"alice"',
  'a"b',
  "o'dd",
  '<a>',
  'a;b',
  'a/b',
  '{login}',
  '$&',
  '%s%n',
  'Zoë',
  'nul\0nul',
  'alice\0',
  '\0',
  'a\nb',
  'a\r\ndn: uid=alice',
];

/** RFC 4514 section 2.4: each octet in hexadecimal, which every server reads. */
const hexValue = (value: string): string =>
  [...Buffer.from(value)].map((octet) => `\\${octet.toString(16).padStart(2, '0')}`).join('');

/** The value of the first part of a DN, in whichever of the spellings of RFC 4514 a server wrote it. */
export function firstValue(dn: string): string {
  const [, escaped = ''] = /^[^=]+=((?:\\.|[^\\,])*)/s.exec(dn) ?? [];
  const octets = [...escaped.matchAll(/\\([0-9a-fA-F]{2})|\\(.)|([^\\])/gsu)].map(
    ([, hex, special, plain]) =>
      hex === undefined ? Buffer.from(special ?? plain ?? '') : Buffer.from(hex, 'hex'),
  );
  return Buffer.concat(octets).toString('utf8');
}

const added = (dn: string, lines: readonly string[]): string =>
  [line('dn', dn), 'changetype: add', ...lines, ''].join('\n');

/**
 * Change records that put below `base` for each value a person, a group that holds the person and one that holds the group.
 * People type `odd-0`, `odd-1`, …; in LDAP their login is the value, and a POSIX group holds that.
 */
export function secondOrderLdif(
  kind: 'ldap' | 'active-directory',
  base: string,
  passwordOf: (login: string) => string,
): string {
  const records = secondOrderValues.flatMap((value, nth) => {
    const [login, person, group] = [
      `odd-${nth}`,
      `cn=${hexValue(value)},${base}`,
      `cn=${hexValue(value)},ou=groups,${base}`,
    ];
    const above = `cn=above ${login},ou=groups,${base}`;
    if (kind === 'active-directory')
      return [
        added(person, [
          'objectClass: user',
          line('displayName', value),
          `sAMAccountName: ${login}`,
          `unicodePwd:: ${unicodePwd(passwordOf(login))}`,
          'userAccountControl: 512',
        ]),
        added(group, ['objectClass: group', `sAMAccountName: group ${login}`, line('member', person)]),
        added(above, ['objectClass: group', `sAMAccountName: above ${login}`, line('member', group)]),
      ];
    return [
      added(person, [
        'objectClass: inetOrgPerson',
        line('cn', value),
        'sn: Test',
        line('uid', value),
        `uid: ${login}`,
        line('displayName', value),
        line('userPassword', passwordOf(login)),
      ]),
      added(group, ['objectClass: groupOfNames', line('cn', value), line('member', person)]),
      added(above, ['objectClass: groupOfNames', `cn: above ${login}`, line('member', group)]),
      ...(isAscii(value)
        ? [
            added(`cn=posix ${login},ou=groups,${base}`, [
              'objectClass: posixGroup',
              `cn: posix ${login}`,
              `gidNumber: ${6000 + nth}`,
              line('memberUid', value),
            ]),
          ]
        : []),
    ];
  });
  const units = [base, `ou=groups,${base}`].map((dn) => added(dn, ['objectClass: organizationalUnit']));
  return [...units, ...records].join('\n');
}

/** `memberUid` takes nothing else (RFC 2307: IA5 strings). */
export const isAscii = (text: string): boolean => Buffer.byteLength(text) === text.length;
