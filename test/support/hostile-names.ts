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

/** Attributes that a filter might be made to look at instead; `anr` is Active Directory's own guess at who is meant. */
const attributes = [
  'uid',
  'cn',
  'mail',
  'sAMAccountName',
  'userPrincipalName',
  'objectClass',
  'entryUUID',
  'objectGUID',
  'memberOf',
  'userPassword',
  'distinguishedName',
  'anr',
];

/** What breaks out of `(attribute=…)` when a filter is pasted together as text (RFC 4515). */
const filters = (victim: string): readonly string[] =>
  attributes.flatMap((attribute) => [
    `${victim})(${attribute}=*`,
    `${victim})(${attribute}>=0`,
    `${victim})(!(${attribute}=zz`,
    `*)(${attribute}=${victim}`,
    `*))(|(${attribute}=${victim}`,
    `x)(|(${attribute}=${victim}))(&(a=b`,
    `${attribute}=${victim}`,
    `(${attribute}=${victim})`,
    `(|(${attribute}=${victim})(a=b))`,
    `${attribute}:=${victim}`,
    `${attribute}:dn:=${victim}`,
    `${attribute}:1.2.840.113556.1.4.1941:=${victim}`,
    `${attribute}>=${victim}`,
    `${attribute}<=${victim}`,
    `${attribute}~=${victim}`,
  ]);

/** What breaks out of one value of a DN when that is pasted together as text (RFC 4514). */
const relativeNames = (victim: string): readonly string[] =>
  ['uid', 'CN', 'ou', 'DC', 'OID.2.5.4.3', '2.5.4.3'].flatMap((type) => [
    `${type}=${victim}`,
    `${type}="${victim}"`,
    `${victim},${type}=people`,
    `${victim} , ${type} = people`,
    `${victim};${type}=people`,
    `${victim}+${type}=x`,
    `"${victim}",${type}=x`,
  ]);

const wrapped = (victim: string): readonly string[] =>
  ['()', '""', '<>', '{}', '[]', "''", '``', '**', '%%', '$$', '##', '==', '((', '))']
    .map(([before, after]) => `${before}${victim}${after}`)
    .concat(`$(${victim})`, `\${${victim}}`, `{{${victim}}}`, `<!--${victim}-->`, `';${victim}--`);

/** Letters that look alike, or that a comparison without accents, case or invisible marks would take for the same. */
const lookalikes = (victim: string): readonly string[] => {
  const similar: Readonly<Record<string, string>> = {
    a: '\u0430\u0251\u00e6',
    b: '\u0432\u0184\u00fe',
    c: '\u0441\u00e7',
    e: '\u0435\u0259',
    i: '\u0456\u0131\u0130',
    l: '1I|\u04cf',
    o: '0\u043e\u00f8',
  };
  const marks = '\u0301\u0308\u030a\u0327\u034f\ufe00'.split('');
  return victim.split('').flatMap((letter, at) => {
    const others = [...(similar[letter] ?? '').split(''), ...marks.map((mark) => letter + mark)];
    return others.map((other) => (victim.slice(0, at) + other + victim.slice(at + 1)).normalize('NFC'));
  });
};

/** More than 1,000 different names that are meant to be taken for one of the victims, or for anybody. */
export function hostileNames(
  victims: readonly { readonly login: string; readonly dn: string }[],
): readonly string[] {
  const names = new Set(general);
  for (const { login, dn } of victims) {
    for (const name of attempts(login, dn)) names.add(name);
    for (const kind of [filters, relativeNames, wrapped, lookalikes])
      for (const name of kind(login)) names.add(name);
    for (const fragment of fragments) {
      for (const name of [fragment + login, login + fragment, login.slice(0, 2) + fragment + login.slice(2)])
        names.add(name);
      names.add(`${login}${fragment}${fragment}`);
    }
  }
  return [...names];
}
