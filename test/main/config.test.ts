import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { isCodedError } from '../../src/kernel/index.ts';
import { addressFilter, isNetwork } from '../../src/main/address-filter.ts';
import { loadConfig, originsHint } from '../../src/main/config.ts';
import { defaultConfigYaml } from '../../src/main/operator/default-config.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-config-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'sallyport.yaml');

const valid = `version: 1
listen: 127.0.0.1:8443
origins:
  - "https://localhost:8443"
tls: { certificate: tls/server.pem, key: tls/server.key }
data: data
policy: policy.yaml
keys:
  folder: keys
  passphrase:
    file: secrets/keys.passphrase
log:
  origin: localhost/accounting/1
directories:
  - name: builtin
    kind: built-in
    file: people.json
`;

/** What is wrong with a text, each with its line and column; none when it is a configuration. */
function problemsOf(text: string | Uint8Array): string[] {
  writeFileSync(file, text);
  try {
    loadConfig(file);
    return [];
  } catch (error) {
    if (!isCodedError(error)) throw error;
    if (error.code !== 'main.invalid_config') return [error.code];
    return error.message
      .split('\n')
      .slice(1)
      .map((line) => line.trim().replace(`${file}:`, ''));
  }
}
const changed = (from: string, to: string): string => {
  expect(valid).toContain(from);
  return valid.replace(from, to);
};

describe('a configuration', () => {
  it.each([
    ['127.0.0.1:8443', 'https://localhost:8443', false],
    ['127.0.0.1:9547', 'https://localhost:8443', true],
    ['0.0.0.0:443', 'https://broker.example.com', false],
    ['0.0.0.0:8443', 'https://broker.example.com', true],
  ])('that listens on %s for %s is hinted at: %s', (listen, of, hinted) => {
    const text = changed('127.0.0.1:8443', listen).replace('https://localhost:8443', of);
    expect(problemsOf(text)).toEqual([]);
    expect(originsHint(loadConfig(file)) !== undefined).toBe(hinted);
  });

  it('that init writes is one, and its paths lead from its own folder', () => {
    const values = { listen: '0.0.0.0:8443', origins: ['https://[::1]:8443'], logOrigin: 'a/b' };
    expect(problemsOf(defaultConfigYaml(values))).toEqual([]);
    expect(problemsOf(valid)).toEqual([]);
    const config = loadConfig(file);
    expect(config.data).toBe(join(folder, 'data'));
    expect(config.keys).toEqual({
      folder: join(folder, 'keys'),
      passphrase: { file: join(folder, 'secrets/keys.passphrase') },
    });
    expect(config.tls.key).toBe(join(folder, 'tls/server.key'));
    expect(config.sessions.lifetime).toBe(12 * 3_600_000);
    expect(config.metrics.allow).toEqual(['127.0.0.0/8', '::1/128']);
    expect(config.directories[0]).toMatchObject({ kind: 'built-in', file: join(folder, 'people.json') });
  });

  it.each<[what: string, text: string, ...problems: RegExp[]]>([
    ['nothing', '', /^1:1: /],
    ['only a comment', '# nothing\n', /^1:1: /],
    ['a list', '- 1\n', /^1:1: /],
    ['a text', 'hello\n', /^1:1: /],
    ['broken YAML', 'version: [1\n', /^2:1: |^1:/],
    ['two documents', `${valid}---\nversion: 1\n`, /^18:1: /],
    ['the same key twice', `${valid}data: other\n`, /^18:1: /],
    ['a tag that means nothing', changed('data: data', 'data: !secret data'), /^6:7: /],
    [
      'an alias',
      changed('data: data', 'data: &d data').replace('policy: policy.yaml', 'policy: *d'),
      /^7:9: \*d: /,
    ],
    ['another version', changed('version: 1', 'version: 2'), /^1:1: version: /],
    ['an unknown field', changed('data: data', 'data: data\ndatabases: x'), /^7:1: /],
    ['an unknown field further in', changed('  folder: keys', '  folder: keys\n  pass: x'), /^10:3: keys: /],
    ['a missing field', changed('data: data\n', ''), /^1:1: data: /],
    ['a missing field further in', changed('  folder: keys\n', ''), /^8:1: keys\.folder: /],
    ['a port without an address', changed('127.0.0.1:8443', ':8443'), /^2:1: listen: an address and a port/],
    ['no port', changed('127.0.0.1:8443', '127.0.0.1'), /^2:1: listen: /],
    ['a port that is none', changed('127.0.0.1:8443', '127.0.0.1:65536'), /^2:1: listen: a port up to 65535/],
    ['an IPv6 address without brackets', changed('127.0.0.1:8443', '"::1:8443"'), /^2:1: listen: /],
    ['an origin without TLS', changed('https://localhost', 'http://localhost'), /^4:5: origins\.0: /],
    ['an origin with a path', changed('localhost:8443"', 'localhost:8443/v1"'), /^4:5: origins\.0: /],
    ['no origins', changed('origins:\n  - "https://localhost:8443"', 'origins: []'), /^3:1: origins: /],
    [
      'a passphrase in clear',
      changed('    file: secrets/keys.passphrase', '    value: hunter2'),
      /^10:3: keys\.passphrase: /,
    ],
    [
      'a variable in lower case',
      changed('file: secrets/keys.passphrase', 'environment: path'),
      /^\d+:\d+: keys\.passphrase/,
    ],
    [
      'a log origin with a space',
      changed('localhost/accounting/1', '"local host"'),
      /^13:3: log\.origin: 1 to 200 letters/,
    ],
    ['an empty log origin', changed('localhost/accounting/1', '""'), /^13:3: log\.origin: /],
    [
      'sessions that end at once',
      `${valid}sessions: { lifetime: 299s }\n`,
      /^18:13: sessions\.lifetime: between 5m and 24h/,
    ],
    ['sessions without end', `${valid}sessions: { lifetime: 25h }\n`, /^18:13: sessions\.lifetime: between/],
    ['a duration without a unit', `${valid}sessions: { lifetime: 3600 }\n`, /^18:13: sessions\.lifetime: /],
    [
      'metrics for a name',
      `${valid}metrics: { allow: [localhost] }\n`,
      /^18:20: metrics\.allow\.0: an address or a network/,
    ],
    [
      'metrics for everybody by mistake',
      `${valid}metrics: { allow: [10.0.0.0/] }\n`,
      /^18:20: metrics\.allow\.0: /,
    ],
    [
      'metrics for a network too long',
      `${valid}metrics: { allow: ["::1", 10.0.0.0/33] }\n`,
      /^18:27: metrics\.allow\.1: /,
    ],
    ['no directory', valid.replace(/directories:[^]*/, 'directories: []\n'), /^14:1: directories: /],
    ['a directory of no known kind', changed('kind: built-in', 'kind: nis'), /^16:5: directories\.0\.kind: /],
    ['a directory without a kind', changed('    kind: built-in\n', ''), /^15:5: directories\.0\.kind: /],
    [
      'a directory with a field of another kind',
      `${valid}    servers: [ldaps://x]\n`,
      /^18:5: directories\.0: /,
    ],
    [
      'a directory called like no directory',
      changed('name: builtin', 'name: Built_In'),
      /^15:5: directories\.0\.name: /,
    ],
    [
      'two directories of one name',
      `${valid}  - { name: builtin, kind: built-in, file: b.json }\n`,
      /^18:7: directories\.1\.name: a second directory called builtin/,
    ],
    [
      'several mistakes, all of them at once',
      changed('version: 1', 'version: 3')
        .replace('data: data', 'data: 7')
        .replace('kind: built-in', 'kind: x'),
      /^1:1: version: /,
      /^6:1: data: /,
      /^16:5: directories\.0\.kind: /,
    ],
  ])('with %s is refused, by line and column', (_what, text, ...problems) => {
    const found = problemsOf(text);
    if (!text.startsWith('version: [')) expect(found).toHaveLength(problems.length);
    for (const [nth, problem] of problems.entries()) expect(found[nth]).toMatch(problem);
  });

  it.each(['127.0.0.1:0', '0.0.0.0:443', '[::]:8443', '[2001:db8::1]:65535', 'broker.example.com:8443'])(
    'listens on %s',
    (listen) => {
      expect(problemsOf(changed('listen: 127.0.0.1:8443', `listen: "${listen}"`))).toEqual([]);
    },
  );

  it('never repeats a secret that was put in the wrong place', () => {
    const text = changed('    file: secrets/keys.passphrase', '    value: canary-passphrase');
    expect(problemsOf(text).join()).not.toContain('canary-passphrase');
  });

  it('that cannot be read says so', () => {
    expect(problemsOf(Buffer.from([0x76, 0xff, 0xfe]))).toEqual(['main.unreadable_config']);
    expect(problemsOf(`${valid}#${'x'.repeat(1 << 20)}`)).toEqual(['main.unreadable_config']);
    for (const path of [join(folder, 'missing.yaml'), folder])
      expect(() => loadConfig(path)).toThrow(expect.objectContaining({ code: 'main.unreadable_config' }));
  });

  it('is refused with a code, whatever it holds', () => {
    const yaml = fc.oneof(
      fc.string(),
      fc.jsonValue().map((value) => JSON.stringify(value)),
      fc
        .tuple(fc.nat(valid.length), fc.nat(40), fc.string({ maxLength: 12 }))
        .map(([at, size, put]) => valid.slice(0, at) + put + valid.slice(at + size)),
    );
    fc.assert(
      fc.property(yaml, (text) => {
        for (const problem of problemsOf(text)) expect(problem).toMatch(/^\d+:\d+: .|^main\./);
      }),
      { seed: 20_261_123, numRuns: 1500 },
    );
  });
});

describe('the addresses that may read metrics', () => {
  it('are those of the networks, in each form', () => {
    const allowed = addressFilter(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', '::1/128']);
    for (const address of ['10.255.1.1', '192.0.2.7', '2001:db8:1::1', '::1'])
      expect([address, allowed(address)]).toEqual([address, true]);
    for (const address of [
      '11.0.0.1',
      '192.0.2.8',
      '2001:db9::1',
      '::2',
      '',
      'junk',
      '10.0.0.1 ',
      '10.0.0.0/8',
    ])
      expect([address, allowed(address)]).toEqual([address, false]);
    expect(addressFilter([])('127.0.0.1')).toBe(false);
    expect(addressFilter(['fe80::/10'])('fe80::1%eth0')).toBe(true);
  });

  it.each([
    '',
    '/',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '10.0.0/8',
    '::/129',
    'localhost',
    '10.0.0.0/1e1',
    ' 10.0.0.0/8',
    '*',
  ])('are none of “%s”, which is no network', (text) => {
    expect(isNetwork(text)).toBe(false);
    expect(addressFilter([text])('10.0.0.1')).toBe(false);
  });
});
