import { describe, expect, it } from 'vitest';
import { accountState, isWithinLogonHours } from '../../src/identity/active-directory/account-state.ts';
import { readBind } from '../../src/identity/active-directory/bind-verdict.ts';
import { discoverControllers } from '../../src/identity/active-directory/discovery.ts';
import {
  filetimeToMs,
  guidToBytes,
  guidToText,
  sidToText,
} from '../../src/identity/active-directory/identifiers.ts';
import { parseDomainLogin } from '../../src/identity/active-directory/names.ts';
import { toDirectoryEntry } from '../../src/identity/ldap/entry.ts';

const nowMs = Date.UTC(2026, 10, 23, 16, 30); // Monday, 16:30 UTC.
const ticks = (timeMs: number): string => ((BigInt(timeMs) + 11_644_473_600_000n) * 10_000n).toString();

const account = (
  more: Record<string, string | string[] | Buffer> = {},
): ReturnType<typeof toDirectoryEntry> =>
  toDirectoryEntry({
    dn: 'CN=x',
    userAccountControl: '512',
    'msDS-User-Account-Control-Computed': '0',
    accountExpires: '9223372036854775807',
    pwdLastSet: ticks(nowMs - 1000),
    ...more,
  });

describe('the state of an account', () => {
  it.each<readonly [string | undefined, Record<string, string | string[] | Buffer>]>([
    [undefined, {}],
    [undefined, { accountExpires: '0' }],
    [undefined, { accountExpires: ticks(nowMs + 1) }],
    [undefined, { userAccountControl: '66048', pwdLastSet: '0' }],
    [undefined, { logonHours: Buffer.alloc(21, 0xff) }],
    [undefined, { logonHours: Buffer.alloc(0) }],
    ['disabled', { userAccountControl: '514' }],
    ['disabled', { userAccountControl: [] }],
    ['disabled', { userAccountControl: 'x' }],
    ['disabled', { 'msDS-User-Account-Control-Computed': [] }],
    ['account_expired', { accountExpires: ticks(nowMs) }],
    ['account_expired', { accountExpires: 'never' }],
    ['locked', { 'msDS-User-Account-Control-Computed': '16' }],
    ['must_change_password', { 'msDS-User-Account-Control-Computed': '8388608', pwdLastSet: '0' }],
    ['password_expired', { 'msDS-User-Account-Control-Computed': '8388608' }],
    ['outside_logon_hours', { logonHours: Buffer.alloc(21) }],
    ['outside_logon_hours', { logonHours: Buffer.alloc(20, 0xff) }],
    ['disabled', { userAccountControl: '514', 'msDS-User-Account-Control-Computed': '16' }],
  ])('is %s for %j', (state, attributes) => {
    expect(accountState(account(attributes), nowMs)).toBe(state);
  });

  it('reads logon hours bit by bit: 168 hours from Sunday 00:00 UTC', () => {
    const sundayMs = Date.UTC(2026, 10, 22);
    for (let hour = 0; hour < 168; hour += 1) {
      const hours = Buffer.alloc(21);
      hours[Math.floor(hour / 8)] = 2 ** (hour % 8);
      for (const other of [0, 1, 23, 24, 100, 167, hour]) {
        expect(isWithinLogonHours(hours, sundayMs + other * 3_600_000 + 1)).toBe(other === hour);
      }
    }
  });
});

describe('the answer to a bind', () => {
  const answer = (data: string): ReturnType<typeof readBind> =>
    readBind({
      resultCode: 49,
      diagnostic: `80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data ${data}, v1db1`,
    });

  it.each([
    ['525', 'unknown_person', false],
    ['52e', 'wrong_password', false],
    ['52E', 'wrong_password', false],
    ['52f', 'not_in_scope', false],
    ['530', 'outside_logon_hours', true],
    ['531', 'not_in_scope', true],
    ['532', 'password_expired', true],
    ['533', 'disabled', true],
    ['701', 'account_expired', true],
    ['773', 'must_change_password', true],
    ['775', 'locked', false],
    ['999', 'wrong_password', false],
    ['5331', 'wrong_password', false],
  ])('reads data %s as %s (password proved: %s)', (data, reason, passwordProved) => {
    expect(answer(data)).toEqual({ outcome: 'refused', reason, passwordProved });
  });

  it("accepts nothing but result 0, and takes other results for the server's", () => {
    expect(readBind({ resultCode: 0, diagnostic: '' })).toEqual({ outcome: 'accepted' });
    expect(readBind({ resultCode: 49, diagnostic: '' })).toMatchObject({
      outcome: 'refused',
      passwordProved: false,
    });
    for (const resultCode of [1, 2, 8, 10, 14, 51, 53, 248])
      expect(readBind({ resultCode, diagnostic: 'data 533' })).toBeUndefined();
  });
});

describe('names in a domain', () => {
  const names = {
    domain: 'ad.test.example',
    netbiosName: 'adtest',
    suffixes: new Set(['ad.test.example', 'corp.example']),
  };

  it.each([
    ['alice', { form: 'account', account: 'alice' }],
    ['ADTEST\\alice', { form: 'account', account: 'alice' }],
    ['Ad.Test.Example\\alice', { form: 'account', account: 'alice' }],
    [
      'alice@Corp.Example',
      { form: 'principal', principal: 'alice@Corp.Example', account: 'alice', suffix: 'corp.example' },
    ],
    [
      'a@b@corp.example',
      { form: 'principal', principal: 'a@b@corp.example', account: 'a@b', suffix: 'corp.example' },
    ],
  ])('reads %s', (login, parsed) => {
    expect(parseDomainLogin(login, names)).toEqual(parsed);
  });

  it.each([
    '',
    '\\',
    '\\alice',
    'ADTEST\\',
    'OTHER\\alice',
    'ADTEST\\a\\b',
    'ADTEST\\alice@corp.example',
    '@corp.example',
    'alice@',
    'alice@evil.example',
    ' alice',
    'alice @corp.example',
  ])('leaves %j to others', (login) => {
    expect(parseDomainLogin(login, names)).toBeUndefined();
  });
});

describe('identifiers', () => {
  it('writes GUIDs and SIDs as Windows does', () => {
    const bytes = Buffer.from('33221100554477668899aabbccddeeff', 'hex');
    expect(guidToText(bytes)).toBe('00112233-4455-6677-8899-aabbccddeeff');
    expect(guidToBytes('00112233-4455-6677-8899-aabbccddeeff')).toEqual(bytes);
    expect(sidToText(Buffer.from('01020000000000052000000020020000', 'hex'))).toBe('S-1-5-32-544');
    expect(sidToText(Buffer.from('010100000000000100000000', 'hex'))).toBe('S-1-1-0');
  });

  it.each([
    '',
    '00',
    '0201000000000001 00000000',
    '0102000000000005 20000000',
    '0101000000000001 00000000 00',
  ])('refuses %s as a SID', (hex) => {
    expect(sidToText(Buffer.from(hex.replaceAll(' ', ''), 'hex'))).toBeUndefined();
  });

  it('refuses what is not a GUID or a FILETIME', () => {
    for (const text of [
      '',
      '*',
      '00112233445566778899aabbccddeeff',
      '{00112233-4455-6677-8899-aabbccddeeff}',
      '00112233-4455-6677-8899-AABBCCDDEEFF',
    ])
      expect(guidToBytes(text)).toBeUndefined();
    for (const text of ['', 'x', '1.5', '0x10', '1'.repeat(20)]) expect(filetimeToMs(text)).toBeUndefined();
    expect(guidToText(Buffer.alloc(15))).toBeUndefined();
    expect(filetimeToMs('116444736000000000')).toBe(0);
  });
});

describe('discovery', () => {
  it('orders controllers, takes only hosts of the domain, and chooses the port', async () => {
    const record = (
      name: string,
      priority: number,
      weight: number,
    ): { name: string; port: number; priority: number; weight: number } => ({
      name,
      port: 389,
      priority,
      weight,
    });
    const resolver = {
      resolveSrv: (name: string) => {
        expect(name).toBe('_ldap._tcp.dc._msdcs.ad.test.example');
        return Promise.resolve([
          record('dc3.ad.test.example', 10, 100),
          record('DC1.ad.test.example.', 0, 1),
          record('dc2.ad.test.example', 0, 100),
          record('evil.example', 0, 100),
          record('evilad.test.example', 0, 100),
          record('a b.ad.test.example', 0, 100),
        ]);
      },
    };
    const hosts = ['dc2', 'dc1', 'dc3'].map((host) => `${host}.ad.test.example`);
    expect(await discoverControllers('ad.test.example', 'ldaps', resolver)).toEqual(
      hosts.map((host) => ({ host, port: 636, security: 'ldaps' })),
    );
    expect(await discoverControllers('ad.test.example', 'starttls', resolver)).toEqual(
      hosts.map((host) => ({ host, port: 389, security: 'starttls' })),
    );
  });
});
