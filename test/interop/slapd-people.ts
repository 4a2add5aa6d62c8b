/** LDIF for the slapd suites: people and groups below dc=test,dc=example. */
export const suffix = 'dc=test,dc=example';
export const peopleDn = `ou=people,${suffix}`;
export const groupsDn = `ou=groups,${suffix}`;

/** `name:: base64`, whatever characters the value has. */
export function line(name: string, value: string): string {
  return `${name}:: ${Buffer.from(value, 'utf8').toString('base64')}`;
}

/** RFC 4514, by hand: a backslash before each special character. */
export function dnValue(value: string): string {
  return value.replaceAll(/[,+"\\<>;=#\u0020]/g, '\\$&');
}

export function person(
  uid: string,
  more: { readonly password?: string; readonly ou?: string; readonly lines?: readonly string[] } = {},
): string {
  return [
    line('dn', `uid=${dnValue(uid)},${more.ou ?? peopleDn}`),
    'objectClass: inetOrgPerson',
    line('uid', uid),
    line('cn', uid),
    'sn: Test',
    line('userPassword', more.password ?? `pw-${uid}`),
    ...(more.lines ?? []),
    '',
  ].join('\n');
}

export function group(
  dn: string,
  members: readonly string[],
  attribute: 'member' | 'uniqueMember' = 'member',
): string {
  const cn = /^cn=((?:\\.|[^,\\])*)/.exec(dn)?.[1]?.replaceAll(/\\(.)/g, '$1') ?? '';
  return [
    line('dn', dn),
    `objectClass: ${attribute === 'member' ? 'groupOfNames' : 'groupOfUniqueNames'}`,
    line('cn', cn),
    ...members.map((member) => line(attribute, member)),
    '',
  ].join('\n');
}

export function unit(dn: string): string {
  return [
    line('dn', dn),
    'objectClass: organizationalUnit',
    line('ou', /^ou=([^,]*)/.exec(dn)?.[1] ?? ''),
    '',
  ].join('\n');
}

/** Names that are syntax elsewhere, of people who exist. */
export const oddNames: readonly string[] = ['*', 'a*', '(alice)', 'alice)(uid=*', 'x,y=z', 'Zoë', 'a b'];
