/** Characters and sequences that mean something to LDAP filters, DNs, C strings, templates or Unicode. */
const fragments: readonly string[] = [
  ...'*()\\&|!=<>~:/,+";#%@${}[]?\'`^-'.split(''),
  '\0',
  '\t',
  '\n',
  '\r',
  '\u007f',
  '\u0085',
  '\u00a0',
  '\u00ad',
  '\u200b',
  '\u202e',
  '\u2028',
  '\ufeff',
  '\ud800',
  '\\2a',
  '\\28',
  '\\29',
  '\\5c',
  '\\00',
  '\\2A\\29',
  '%2a',
  '%00',
  '&#42;',
  '$&',
  '{login}',
  '\u0301',
  '\u037e',
];

/** The usual attempts, for a victim of this login and DN. */
function attempts(victim: string, dn: string): readonly string[] {
  const first = victim.slice(0, 1);
  const rest = victim.slice(1);
  const hex = (text: string, mark: string): string =>
    [...Buffer.from(text)].map((octet) => mark + octet.toString(16).padStart(2, '0')).join('');
  const wide = victim
    .split('')
    .map((letter) => String.fromCodePoint((letter.codePointAt(0) ?? 0) + 0xfee0))
    .join('');
  return [
    `${victim})(uid=*`,
    `${victim})(|(uid=*`,
    `${victim})(objectClass=*)`,
    `${victim})(!(&(1=0`,
    `${victim}))(|(cn=*`,
    `*)(uid=${victim}`,
    `*)(|(uid=${victim})`,
    `*))(|(uid=${victim}`,
    `x)(|(sAMAccountName=${victim}`,
    `x)(sAMAccountName=${victim}))(&(a=b`,
    `${first}*`,
    `*${rest}`,
    `${first}*${rest.slice(-1)}`,
    `*${victim}*`,
    hex(victim, '\\'),
    `\\${hex(first, '')}${rest}`,
    `#04${victim.length.toString(16).padStart(2, '0')}${hex(victim, '')}`,
    `#${hex(victim, '')}`,
    `${victim},ou=people,dc=test,dc=example`,
    `${victim},${dn}`,
    `${victim}+cn=${victim}`,
    `${victim}\\,ou=people`,
    `x,ou=people,dc=test,dc=example\0${victim}`,
    dn,
    `uid=${victim}`,
    `CN=${victim}`,
    `dn:${dn}`,
    `u:${victim}`,
    wide,
    `${wide.slice(0, 1)}${rest}`,
    `${victim}\0`,
    `${victim}\0garbage`,
    `\0${victim}`,
    ` ${victim}`,
    `${victim} `,
    `  ${victim}  `,
    `\u00a0${victim}`,
    `${victim}\u3000`,
    `${victim}@`,
    `@${victim}`,
    `${victim}@ad.test.example@ad.test.example`,
    `\\${victim}`,
    `${victim}\\`,
    `ADTEST\\ADTEST\\${victim}`,
    `ADTEST\\*`,
    `ADTEST\\${victim})(cn=*`,
    `OTHER\\${victim}`,
    `.\\${victim}`,
    `*@ad.test.example`,
    `${first}*@ad.test.example`,
    `${victim})(cn=*@ad.test.example`,
    `${victim} @ad.test.example`,
    `ADTEST\\ ${victim}`,
    `ADTEST/${victim}`,
    `${victim}@other.example`,
  ];
}

const general: readonly string[] = [
  '',
  ' ',
  '*',
  '**',
  '()',
  '(',
  ')',
  '(*)',
  '(uid=*)',
  '*)(&',
  '*)(uid=*',
  '*)(uid=*))(|(uid=*',
  '*(|(mail=*))',
  '*)(|(&',
  '*)(!(uid=zz',
  '(&(uid=*))',
  '|(uid=*)',
  '&',
  '!',
  '%',
  '\\',
  '\\\\',
  '\\2',
  '\\zz',
  '\0',
  '\0\0',
  'EXTERNAL',
  'PLAIN',
  'DIGEST-MD5',
  'SCRAM-SHA-1',
  'anonymous',
  'cn=admin,dc=test,dc=example',
  '1.1',
  '+',
  '.',
  'objectClass=*',
  'uid:caseExactMatch:=*',
  ':dn:2.5.13.2:=alice',
  '<SID=S-1-5-32-544>',
  '<GUID=00>',
  '..',
  '@',
  '#',
  'a'.repeat(257),
  '*'.repeat(256),
  '('.repeat(256),
  '\\'.repeat(256),
];

/** At least 500 different names that are meant to be taken for one of the victims, or for anybody. */
export function hostileNames(
  victims: readonly { readonly login: string; readonly dn: string }[],
): readonly string[] {
  const names = new Set(general);
  for (const { login, dn } of victims) {
    for (const name of attempts(login, dn)) names.add(name);
    for (const fragment of fragments) {
      for (const name of [fragment + login, login + fragment, login.slice(0, 2) + fragment + login.slice(2)])
        names.add(name);
      names.add(`${login}${fragment}${fragment}`);
    }
  }
  return [...names];
}
