import { describe, expect, it } from 'vitest';
import { absoluteTlsAuthority, tlsAuthority } from '../../src/main/config-tls.ts';

const own = { folder: 'pki', address: 'http://pki.example.com:8880' };
const base = { 'ldap-base': 'ou=pki,dc=example,dc=com' };
const push = {
  url: 'ldaps://directory.example.com',
  'bind-dn': 'cn=pki,dc=example,dc=com',
  'password-file': 'secrets/ldap',
};

describe('the section tls-authority', () => {
  it.each([
    [own],
    [{ ...own, ...base }],
    [{ ...own, ...base, 'ldap-push': push }],
    [{ ...own, ...base, 'ldap-push': { ...push, url: 'ldap://10.1.2.3:1389', 'ca-file': 'ca.pem' } }],
  ])('takes %j', (section) => {
    expect(tlsAuthority.safeParse(section).success).toBe(true);
  });

  it.each([
    ['pushes nowhere', { ...own, 'ldap-push': push }],
    ['has no account', { ...own, ...base, 'ldap-push': { url: push.url } }],
    ['has no address', { ...own, ...base, 'ldap-push': { ...push, url: 'directory.example.com' } }],
    [
      'has a web address',
      { ...own, ...base, 'ldap-push': { ...push, url: 'https://directory.example.com' } },
    ],
    [
      'has a path',
      { ...own, ...base, 'ldap-push': { ...push, url: 'ldaps://directory.example.com/ou=pki' } },
    ],
    ['has a password in it', { ...own, ...base, 'ldap-push': { ...push, password: 'x' } }],
    ['has no DN', { ...own, 'ldap-base': 'pki' }],
    ['has a DN of two lines', { ...own, 'ldap-base': 'ou=pki,dc=example\ndc=com' }],
    ['has a DN without end', { ...own, 'ldap-base': `ou=${'x'.repeat(600)}` }],
    ['has an account that is no DN', { ...own, ...base, 'ldap-push': { ...push, 'bind-dn': 'admin' } }],
    ['is misspelt', { ...own, 'ldap-bases': 'ou=pki' }],
  ])('is refused when it %s', (_title, section) => {
    expect(tlsAuthority.safeParse(section).success).toBe(false);
  });

  it('has every path made absolute', () => {
    const parsed = tlsAuthority.parse({ ...own, ...base, 'ldap-push': { ...push, 'ca-file': 'ca.pem' } });
    if (parsed === undefined) throw new Error('there is a section');
    expect(absoluteTlsAuthority(parsed, (path) => `/srv/${path}`)).toMatchObject({
      folder: '/srv/pki',
      'ldap-push': { 'ca-file': '/srv/ca.pem', 'password-file': '/srv/secrets/ldap' },
    });
  });
});
