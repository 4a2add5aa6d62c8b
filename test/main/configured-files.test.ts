import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { configuredFiles, requireConfiguredFiles } from '../../src/main/configured-files.ts';
import { loadConfig } from '../../src/main/config.ts';
import { codeOf } from '../accounting/log-fixture.ts';

const everything = `version: 1
listen: 127.0.0.1:8443
origins: [https://broker.example.com:8443]
tls: {certificate: f/tls.pem, key: f/tls.key}
data: own/data
database: {url: 'postgres://broker@db.example.com:5432/sallyport', password-file: f/database.password, ca-file: f/database.ca}
policy: f/policy.yaml
keys: {folder: own/keys, passphrase: {file: f/keys.passphrase}}
log: {origin: broker.example.com/log, checkpoint: own/checkpoint, witnesses: f/witnesses, witness-ca-file: f/witness.ca}
hosts: {ca-file: f/hosts.ca}
directories:
  - {name: own, kind: built-in, file: f/people.json}
  - {name: ldap, kind: ldap, servers: [ldaps://l.example.com], people: ['dc=example'], ca-file: f/ldap.ca, service: {dn: cn=s, password-file: f/ldap.password}}
  - {name: ad, kind: active-directory, domain: example.com, ca-file: f/ad.ca, service: {dn: cn=s, password-file: f/ad.password}}
sinks:
  - {name: siem, kind: syslog, format: json, server: 's.example.com:6514', ca-file: f/siem.ca, certificate: f/siem.pem, key: f/siem.key}
  - {name: disk, kind: file, format: json, path: own/copy.jsonl}
  - {name: hook, kind: webhook, format: json, url: 'https://h.example.com/x', ca-file: f/hook.ca, secret-file: f/hook.secret, authorization-file: f/hook.authorization}
  - {name: post, kind: mail, format: json, server: 'm.example.com:587', ca-file: f/post.ca, login: {user: u, password-file: f/post.password}, sender: a@example.com, recipients: [b@example.com]}
`;

const folder = mkdtempSync(join(tmpdir(), 'sallyport-files-'));
const file = join(folder, 'sallyport.yaml');
writeFileSync(file, everything);
const config = loadConfig(file);
afterAll(() => rmSync(folder, { recursive: true }));

function stringsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(stringsIn) : [];
}

describe('the files that a configuration names', () => {
  it('are all of them, but for what the broker itself writes', () => {
    const named = stringsIn(config).filter((text) => text.startsWith(join(folder, 'f')));
    expect(
      configuredFiles(config)
        .map(({ path }) => path)
        .sort(),
    ).toEqual(named.sort());
    expect(stringsIn(config).filter((text) => /^(?:f|own)\//.test(text))).toEqual([]);
  });

  it('are those of every field that holds a path', () => {
    const source = ['config.ts', 'config-fields.ts', 'config-sinks.ts', 'config-departures.ts']
      .map((name) => readFileSync(join(import.meta.dirname, '../../src/main', name), 'utf8'))
      .join('\n');
    const fields = [...source.matchAll(/(?:'([a-z-]+)'|\b([a-z]+)): path\b/g)].map(
      (found) => found[1] ?? found[2],
    );
    expect(fields.length).toBeGreaterThan(20);
    // Two kinds of directory share the fields of a connection.
    const shared = ['ca-file', 'password-file'];
    for (const name of new Set([...fields, ...shared])) {
      const here = everything.match(new RegExp(`(?<![a-z-])${name}: (?:f|own)/`, 'g'))?.length;
      const there = [...fields, ...shared].filter((field) => field === name).length;
      expect([name, here]).toEqual([name, there]);
    }
  });

  it('are secret where they open something', () => {
    const secrets = configuredFiles(config).flatMap(({ isSecret, path }) =>
      isSecret ? [path.slice(folder.length + 3)] : [],
    );
    expect(secrets.sort()).toEqual([
      'ad.password',
      'database.password',
      'hook.authorization',
      'hook.secret',
      'keys.passphrase',
      'ldap.password',
      'post.password',
      'siem.key',
    ]);
  });

  it('must be there, and be files', () => {
    const one = (path: string) => [{ field: 'log.witnesses', path, isSecret: false }];
    expect(codeOf(() => requireConfiguredFiles(one(file)))).toBe('accepted');
    expect(codeOf(() => requireConfiguredFiles(one(join(folder, 'nowhere'))))).toBe('main.missing_file');
    expect(codeOf(() => requireConfiguredFiles(one(folder)))).toBe('main.missing_file');
  });
});
