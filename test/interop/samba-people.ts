import { dnLine, filetime, unicodePwd } from '../support/samba.ts';
import type { SambaSeed } from '../support/samba.ts';

/** LDIF for the Samba suites. Every person's password is `passwordOf(account)`. */
export const baseDn = 'DC=ad,DC=test,DC=example';
export const peopleDn = `OU=People,${baseDn}`;
export const groupsDn = `OU=Groups,${baseDn}`;
export const oddUnitDn = `OU=odd (ou) \\* \\\\x,${baseDn}`.replace('\\*', '*');

export const passwordOf = (account: string): string => `Pw-${account}-12345`;

function entry(dn: string, lines: readonly string[]): string {
  return [dnLine(dn), 'changetype: add', ...lines, ''].join('\n');
}

function line(name: string, value: string): string {
  return `${name}:: ${Buffer.from(value, 'utf8').toString('base64')}`;
}

interface Account {
  readonly dn?: string;
  readonly control?: number;
  readonly upn?: string;
  readonly lines?: readonly string[];
}

function user(account: string, more: Account = {}): string {
  return entry(more.dn ?? `CN=${account},${peopleDn}`, [
    'objectClass: user',
    line('sAMAccountName', account),
    line('userPrincipalName', more.upn ?? `${account}@ad.test.example`),
    line('mail', `${account}@test.example`),
    `unicodePwd:: ${unicodePwd(passwordOf(account))}`,
    `userAccountControl: ${more.control ?? 512}`,
    ...(more.lines ?? []),
  ]);
}

function group(dn: string, account: string, members: readonly string[]): string {
  return entry(dn, [
    'objectClass: group',
    line('sAMAccountName', account),
    ...members.map((member) => line('member', member)),
  ]);
}

/** Names that are filter syntax, of people who exist. Samba lets an account have them; Windows refuses some. */
export const oddAccounts: readonly string[] = [
  '(odd)',
  '(o',
  "o'dd",
  'o&d',
  'o!d',
  'Zoë',
  'o d d',
  'o~d',
  'o#d',
  'o{login}d',
];

/** CN with DN and filter syntax: the DN goes back to the server in searches and binds. */
export const oddDn = `CN=a*(b)\\,c\\\\d\\"e,${oddUnitDn}`;
export const oddGroupDn = `CN=g*)(objectClass\\3D*)\\,x,${oddUnitDn}`;

const neverUnlocks = '-315360000000000000'; // Ten years, in ticks of 100 ns: a kept template does not unlock anybody.

export const seed: SambaSeed = {
  ldif: [
    [
      `dn: ${baseDn}`,
      'changetype: modify',
      'replace: lockoutThreshold',
      'lockoutThreshold: 3',
      '-',
      'replace: lockoutDuration',
      `lockoutDuration: ${neverUnlocks}`,
      '-',
      'replace: lockOutObservationWindow',
      'lockOutObservationWindow: -18000000000',
      '-',
      'replace: minPwdAge',
      'minPwdAge: 0',
      '',
    ].join('\n'),
    ...[peopleDn, groupsDn, `OU=East,${groupsDn}`, `OU=West,${groupsDn}`, oddUnitDn].map((dn) =>
      entry(dn, ['objectClass: organizationalUnit']),
    ),
    ...['alice', 'bob', 'leaver', 'moved', 'locked', 'exppw', 'neverexp', 'zeta'].map((account) =>
      user(account),
    ),
    user('dis', { control: 514 }),
    user('mustchange', { lines: ['pwdLastSet: 0'] }),
    user('expacct', { lines: [`accountExpires: ${filetime(Date.UTC(2020, 0, 1))}`] }),
    user('futacct', { lines: [`accountExpires: ${filetime(Date.UTC(2120, 0, 1))}`] }),
    user('hours', { lines: [`logonHours:: ${Buffer.alloc(21).toString('base64')}`] }),
    user('anyhour', { lines: [`logonHours:: ${Buffer.alloc(21, 0xff).toString('base64')}`] }),
    user('robert', { upn: 'bobby@ad.test.example' }),
    user('external', { upn: 'ext@partner.example' }),
    user('outside', { lines: ['department: robots'] }),
    user('svc', { control: 66_048 }),
    user('oddcn', { dn: oddDn }),
    ...oddAccounts.map((account, index) =>
      user(account, { dn: `CN=odd ${index},${peopleDn}`, upn: `odd${index}@ad.test.example` }),
    ),
    entry(`CN=machine,${peopleDn}`, [
      'objectClass: computer',
      'sAMAccountName: machine$',
      'userAccountControl: 4096',
    ]),
    group(`CN=one,${groupsDn}`, 'one', [`CN=alice,${peopleDn}`, `CN=leaver,${peopleDn}`]),
    group(`CN=two,${groupsDn}`, 'two', [`CN=one,${groupsDn}`]),
    group(`CN=three,${groupsDn}`, 'three', [`CN=two,${groupsDn}`]),
    group(`CN=four,${groupsDn}`, 'four', [`CN=three,${groupsDn}`]),
    group(`CN=admins,OU=East,${groupsDn}`, 'east-admins', [`CN=alice,${peopleDn}`]),
    group(`CN=admins,OU=West,${groupsDn}`, 'west-admins', [`CN=bob,${peopleDn}`]),
    group(oddGroupDn, 'odd-group', [oddDn]),
    group(`CN=above odd,${groupsDn}`, 'above-odd', [oddGroupDn]),
  ].join('\n'),
  offlineLdif: ['exppw', 'neverexp']
    .map((account) =>
      [
        `dn: CN=${account},${peopleDn}`,
        'changetype: modify',
        'replace: pwdLastSet',
        `pwdLastSet: ${filetime(Date.UTC(2020, 0, 1))}`,
        ...(account === 'neverexp' ? ['-', 'replace: userAccountControl', 'userAccountControl: 66048'] : []),
        '',
      ].join('\n'),
    )
    .join('\n'),
  lockOut: ['locked'],
};
