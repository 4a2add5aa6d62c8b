import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import type { JsonWebKey, KeyObject } from 'node:crypto';
import { createDpopVerifier } from '../../src/identity/index.ts';
import { sha256 } from '../../src/kernel/index.ts';
import { codeOf } from '../support/code-of.ts';
import { standingClock } from './fixtures.ts';

export const origin = 'https://broker.example:8443';
export const path = '/v1/ssh/sign';
export const token = `sp1_${'A'.repeat(43)}`;
const ath = sha256(token).toString('base64url');

export const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
export const otherEc = generateKeyPairSync('ec', { namedCurve: 'P-256' });
export const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
export const ed = generateKeyPairSync('ed25519');
export const ed448 = generateKeyPairSync('ed448');
export const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
export const jwkOf = (key: KeyObject): JsonWebKey => key.export({ format: 'jwk' });

export type Json = Record<string, unknown>;
export const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

const clock = standingClock();
export const nowSeconds = clock.nowMs() / 1000;

export const claims = (change: Json = {}): Json => ({
  htm: 'POST',
  htu: origin + path,
  iat: nowSeconds,
  jti: randomUUID(),
  ath,
  ...change,
});
export const header = (change: Json = {}): Json => ({
  typ: 'dpop+jwt',
  alg: 'ES256',
  jwk: jwkOf(ec.publicKey),
  ...change,
});
export const signEc = (text: string, key: KeyObject = ec.privateKey): string =>
  sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');

/** A proof written by hand, so that it can be wrong in any way. */
export function forge(head: unknown, body: unknown, signer: (text: string) => string = signEc): string {
  const text = `${encode(head)}.${encode(body)}`;
  return `${text}.${signer(text)}`;
}

export type Options = Parameters<typeof createDpopVerifier>[0];
/** A verifier that has been there for ten minutes. */
export function newVerifier(options: Partial<Options> = {}) {
  let isBorn = false;
  const told = options.clock ?? clock;
  const aged = { nowMs: () => told.nowMs() - (isBorn ? 0 : 600_000) };
  const verifier = createDpopVerifier({ origins: [origin], ...options, clock: aged });
  isBorn = true;
  return verifier;
}
export const request = (proof: string | undefined) => ({ proof, method: 'POST', path, accessToken: token });

/** A verifier to which the key is new, and one that remembers it: both must judge alike. */
export async function verdicts(proof: string): Promise<readonly string[]> {
  const knows = newVerifier();
  await knows.verify(request(forge(header(), claims())));
  return [
    await codeOf(() => newVerifier().verify(request(proof))),
    await codeOf(() => knows.verify(request(proof))),
  ];
}
