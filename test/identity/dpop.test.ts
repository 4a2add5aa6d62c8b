import { createHmac, sign } from 'node:crypto';
import { SignJWT, calculateJwkThumbprint } from 'jose';
import { describe, expect, it } from 'vitest';
import { isCodedError, sha256 } from '../../src/kernel/index.ts';
import { createDpopVerifier } from '../../src/identity/index.ts';
import { codeOf, codeOfSync } from '../support/code-of.ts';
import { standingClock } from './fixtures.ts';
import {
  origin,
  path,
  token,
  ec,
  otherEc,
  p384,
  ed,
  ed448,
  rsa,
  jwkOf,
  encode,
  nowSeconds,
  claims,
  header,
  signEc,
  forge,
  newVerifier,
  request,
  verdicts,
} from './proofs.ts';

describe('a proof of possession', () => {
  it.each([
    ['ES256', ec],
    ['EdDSA', ed],
    ['Ed25519', ed],
  ] as const)('made by jose with %s is accepted and names the key', async (alg, keys) => {
    const jwk = jwkOf(keys.publicKey);
    const make = () =>
      new SignJWT(claims())
        .setProtectedHeader({ typ: 'dpop+jwt', alg, jwk: { ...jwk, kty: jwk.kty ?? '' } })
        .sign(keys.privateKey);
    const verifier = newVerifier();
    const thumbprint = await calculateJwkThumbprint({ ...jwk, kty: jwk.kty ?? '' });
    for (let round = 0; round < 3; round += 1)
      expect(await verifier.verify(request(await make()))).toEqual({ keyThumbprint: thumbprint });
  });

  it('is the one of RFC 9449 section 4.1, at its time', async () => {
    // Figure 2 of RFC 9449, whose key has the thumbprint given in section 6.1.
    const proof =
      'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo' +
      'RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJq' +
      'dGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0Ijox' +
      'NTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg';
    const verifier = createDpopVerifier({
      origins: ['https://server.example.com'],
      clock: standingClock(1_562_262_616_000),
    });
    expect(await verifier.verify({ proof, method: 'POST', path: '/token' })).toEqual({
      keyThumbprint: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I',
    });
  });

  it('is not needed only by mistake: none at all has a code of its own', async () => {
    expect(await codeOf(() => newVerifier().verify(request(undefined)))).toBe('identity.dpop_missing');
    expect(await codeOf(() => newVerifier().verify(request('')))).toBe('identity.dpop_missing');
  });

  const hmac = (text: string): string =>
    createHmac('sha256', ec.publicKey.export({ type: 'spki', format: 'pem' }))
      .update(text)
      .digest('base64url');
  const jwk = jwkOf(ec.publicKey);
  it.each<readonly [string, () => string]>([
    ['alg none without signature', () => forge(header({ alg: 'none' }), claims(), () => '')],
    ['alg none with a signature', () => forge(header({ alg: 'none' }), claims())],
    ['alg NONE', () => forge(header({ alg: 'NONE' }), claims(), () => '')],
    ['HS256 with the public key as secret', () => forge(header({ alg: 'HS256' }), claims(), hmac)],
    [
      'HS256 with an oct key',
      () => forge(header({ alg: 'HS256', jwk: { kty: 'oct', k: 'c2VjcmV0' } }), claims(), hmac),
    ],
    [
      'RS256',
      () =>
        forge(header({ alg: 'RS256', jwk: jwkOf(rsa.publicKey) }), claims(), (text) =>
          sign('sha256', Buffer.from(text), rsa.privateKey).toString('base64url'),
        ),
    ],
    [
      'ES384',
      () =>
        forge(header({ alg: 'ES384', jwk: jwkOf(p384.publicKey) }), claims(), (text) =>
          sign('sha384', Buffer.from(text), { key: p384.privateKey, dsaEncoding: 'ieee-p1363' }).toString(
            'base64url',
          ),
        ),
    ],
    [
      'a key of another curve than the algorithm',
      () => forge(header({ jwk: jwkOf(p384.publicKey) }), claims(), (text) => signEc(text, p384.privateKey)),
    ],
    [
      'a P-384 key that claims to be P-256',
      () => forge(header({ jwk: { ...jwkOf(p384.publicKey), crv: 'P-256' } }), claims()),
    ],
    [
      'Ed448',
      () =>
        forge(header({ alg: 'EdDSA', jwk: jwkOf(ed448.publicKey) }), claims(), (text) =>
          sign(null, Buffer.from(text), ed448.privateKey).toString('base64url'),
        ),
    ],
    ['an Ed25519 key with ES256', () => forge(header({ jwk: jwkOf(ed.publicKey) }), claims())],
    ['a point that is not on the curve', () => forge(header({ jwk: { ...jwk, y: jwk.x } }), claims())],
    ['a missing coordinate', () => forge(header({ jwk: { kty: 'EC', crv: 'P-256', x: jwk.x } }), claims())],
    ['a private key', () => forge(header({ jwk: jwkOf(ec.privateKey) }), claims())],
    ['no key', () => forge(header({ jwk: undefined }), claims())],
    ['a key that is a list', () => forge(header({ jwk: [jwk] }), claims())],
    ['a key id instead of a key', () => forge(header({ jwk: undefined, kid: '1' }), claims())],
    ['another type', () => forge(header({ typ: 'JWT' }), claims())],
    ['no type', () => forge(header({ typ: undefined }), claims())],
    ['the type as a media type', () => forge(header({ typ: 'application/dpop+jwt' }), claims())],
    ['crit', () => forge(header({ crit: ['exp'] }), claims())],
    ['an empty crit', () => forge(header({ crit: [] }), claims())],
    ['b64 false', () => forge(header({ b64: false, crit: ['b64'] }), claims())],
    ['a header that is a list', () => forge([], claims())],
    ['a header that is not JSON', () => forge('{', claims())],
    [
      'a signature by another key',
      () => forge(header(), claims(), (text) => signEc(text, otherEc.privateKey)),
    ],
    [
      'a DER signature',
      () =>
        forge(header(), claims(), (text) =>
          sign('sha256', Buffer.from(text), ec.privateKey).toString('base64url'),
        ),
    ],
    ['no signature', () => forge(header(), claims(), () => '')],
    [
      'an all-zero signature (CVE-2022-21449)',
      () => forge(header(), claims(), () => Buffer.alloc(64).toString('base64url')),
    ],
    [
      'a signature of other content',
      () => `${forge(header(), claims()).split('.').slice(0, 2).join('.')}.${signEc('x.y')}`,
    ],
    ['content that is a list', () => forge(header(), [])],
    ['content that is not JSON', () => forge(header(), '{')],
    ['two parts', () => forge(header(), claims()).split('.').slice(0, 2).join('.')],
    ['four parts', () => `${forge(header(), claims())}.`],
    ['five parts (JWE)', () => `${forge(header(), claims())}.x.y`],
    ['two proofs in one header', () => `${forge(header(), claims())}, ${forge(header(), claims())}`],
    ['padding', () => `${forge(header(), claims())}==`],
    ['white space', () => ` ${forge(header(), claims())}`],
    [
      'JSON serialisation',
      () => JSON.stringify({ protected: encode(header()), payload: encode(claims()), signature: 'x' }),
    ],
    ['another method', () => forge(header(), claims({ htm: 'GET' }))],
    ['the method in lower case', () => forge(header(), claims({ htm: 'post' }))],
    ['no method', () => forge(header(), claims({ htm: undefined }))],
    ['no address', () => forge(header(), claims({ htu: undefined }))],
    ['a list of addresses', () => forge(header(), claims({ htu: [origin + path] }))],
    [
      'the hash of another token',
      () => forge(header(), claims({ ath: sha256(`${token}x`).toString('base64url') })),
    ],
    ['no hash of the token', () => forge(header(), claims({ ath: undefined }))],
    ['the token itself as its hash', () => forge(header(), claims({ ath: token }))],
    ['no id', () => forge(header(), claims({ jti: undefined }))],
    ['an empty id', () => forge(header(), claims({ jti: '' }))],
    ['an id that is a number', () => forge(header(), claims({ jti: 7 }))],
    ['an endless id', () => forge(header(), claims({ jti: 'x'.repeat(257) }))],
    ['no time', () => forge(header(), claims({ iat: undefined }))],
    ['a time that is a text', () => forge(header(), claims({ iat: String(nowSeconds) }))],
    ['a negative time', () => forge(header(), claims({ iat: -1 }))],
    ['a time beyond all dates', () => forge(header(), claims({ iat: 1e300 }))],
  ])('with %s is refused, by a key known or new', async (_title, make) => {
    expect(await verdicts(make())).toEqual(['identity.dpop_invalid', 'identity.dpop_invalid']);
  });

  it('with one changed bit anywhere is refused', async () => {
    const proof = forge(header(), claims());
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const verifier = newVerifier();
    for (let at = 0; at < proof.length; at += 1) {
      const next = alphabet[(alphabet.indexOf(proof[at] ?? '') + 1) % 64] ?? '';
      const changed = proof.slice(0, at) + next + proof.slice(at + 1);
      expect(await codeOf(() => verifier.verify(request(changed)))).toBe('identity.dpop_invalid');
    }
    expect(await codeOf(() => verifier.verify(request(proof)))).toBe('accepted');
  });

  it('over 4 KiB is refused before anything of it is read', async () => {
    const long = forge(header(), claims({ padding: 'x'.repeat(4096) }));
    expect(await verdicts(long)).toEqual(['identity.dpop_invalid', 'identity.dpop_invalid']);
    expect(await codeOf(() => newVerifier().verify(request('.'.repeat(50_000_000))))).toBe(
      'identity.dpop_invalid',
    );
  });

  it('for a session is none for a login, and the other way round', async () => {
    const withoutToken = { proof: forge(header(), claims()), method: 'POST', path };
    expect(await codeOf(() => newVerifier().verify(withoutToken))).toBe('identity.dpop_invalid');
    const login = { proof: forge(header(), claims({ ath: undefined })), method: 'POST', path };
    expect(await codeOf(() => newVerifier().verify(login))).toBe('accepted');
  });
});

describe('the address of a proof', () => {
  it.each([
    ['another port', 'https://broker.example:8444/v1/ssh/sign'],
    ['no port', 'https://broker.example/v1/ssh/sign'],
    ['another host', 'https://broker.example.evil:8443/v1/ssh/sign'],
    ['another scheme', 'http://broker.example:8443/v1/ssh/sign'],
    ['another path', 'https://broker.example:8443/v1/login'],
    ['a longer path', 'https://broker.example:8443/v1/ssh/sign/'],
    ['a query', 'https://broker.example:8443/v1/ssh/sign?x=1'],
    ['an empty query', 'https://broker.example:8443/v1/ssh/sign?'],
    ['a fragment', 'https://broker.example:8443/v1/ssh/sign#x'],
    ['a person', 'https://alice@broker.example:8443/v1/ssh/sign'],
    ['no scheme', '/v1/ssh/sign'],
    ['nothing', ''],
    ['a control character', 'https://broker.example:8443/v1/ssh/sign\u001B[2J'],
  ])('with %s is refused and both are named', async (_title, htu) => {
    const error: unknown = await newVerifier()
      .verify(request(forge(header(), claims({ htu }))))
      .catch((cause: unknown) => cause);
    if (!isCodedError(error, 'identity.dpop_wrong_url')) expect.unreachable(String(error));
    expect(error.details).toEqual({ expected: origin + path, got: htu.replace('\u001B', '?') });
    expect(error.message).not.toContain('\u001B');
  });
  it.each([
    'https://BROKER.example:8443/v1/ssh/sign',
    'HTTPS://broker.example:8443/v1/ssh/sign',
    'https://broker.example:8443/v1/./ssh/sign',
  ])('may be written as %s (RFC 3986 normalisation)', async (htu) => {
    expect(await codeOf(() => newVerifier().verify(request(forge(header(), claims({ htu })))))).toBe(
      'accepted',
    );
  });
  it('may be any that the broker has, with a default port left out', async () => {
    const verifier = newVerifier({
      origins: ['https://127.0.0.1:8443', 'https://broker.example:443', 'https://[::1]:8443'],
    });
    for (const host of ['127.0.0.1:8443', 'broker.example', 'broker.example:443', '[::1]:8443'])
      expect(
        await codeOf(() =>
          verifier.verify(request(forge(header(), claims({ htu: `https://${host}${path}` })))),
        ),
      ).toBe('accepted');
  });
  it.each([
    'broker.example',
    'https://broker.example/v1',
    'ftp://broker.example',
    'https://a@broker.example',
    '',
  ])('cannot be configured as %j', (bad) => {
    expect(codeOfSync(() => newVerifier({ origins: [bad] }))).toBe('identity.bad_origin');
  });
});

describe('a refusal', () => {
  it('quotes neither the token nor the proof', async () => {
    const proofs = [
      forge(header(), claims({ ath: undefined })),
      forge(header(), claims({ htm: 'GET' })),
      forge(header({ alg: 'none' }), claims()),
      forge(header(), claims(), () => 'x'),
    ];
    for (const proof of proofs) {
      const error: unknown = await newVerifier()
        .verify(request(proof))
        .catch((cause: unknown) => cause);
      if (!isCodedError(error)) expect.unreachable(String(error));
      const text = JSON.stringify(error) + (error.stack ?? '') + String(error.cause);
      expect(text).not.toContain(token);
      expect(text).not.toContain(proof.split('.')[1]);
    }
  });
});
