import { createPublicKey, verify } from 'node:crypto';
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from 'jose';
import { describe, expect, test } from 'vitest';
import {
  exportProofKey,
  generateProofKey,
  parseProofKey,
  signProof,
} from '../../../src/doors/client/index.ts';
import { sha256, systemRandom } from '../../../src/kernel/index.ts';

const nowMs = Date.parse('2026-11-23T16:00:00.900Z');
const url = new URL('https://broker.example:8443/v1/ssh/sign?a=b#c');

describe('DPoP proofs', () => {
  test('are what jose accepts, with method, address without query, time and token hash', async () => {
    const key = generateProofKey();
    const jwt = signProof(key, { method: 'POST', url, token: 'the-token', nowMs, random: systemRandom });
    const { payload, protectedHeader } = await jwtVerify(jwt, EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: ['ES256'],
      currentDate: new Date(nowMs),
    });
    expect(payload).toEqual({
      htm: 'POST',
      htu: 'https://broker.example:8443/v1/ssh/sign',
      iat: Math.floor(nowMs / 1000),
      jti: expect.stringMatching(/^[\w-]{22}$/),
      ath: sha256('the-token').toString('base64url'),
    });
    expect(Object.keys(protectedHeader.jwk ?? {}).sort()).toEqual(['crv', 'kty', 'x', 'y']);
  });

  test('carry no token hash at login, and never the same id twice', () => {
    const key = generateProofKey();
    const payloads = [1, 2].map(() => {
      const jwt = signProof(key, { method: 'POST', url, nowMs, random: systemRandom });
      return JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as Record<
        string,
        string
      >;
    });
    expect(payloads[0]).not.toHaveProperty('ath');
    expect(payloads[0]?.['jti']).not.toBe(payloads[1]?.['jti']);
  });

  test('are signed as r||s of 64 bytes', () => {
    const key = generateProofKey();
    const [header = '', payload = '', signature = ''] = signProof(key, {
      method: 'GET',
      url,
      nowMs,
      random: systemRandom,
    }).split('.');
    const bytes = Buffer.from(signature, 'base64url');
    expect(bytes.length).toBe(64);
    const publicKey = createPublicKey({ key: key.publicJwk, format: 'jwk' });
    const signed = Buffer.from(`${header}.${payload}`);
    expect(verify('sha256', signed, { key: publicKey, dsaEncoding: 'ieee-p1363' }, bytes)).toBe(true);
  });

  test('a stored key is the same key again', async () => {
    const key = generateProofKey();
    const again = parseProofKey({ ...exportProofKey(key) });
    expect(await calculateJwkThumbprint(again.publicJwk)).toBe(await calculateJwkThumbprint(key.publicJwk));
  });

  test.each([
    ['nothing', {}],
    ['a public key', generateProofKey().publicJwk],
    ['a secret', { kty: 'oct', k: 'AAAA' }],
    ['another curve', { kty: 'EC', crv: 'P-384', x: 'AAAA', y: 'AAAA', d: 'AAAA' }],
    [
      'halves that do not fit',
      { ...exportProofKey(generateProofKey()), x: exportProofKey(generateProofKey()).x },
    ],
    ['an Ed25519 key', { kty: 'OKP', crv: 'Ed25519', x: 'AAAA', d: 'AAAA' }],
  ])('%s is refused as a stored key', (_title, jwk) => {
    expect(() => parseProofKey(jwk)).toThrow(expect.objectContaining({ code: 'client.bad_session_file' }));
  });
});
