import { assert, nat, property, uint8Array } from 'fast-check';
import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  createSignBundle,
  encodeBundle,
  encodeBundledList,
  parseBundle,
  type TrustBundle,
} from '../../src/hosts/index.ts';
import { isCodedError, parseHostId } from '../../src/kernel/index.ts';
import { publicKeyFromKeyObject, verifySshsig } from '../../src/ssh/index.ts';
import { codeOfSync } from '../support/code-of.ts';
import { newKeyPair } from '../support/protocol-host.ts';

const bundle: TrustBundle = {
  brokerUrl: 'https://broker.example.com:8443',
  host: parseHostId(`h-${'b'.repeat(26)}`),
  group: 'web',
  version: 42n,
  issuedMs: Date.UTC(2026, 10, 30, 8),
  freshUntilMs: Date.UTC(2026, 11, 1, 8),
  whenStale: 'close',
  endSessions: 'on',
  userCas: [newKeyPair().line],
  hostCas: [newKeyPair().line],
  principals: [
    { account: 'deploy', names: ['web-deployers', 'release'] },
    { account: 'root', names: ['emergency'] },
  ],
  krl: { version: 42n, bytes: Buffer.from('SSHKRL\n\0'.repeat(40), 'latin1') },
};
const encoded = (over: Partial<TrustBundle> = {}): Buffer => {
  const whole = { ...bundle, ...over };
  return encodeBundle(whole, encodeBundledList(whole.krl));
};

describe('a trust bundle', () => {
  it('says what it should, and is read back', () => {
    expect(parseBundle(encoded())).toEqual(bundle);
    const bare = { principals: [], hostCas: [], krl: { version: 1n, bytes: Buffer.from([1]) } };
    expect(parseBundle(encoded(bare))).toEqual({ ...bundle, ...bare });
    expect(
      encoded()
        .toString('utf8')
        .split('\n')
        .filter((line) => line.length > 76 && !line.includes(' ')),
    ).toEqual([]);
  });

  it('is signed for its own purpose, by the key that was pinned', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const signer = {
      algorithm: 'ed25519',
      publicKey,
      sign: (message: Uint8Array) => sign(null, message, privateKey),
    } as const;
    const text = (await createSignBundle(signer)(encoded())).toString('utf8');
    const at = text.indexOf('-----BEGIN');
    const trustedKeys = [publicKeyFromKeyObject(publicKey)];
    const verdict = (body: string, namespace: string) =>
      verifySshsig(text.slice(at), Buffer.from(body), { namespace, trustedKeys }).outcome;
    expect(verdict(text.slice(0, at), 'trust-bundle@sallyport')).toBe('valid');
    expect(verdict(text.slice(0, at), 'sallyport-krl')).toBe('invalid');
    expect(verdict(text.slice(0, at).replace('version 42', 'version 43'), 'trust-bundle@sallyport')).toBe(
      'invalid',
    );
  });

  const edits: [string, (text: string) => string][] = [
    ['cut before its end', (text) => text.slice(0, -4)],
    ['cut in its list', (text) => text.slice(0, text.indexOf('end-krl'))],
    ['something behind its end', (text) => `${text}x\n`],
    ['another format', (text) => text.replace('bundle 1', 'bundle 2')],
    ['no user CA', (text) => text.replace(/^userca .*\n/m, '')],
    ['a CA that is no key', (text) => text.replace(/^userca .*/m, 'userca nonsense')],
    ['a version that is none', (text) => text.replace('version 42', 'version 0x2a')],
    ['a version twice', (text) => text.replace('version 42', 'version 42\nversion 43')],
    ['a time that is none', (text) => text.replace(/^issued .*/m, 'issued yesterday')],
    ['an unknown word', (text) => text.replace('when-stale close', 'when-stale open')],
    ['an unknown line', (text) => text.replace('group web', 'group web\ncolour red')],
    ['a principal with a space', (text) => text.replace('principal deploy release', 'principal deploy a b')],
    ['a principal with a star', (text) => text.replace('principal deploy release', 'principal deploy *')],
    ['a list of another size', (text) => text.replace(/^krl 42 320/m, 'krl 42 321')],
    ['a list of another hash', (text) => text.replace(/^(krl 42 320 )./m, '$1g')],
    ['a list that was changed', (text) => text.replace('U1NIS1JM', 'U1NIS1JN')],
    ['a list in other lines', (text) => text.replace(/^(U1NIS1JM.{4})/m, '$1\n')],
  ];
  it.each(edits)('is refused with %s', (_what, edit) => {
    expect(codeOfSync(() => parseBundle(Buffer.from(edit(encoded().toString('utf8')))))).toBe(
      'hosts.malformed',
    );
  });

  it('is read or refused with a code, whatever bytes come', () => {
    const whole = encoded();
    assert(
      property(nat(whole.length - 1), uint8Array({ maxLength: 4 }), nat(60), (at, put, cut) => {
        try {
          parseBundle(Buffer.concat([whole.subarray(0, at), put, whole.subarray(at + cut)]));
        } catch (error) {
          expect(isCodedError(error, 'hosts.malformed')).toBe(true);
        }
      }),
      { seed: 5, numRuns: 1000 },
    );
  });
});
