import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isCodedError, systemClock } from '../../src/kernel/index.ts';
import { loadConfig } from '../../src/main/config.ts';
import { createSinks } from '../../src/main/sinks.ts';
import { describeWithPeers } from '../support/peers.ts';
import { makeSinkTls } from '../support/sink-tls.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-sinks-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'sallyport.yaml');

const head = `version: 1
listen: 127.0.0.1:8443
origins: ["https://localhost:8443"]
tls: { certificate: tls/server.pem, key: tls/server.key }
data: data
policy: policy.yaml
keys: { folder: keys, passphrase: { prompt: true } }
log: { origin: localhost/accounting/1 }
directories: [{ name: builtin, kind: built-in, file: people.json }]
sinks:
`;
const copy = '{ name: copy, kind: file, format: json, path: out/copy.jsonl }';
const siem =
  '{ name: siem, kind: syslog, format: cef, server: "siem.example.com:6514", ca-file: tls/ca.crt, certificate: tls/client.crt, key: tls/client.key }';
const hook =
  '{ name: hook, kind: webhook, format: ocsf, url: "https://siem.example.com/in", secret-file: secret }';
const listed = (...sinks: readonly string[]): string => head + sinks.map((sink) => `  - ${sink}\n`).join('');

function problemsOf(text: string): string {
  writeFileSync(file, text);
  try {
    loadConfig(file);
    return '';
  } catch (error) {
    if (isCodedError(error, 'main.invalid_config')) return error.message;
    throw error;
  }
}

describe('sinks in a configuration', () => {
  it('are none unless there are some', () => {
    writeFileSync(file, head.replace('sinks:\n', ''));
    expect(loadConfig(file).sinks).toEqual([]);
  });

  it('have paths of their own file, and keep personal values in the house', () => {
    writeFileSync(file, listed(copy, siem, hook));
    expect(loadConfig(file).sinks).toMatchObject([
      { name: 'copy', path: join(folder, 'out/copy.jsonl'), personal: 'omit', from: 'start' },
      { name: 'siem', key: join(folder, 'tls/client.key'), 'enterprise-number': 32_473 },
      { name: 'hook', 'secret-file': join(folder, 'secret'), body: 'lines' },
    ]);
  });

  it.each<[string, string, RegExp]>([
    ['an unknown kind', copy.replace('file', 'pigeon'), /kind/],
    ['an unknown format', copy.replace('json,', 'leef,'), /format/],
    ['no path', '{ name: copy, kind: file, format: json }', /path/],
    ['a name that is none', copy.replace('copy,', 'Copy!,'), /name/],
    ['a field of another kind', copy.replace('}', ', url: "https://x" }'), /url/],
    ['a word for personal values that is none', copy.replace('}', ', personal: some }'), /personal/],
    ['a server without a port', siem.replace(':6514', ''), /server/],
    ['port 0', siem.replace(':6514', ':0'), /port/],
    ['a port over 65535', siem.replace(':6514', ':65536'), /port/],
    ['no client certificate', siem.replace(' certificate: tls/client.crt,', ''), /certificate/],
    ['no authority', siem.replace(' ca-file: tls/ca.crt,', ''), /ca-file/],
    ['no enterprise number', siem.replace('}', ', enterprise-number: 0 }'), /enterprise-number/],
    ['an address in clear', hook.replace('https:', 'http:'), /https/],
    ['an address that is none', hook.replace('https://', ''), /https/],
    ['a password in the address', hook.replace('https://', 'https://a:b@'), /password/],
    ['a fragment in the address', hook.replace('/in', '/in#x'), /fragment/],
    ['syslog over HTTPS', hook.replace('ocsf', 'rfc5424'), /format/],
    ['CEF in an array', hook.replace('ocsf', 'cef').replace('}', ', body: array }'), /body/],
    ['no secret', hook.replace(', secret-file: secret', ''), /secret-file/],
  ])('are refused with %s', (_, sink, expected) => {
    expect(problemsOf(listed(sink))).toMatch(expected);
  });

  it('are refused when two have one name or one file', () => {
    expect(problemsOf(listed(copy, siem.replace('name: siem', 'name: copy')))).toMatch(
      /a second sink called copy/,
    );
    expect(problemsOf(listed(copy, copy.replace('name: copy', 'name: other')))).toMatch(
      /another sink writes to this file/,
    );
  });
});

describeWithPeers(['openssl'], 'the files that sinks name', () => {
  beforeAll(() => {
    makeSinkTls(join(folder, 'tls'));
    mkdirSync(join(folder, 'out'), { mode: 0o700 });
    mkdirSync(join(folder, 'loose'));
    chmodSync(join(folder, 'loose'), 0o777);
    const secrets = {
      secret: 'x'.repeat(32),
      short: 'short',
      token: 'Bearer abc\n',
      lines: 'Bearer abc\nX: y',
      empty: '',
    };
    for (const [name, text] of Object.entries(secrets))
      writeFileSync(join(folder, name), text, { mode: 0o600 });
    writeFileSync(join(folder, 'open'), 'x'.repeat(32));
    chmodSync(join(folder, 'open'), 0o644);
    writeFileSync(join(folder, 'no-pem'), 'no PEM');
  });

  function codeFor(...sinks: readonly string[]): string {
    writeFileSync(file, listed(...sinks));
    try {
      createSinks(loadConfig(file), { version: '0.1.0', clock: systemClock });
      return 'accepted';
    } catch (error) {
      if (isCodedError(error)) return error.code;
      throw error;
    }
  }

  it('are all there, and nothing is opened or connected', () => {
    expect(codeFor(copy, siem, hook.replace('}', ', authorization-file: token, ca-file: tls/ca.crt }'))).toBe(
      'accepted',
    );
  });

  it.each<[string, string, string]>([
    ['a folder where others can put files', copy.replace('out/', 'loose/'), 'keys.loose_permissions'],
    ['a folder that is not there', copy.replace('out/', 'nowhere/'), 'keys.unreadable'],
    ['a secret that others can read', hook.replace('-file: secret', '-file: open'), 'keys.loose_permissions'],
    ['a secret that is too short', hook.replace('-file: secret', '-file: short'), 'main.bad_secret'],
    ['a secret that is not there', hook.replace('-file: secret', '-file: none'), 'keys.unreadable'],
    ['two lines of authorization', hook.replace('}', ', authorization-file: lines }'), 'main.bad_secret'],
    ['an empty authorization', hook.replace('}', ', authorization-file: empty }'), 'main.bad_secret'],
    ['a CA file that is not there', hook.replace('}', ', ca-file: none }'), 'main.unreadable_config'],
    ['the key of another certificate', siem.replace('client.key', 'server.key'), 'main.bad_tls'],
    ['a client key that is none', siem.replace('tls/client.key', 'secret'), 'main.bad_tls'],
    ['a client certificate that is none', siem.replace('tls/client.crt', 'no-pem'), 'main.bad_tls'],
    [
      'a client certificate that is not there',
      siem.replace('tls/client.crt', 'none'),
      'main.unreadable_config',
    ],
    ['an authority that is none', siem.replace('tls/ca.crt', 'no-pem'), 'main.bad_tls'],
    ['an authority of a webhook that is none', hook.replace('}', ', ca-file: no-pem }'), 'main.bad_tls'],
  ])('stop the start with %s', (_, sink, code) => {
    expect(codeFor(sink)).toBe(code);
  });
});
