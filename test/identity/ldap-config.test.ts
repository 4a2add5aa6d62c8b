import { describe, expect, it } from 'vitest';
import { createActiveDirectory, createLdapDirectory } from '../../src/identity/index.ts';
import type { ActiveDirectoryConfig, LdapDirectoryConfig } from '../../src/identity/index.ts';
import { systemClock } from '../../src/kernel/index.ts';

const ldap: LdapDirectoryConfig = {
  name: 'corp',
  servers: ['ldaps://127.0.0.1:1'],
  service: { dn: 'cn=svc,dc=test', password: 'secret' },
  peopleBaseDns: ['ou=people,dc=test'],
  groupBaseDns: [],
};
const domain: ActiveDirectoryConfig = {
  name: 'ad',
  domain: 'ad.test.example',
  netbiosName: 'ADTEST',
  servers: ['ldaps://127.0.0.1:1'],
  service: { dn: 'svc@ad.test.example', password: 'secret' },
};
const deps = { clock: systemClock };

function complaint(create: () => { close(): Promise<void> }): unknown {
  try {
    void create().close();
  } catch (error) {
    return error;
  }
  return undefined;
}

const bad = (field: string): unknown =>
  expect.objectContaining({
    code: 'identity.bad_directory_config',
    details: expect.objectContaining({ field }) as unknown,
  });

describe('the configuration of an LDAP directory', () => {
  it.each<readonly [string, Partial<LdapDirectoryConfig>]>([
    ['name', { name: '' }],
    ['name', { name: 'Corp' }],
    ['name', { name: 'a:b' }],
    ['name', { name: 'x'.repeat(33) }],
    ['servers', { servers: [] }],
    ['servers', { servers: ['127.0.0.1'] }],
    ['servers', { servers: ['http://127.0.0.1'] }],
    ['servers', { servers: ['ldaps://user@host'] }],
    ['servers', { servers: ['ldaps://host/dc=test'] }],
    ['servers', { servers: ['ldaps://host:0'] }],
    ['servers', { servers: ['ldaps://host:65536'] }],
    ['servers', { servers: ['ldaps://a', 'ldaps://a'] }],
    ['servers', { servers: Array.from({ length: 17 }, (_, index) => `ldaps://h${index}`) }],
    ['tls', { servers: ['ldap://127.0.0.1'] }],
    ['caPem', { caPem: '' }],
    ['caPem', { caPem: '/etc/ssl/ca.pem' }],
    ['caPem', { caPem: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' }],
    ['service.dn', { service: { dn: 'svc', password: 'x' } }],
    ['service.dn', { service: { dn: 'EXTERNAL', password: 'x' } }],
    ['service.password', { service: { dn: 'cn=svc', password: '' } }],
    ['service.password', { service: { dn: 'cn=svc', password: '\0' } }],
    ['peopleBaseDns', { peopleBaseDns: [] }],
    ['peopleBaseDns', { peopleBaseDns: ['people'] }],
    ['peopleBaseDns', { peopleBaseDns: ['ou=people,,dc=test'] }],
    ['groupBaseDns', { groupBaseDns: ['groups'] }],
    ['loginAttribute', { loginAttribute: 'uid)(cn=*' }],
    ['loginAttribute', { loginAttribute: 'userPassword' }],
    ['idAttribute', { idAttribute: '' }],
    ['displayNameAttribute', { displayNameAttribute: 'display name' }],
    ['attributes', { attributes: ['mail', 'unicodePwd'] }],
    ['attributes', { attributes: Array.from({ length: 65 }, (_, index) => `a${index}`) }],
    ['userFilter', { userFilter: 'objectClass=person' }],
    ['userFilter', { userFilter: '(objectClass=person' }],
    ['userFilter', { userFilter: '(&(a=b)' }],
    ['userFilter', { userFilter: '(a=b)(c=d)' }],
    ['userFilter', { userFilter: '(a=b))' }],
    ['userFilter', { userFilter: `${'(!'.repeat(33)}(a=b)${')'.repeat(33)}` }],
    ['groupFilter', { groupFilter: '()' }],
    ['dnTemplate', { dnTemplate: 'uid={login}x,ou=people,dc=test' }],
    ['dnTemplate', { dnTemplate: 'uid={login},cn={login},ou=people,dc=test' }],
    ['dnTemplate', { dnTemplate: 'ou=people,dc=test' }],
    ['dnTemplate', { dnTemplate: '{login},ou=people,dc=test' }],
    ['dnTemplate', { dnTemplate: 'uid={login},ou=robots,dc=test' }],
    ['groupStyles', { groupStyles: [] }],
    ['maxGroupDepth', { maxGroupDepth: 0 }],
    ['maxGroups', { maxGroups: 1.5 }],
    ['connectTimeoutMs', { connectTimeoutMs: 50 }],
    ['requestTimeoutMs', { requestTimeoutMs: Number.NaN }],
    ['maxConnections', { maxConnections: 0 }],
    ['maxWaiting', { maxWaiting: -1 }],
    ['passwordPolicyDn', { passwordPolicyDn: 'default' }],
  ])('is refused when %s cannot be right: %j', (field, change) => {
    expect(complaint(() => createLdapDirectory({ ...ldap, ...change }, deps))).toEqual(bad(field));
  });

  it.each<Partial<LdapDirectoryConfig>>([
    {},
    { servers: ['ldap://127.0.0.1:1'], tls: 'starttls' },
    { servers: ['ldaps://[::1]:1', 'ldaps://localhost:1'] },
    { dnTemplate: 'uid={login},ou=people,dc=test' },
    { userFilter: '(&(objectClass=person)(!(employeeType=robot)))' },
  ])('is taken when it can be right: %j', (change) => {
    expect(complaint(() => createLdapDirectory({ ...ldap, ...change }, deps))).toBeUndefined();
  });

  it('never repeats the password in its complaint', () => {
    const error = complaint(() =>
      createLdapDirectory({ ...ldap, service: { dn: 'svc', password: 'canary-7d1f' } }, deps),
    );
    expect(JSON.stringify(error) + String(error)).not.toContain('canary');
  });
});

describe('the configuration of an Active Directory', () => {
  it.each<readonly [string, Partial<ActiveDirectoryConfig>]>([
    ['domain', { domain: 'ADTEST' }],
    ['domain', { domain: 'ad..example' }],
    ['domain', { domain: 'ad.test.example,DC=x' }],
    ['netbiosName', { netbiosName: 'AD\\TEST' }],
    ['netbiosName', { netbiosName: 'SIXTEEN-LETTERS-' }],
    ['netbiosName', { netbiosName: '' }],
    ['upnSuffixes', { upnSuffixes: ['@corp.example'] }],
    ['servers', { servers: [] }],
    ['dnsServers', { dnsServers: ['10.0.0.1'] }],
    ['dnsServers', { servers: undefined, dnsServers: ['dns.corp.example'] }],
    ['tls', { servers: undefined, tls: 'none-i-accept-clear-text-passwords' }],
    ['service', { service: undefined }],
    ['service.dn', { service: { dn: 'svc', password: 'x' } }],
    ['service.dn', { service: { dn: '@', password: 'x' } }],
    ['peopleBaseDns', { peopleBaseDns: ['People'] }],
    ['userFilter', { userFilter: 'department=it' }],
    ['attributes', { attributes: ['ms-Mcs-AdmPwd'] }],
  ])('is refused when %s cannot be right: %j', (field, change) => {
    expect(complaint(() => createActiveDirectory({ ...domain, ...change }, deps))).toEqual(bad(field));
  });

  it.each([
    { dn: 'svc@ad.test.example', password: 'x' },
    { dn: 'ADTEST\\svc', password: 'x' },
    { dn: 'CN=svc,DC=x', password: 'x' },
  ])('takes %j for its service account', (service) => {
    expect(complaint(() => createActiveDirectory({ ...domain, service }, deps))).toBeUndefined();
  });
});
