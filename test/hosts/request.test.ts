import { assert, nat, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseHostRequest, verifyProofs } from '../../src/hosts/index.ts';
import { isCodedError } from '../../src/kernel/index.ts';
import { codeOfSync } from '../support/code-of.ts';
import { newKeyPair, newProtocolHost, signed } from '../support/protocol-host.ts';

const host = newProtocolHost({ hostKeys: [newKeyPair(), newKeyPair()] });
host.id = `h-${'a'.repeat(26)}`;
const parseSync = (text: string): unknown => parseHostRequest(Buffer.from(text), 'sync');

describe('a request', () => {
  it('is read with its signatures, which are over the bytes before them', () => {
    const text = host.enrolment('T'.repeat(32), ['Web-1.example.com'], ['address 192.0.2.7']);
    const request = parseHostRequest(Buffer.from(text), 'enrol');
    expect(request).toMatchObject({
      action: 'enrol',
      names: ['web-1.example.com'],
      addresses: ['192.0.2.7'],
      platform: 'linux',
      token: 'T'.repeat(32),
    });
    expect([request.hostKeys.length, request.signatures.length]).toEqual([2, 3]);
    verifyProofs(request, request.identity);
  });

  const edits: [string, (text: string) => string][] = [
    ['no signature', (text) => text.slice(0, text.indexOf('-----'))],
    ['a signature too many', (text) => text + text.slice(text.indexOf('-----'))],
    ['something behind the signature', (text) => `${text}x`],
    ['another format', (text) => text.replace('request 1', 'request 2')],
    ['another action', (text) => text.replace('action sync', 'action renew')],
    ['an unknown word', (text) => text.replace('wait 0', 'wait 0\ncolour red')],
    ['an empty line', (text) => text.replace('wait 0', 'wait 0\n')],
    ['a word twice', (text) => text.replace('wait 0', 'wait 0\nwait 0')],
    ['a word without a value', (text) => text.replace('wait 0', 'wait')],
    ['a missing word', (text) => text.replace('wait 0\n', '')],
    ['CRLF', (text) => text.replaceAll('\n', '\r\n')],
    ['a control character', (text) => text.replace('OpenSSH', 'Open\u0007SSH')],
    ['a wait that is too long', (text) => text.replace('wait 0', 'wait 301')],
    ['a wait that is negative', (text) => text.replace('wait 0', 'wait -1')],
    ['a version that is too large', (text) => text.replace('have 0', 'have 9999999999999999999')],
    ['a version with a zero in front', (text) => text.replace('have 0', 'have 00')],
    ['a time without a zone', (text) => text.replace(/time [^\n]*/, 'time 2026-11-30T08:00:00')],
    ['a short nonce', (text) => text.replace(/nonce [^\n]*/, 'nonce 00')],
    ['no id of a host', (text) => text.replace(/host h-[^\n]*/, 'host h-1')],
    ['a check that is no word', (text) => text.replace('check ok', 'check Not Ok')],
    ['too many checks', (text) => text.replace('check ok', Array(40).fill('check ok').join('\n'))],
    ['bytes that are no UTF-8', (text) => text],
  ];
  it.each(edits)('is refused with %s', (what, edit) => {
    const text = edit(host.syncing());
    const bytes = Buffer.from(text);
    if (what.startsWith('bytes')) bytes[30] = 0xff;
    expect(codeOfSync(() => parseHostRequest(bytes, 'sync'))).toBe('hosts.malformed');
  });

  it.each<[string, string]>([
    ['hostkey sk-ssh-ed25519@openssh.com AAAA', 'ssh.malformed'],
    ['name bad_name', 'hosts.bad_name'],
    ['address 10.0.0', 'hosts.malformed'],
    ['platform linux', 'hosts.malformed'],
    [`hostkey ${host.hostKeys[0]?.line ?? ''}`, 'hosts.malformed'],
  ])('to enrol is refused with %s', (line, code) => {
    const text = host.enrolment(undefined, ['a'], [line]);
    const refused = codeOfSync(() => parseHostRequest(Buffer.from(text), 'enrol'));
    expect(refused === code || (code === 'ssh.malformed' && refused.startsWith('ssh.'))).toBe(true);
  });

  it('counts only with every signature, by the right key, over these bytes', () => {
    const text = host.renewal();
    const parse = (changed: string) => parseHostRequest(Buffer.from(changed), 'renew');
    verifyProofs(parse(text), host.identity.publicKey);
    const lines = text.slice(0, text.indexOf('-----')).trimEnd().split('\n');
    const [one, two] = host.hostKeys;
    if (one === undefined || two === undefined) throw new Error('two keys');
    const by = (...keys: Parameters<typeof signed>[1][number][]) => parse(signed(lines, keys));
    const bad = [
      by(newKeyPair(), one, two),
      by(host.identity, two, one),
      by(host.identity, one, one),
      by(host.identity, one, newKeyPair()),
      parse(text.replace(/nonce (.)/, (_all, digit) => `nonce ${digit === '0' ? '1' : '0'}`)),
    ];
    for (const request of bad)
      expect(codeOfSync(() => verifyProofs(request, host.identity.publicKey))).toBe('hosts.bad_signature');
  });

  it('is read or refused with a code, whatever bytes come', () => {
    const text = host.syncing();
    assert(
      property(nat(text.length - 1), string({ maxLength: 3 }), nat(40), (at, put, cut) => {
        try {
          parseSync(text.slice(0, at) + put + text.slice(at + cut));
        } catch (error) {
          expect(isCodedError(error)).toBe(true);
        }
      }),
      { seed: 3, numRuns: 1000 },
    );
  });
});
