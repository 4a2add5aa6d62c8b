import { createPublicKey, verify as verifySignature } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, compactVerify } from 'jose';
import { CodedError, decodeBase64Url, printable, sha256, toRfc3339 } from '../kernel/index.ts';
import type { Clock } from '../kernel/index.ts';
import { createReplayMemory } from './replay-memory.ts';

export interface DpopRequest {
  /** The `DPoP` header; a header sent twice is no proof. */
  readonly proof: string | undefined;
  readonly method: string;
  /** Path of the request as it arrived, without query. */
  readonly path: string;
  /** The token that came with the proof. Look its session up first: junk tokens are not worth a signature check. */
  readonly accessToken?: string;
}

export interface DpopVerifier {
  /**
   * Verifies one proof and uses it up. @returns the RFC 7638 thumbprint (SHA-256, base64url) of the key that signed it.
   * @throws CodedError `identity.dpop_missing`, `identity.dpop_invalid`, `identity.clock_skew` (details `brokerTime`, `clientTime`),
   * `identity.dpop_wrong_url` (details `expected`, `got`), `identity.dpop_replayed`, `identity.dpop_forgotten`, `identity.busy`
   * @see RFC 9449 section 4.3
   */
  verify(request: DpopRequest): Promise<{ readonly keyThumbprint: string }>;
}

/** What several brokers remember together: which proofs were used. */
export interface UsedProofs {
  /**
   * Records a proof by its name, 17 bytes. @returns `used` when any of the brokers recorded it before, `forgotten` when that may be:
   * the memory does not reach back to when it was made
   */
  recordProof(proof: {
    readonly name: Buffer;
    readonly madeSecond: number;
    /** Usable until then, inclusive. */
    readonly untilSecond: number;
  }): Promise<'new' | 'used' | 'forgotten'>;
}

export interface DpopOptions {
  /** Where clients reach the broker, e.g. `https://broker.example:8443`: scheme, host and port, no path. */
  readonly origins: readonly string[];
  readonly clock: Clock;
  /** How old a proof may be. 60. */
  readonly maxAgeSeconds?: number;
  /** How far ahead the client's clock may be. 30: people's laptops are. */
  readonly maxAheadSeconds?: number;
  /** Where several brokers remember together. Without it only this process does. */
  readonly shared?: UsedProofs;
  /** Proofs remembered, for login and for sessions each; about 100 bytes each. 1,000,000: eleven thousand a second. */
  readonly replayCapacity?: number;
}

const maxProofChars = 4096;
const maxRememberedKeys = 4096;
const maxTimeSeconds = 8.64e12;

interface ProofKey {
  readonly key: KeyObject;
  readonly algorithm: string;
  readonly thumbprint: string;
}

const invalid = (problem: string, cause?: unknown): CodedError =>
  new CodedError('identity.dpop_invalid', `The proof of possession is not valid: ${problem}.`, {
    next: 'Use the current `sallyport` client; if it goes on, log in again.',
    ...(cause === undefined ? {} : { cause }),
  });
/** A good proof, but of a time from which the memory of used ones is gone: a fresh one, made a second later, will do. */
const outOfMemory = (problem: string): CodedError =>
  new CodedError('identity.dpop_forgotten', `The proof of possession cannot be taken: ${problem}.`, {
    next: 'Try again. If it goes on, compare your clock with the broker’s: yours may be behind.',
  });

/**
 * Checks that requests come from the holder of a private key. Each proof is good once, for one method and one address, and only
 * for the token that it names. Proofs of login and of sessions are remembered apart, so that strangers cannot fill the memory
 * that sessions need; a proof is remembered only after everything about it was right. The memory goes with the process, so a proof
 * that was made before the second in which the verifier was is refused: another one may have accepted it. With a memory that is
 * shared it is the shared one that counts.
 */
export function createDpopVerifier(options: DpopOptions): DpopVerifier {
  const { clock, shared, maxAgeSeconds = 60, maxAheadSeconds = 30, replayCapacity = 1_000_000 } = options;
  const origins = options.origins.map(parseOrigin);
  const usedAtLogin = createReplayMemory(replayCapacity);
  const usedInSessions = createReplayMemory(replayCapacity);
  const keys = new Map<string, ProofKey>();
  const bornSecond = Math.floor(clock.nowMs() / 1000);

  return {
    async verify({ proof, method, path, accessToken }) {
      if (proof === undefined || proof === '') {
        throw new CodedError('identity.dpop_missing', 'The request carries no proof of possession.', {
          next: 'Use the `sallyport` client, or send a DPoP header (RFC 9449).',
        });
      }
      if (proof.length > maxProofChars) throw invalid(`it is longer than ${maxProofChars} characters`);
      const [header = '', payload = '', signatureText = '', more] = proof.split('.', 4);
      // Strict base64url here: jose also reads padded and other spellings, which would make one proof two.
      const signature = decodeBase64Url(signatureText);
      if (more !== undefined || signature?.length !== 64) throw invalid('it is not three parts of base64url');

      // 1. The key, from the header alone. Clients send the same header each time, so one that proved itself is remembered.
      const remembered = keys.get(header);
      const proofKey = remembered ?? (await parseHeader(header));

      // 2. The signature, before anything that the payload says is believed.
      const isSigned =
        remembered === undefined
          ? await verifiesByJose(proof, proofKey)
          : verifies(`${header}.${payload}`, signature, remembered);
      if (!isSigned) throw invalid('its signature does not verify');
      if (remembered === undefined) rememberKey(keys, header, proofKey);
      const claims = parseJsonObject(payload);
      if (claims === undefined) throw invalid('its content is not a JSON object');

      // 3. Time, place, token.
      const nowMs = clock.nowMs();
      const issuedAt = claims['iat'];
      if (typeof issuedAt !== 'number' || !(issuedAt >= 0 && issuedAt <= maxTimeSeconds))
        throw invalid('it does not say when it was made');
      if (issuedAt * 1000 < nowMs - maxAgeSeconds * 1000 || issuedAt * 1000 > nowMs + maxAheadSeconds * 1000)
        throw clockSkew(nowMs, issuedAt * 1000);
      if (shared === undefined && issuedAt < bornSecond)
        throw outOfMemory('it was made before this broker started');
      if (claims['htm'] !== method) throw invalid('it was made for another method');
      checkUrl(claims['htu'], origins, path);
      if (
        claims['ath'] !== (accessToken === undefined ? undefined : sha256(accessToken).toString('base64url'))
      )
        throw invalid('it was made for another session');

      // 4. Once.
      const id = claims['jti'];
      if (typeof id !== 'string' || id.length < 1 || id.length > 256) throw invalid('it has no usable id');
      const name = sha256(`${proofKey.thumbprint} ${id}`).subarray(0, 16);
      const used = accessToken === undefined ? usedAtLogin : usedInSessions;
      const untilSecond = Math.ceil(issuedAt + maxAgeSeconds);
      let memory = used.record(name.toString('latin1'), untilSecond, nowMs);
      if (memory === 'new' && shared !== undefined) {
        const apart = Buffer.concat([Buffer.of(accessToken === undefined ? 0 : 1), name]);
        memory = await shared.recordProof({ name: apart, madeSecond: issuedAt, untilSecond });
      }
      if (memory === 'forgotten') throw outOfMemory('the memory of used proofs does not reach back to it');
      if (memory === 'used') {
        throw new CodedError('identity.dpop_replayed', 'This proof of possession was used before.', {
          next: 'Send a fresh proof with each request; a repeated one may be somebody replaying yours.',
        });
      }
      return { keyThumbprint: proofKey.thumbprint };
    },
  };
}

function parseOrigin(text: string): string {
  const url = URL.parse(text);
  if (
    url !== null &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.href === `${url.origin}/`
  )
    return url.origin;
  throw new CodedError('identity.bad_origin', `“${printable(text, 80)}” is not the address of a broker.`, {
    next: 'Write scheme, host and port only, as in https://broker.example:8443.',
  });
}

const algorithms = new Map([
  ['ES256', { kty: 'EC', crv: 'P-256', coordinates: ['x', 'y'] }],
  ['EdDSA', { kty: 'OKP', crv: 'Ed25519', coordinates: ['x'] }],
  ['Ed25519', { kty: 'OKP', crv: 'Ed25519', coordinates: ['x'] }],
]);
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];

function parseJsonObject(segment: string): Readonly<Record<string, unknown>> | undefined {
  const bytes = decodeBase64Url(segment);
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    // Not JSON: the caller says so, without quoting what came.
    return undefined;
  }
}

async function parseHeader(segment: string): Promise<ProofKey> {
  const header = parseJsonObject(segment);
  if (header === undefined) throw invalid('its header is not a JSON object');
  const { typ, alg, jwk } = header;
  if (typ !== 'dpop+jwt') throw invalid('its type is not dpop+jwt');
  if ('crit' in header || 'b64' in header) throw invalid('its header demands extensions');
  const wanted = typeof alg === 'string' ? algorithms.get(alg) : undefined;
  if (typeof alg !== 'string' || wanted === undefined)
    throw invalid('its algorithm is neither ES256 nor EdDSA');
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) throw invalid('it carries no key');
  const members = jwk as Readonly<Record<string, unknown>>;
  if (privateMembers.some((member) => member in members)) throw invalid('it carries a private key');
  if (members['kty'] !== wanted.kty || members['crv'] !== wanted.crv)
    throw invalid('its key does not fit its algorithm');
  const coordinates = wanted.coordinates.map((name) => [name, members[name]] as const);
  const areCoordinates = coordinates.every(
    ([, value]) => typeof value === 'string' && value.length === 43 && decodeBase64Url(value) !== undefined,
  );
  if (!areCoordinates) throw invalid('its key is malformed');
  const publicJwk = { kty: wanted.kty, crv: wanted.crv, ...Object.fromEntries(coordinates) };
  try {
    const key = createPublicKey({ key: publicJwk, format: 'jwk' });
    return { key, algorithm: alg, thumbprint: await calculateJwkThumbprint(publicJwk, 'sha256') };
  } catch (cause) {
    throw invalid('its key is not a point of its curve', cause);
  }
}

async function verifiesByJose(proof: string, { key, algorithm }: ProofKey): Promise<boolean> {
  try {
    await compactVerify(proof, key, { algorithms: [algorithm] });
    return true;
  } catch {
    // jose tells apart many ways to be wrong; the person needs none of them.
    return false;
  }
}

/**
 * The signature alone, for a header that jose has judged before: every request of a session pays this, and through WebCrypto
 * it would cost half as much again.
 */
function verifies(signed: string, signature: Buffer, { key, algorithm }: ProofKey): boolean {
  const message = Buffer.from(signed);
  // Naming the encoding in an options object costs node a quarter of the whole check; the ASN.1 form is the default.
  return algorithm === 'ES256'
    ? verifySignature('sha256', message, key, toAsn1(signature))
    : verifySignature(null, message, key, signature);
}

/** r||s of P-256 (RFC 7518 section 3.4) as ECDSA-Sig-Value, a SEQUENCE of two INTEGERs (RFC 3279 section 2.2.3). */
function toAsn1(signature: Buffer): Buffer {
  const [r, s] = [minimalInteger(signature.subarray(0, 32)), minimalInteger(signature.subarray(32))];
  return Buffer.concat([Buffer.of(0x30, r.length + s.length), r, s]);
}

function minimalInteger(magnitude: Buffer): Buffer {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start += 1;
  const minimal = magnitude.subarray(start);
  const sign = ((minimal[0] ?? 0) & 0x80) === 0 ? [] : [0];
  return Buffer.of(0x02, minimal.length + sign.length, ...sign, ...minimal);
}

function rememberKey(keys: Map<string, ProofKey>, header: string, key: ProofKey): void {
  if (keys.size >= maxRememberedKeys) {
    const [oldest] = keys.keys();
    if (oldest !== undefined) keys.delete(oldest);
  }
  keys.set(header, key);
}

function checkUrl(htu: unknown, origins: readonly string[], path: string): void {
  if (typeof htu !== 'string') throw invalid('it does not say for which address it was made');
  if (origins.some((origin) => htu === origin + path)) return;
  // The same address may be written in other letters: RFC 9449 section 4.3 compares after RFC 3986 normalisation.
  const url = htu.includes('?') || htu.includes('#') ? null : URL.parse(htu);
  if (url !== null && origins.some((origin) => url.href === URL.parse(origin + path)?.href)) return;
  const expected = printable((origins[0] ?? '') + path, 200);
  const got = printable(htu, 200);
  throw new CodedError('identity.dpop_wrong_url', `The proof was made for ${got}, but this is ${expected}.`, {
    next: 'Set SALLYPORT_URL to the address under which the broker knows itself, with the right host and port.',
    details: { expected, got },
  });
}

function clockSkew(brokerMs: number, clientMs: number): CodedError {
  const details = { brokerTime: toRfc3339(brokerMs), clientTime: toRfc3339(clientMs) };
  const seconds = Math.round(Math.abs(brokerMs - clientMs) / 1000);
  const direction = clientMs > brokerMs ? 'ahead of' : 'behind';
  return new CodedError(
    'identity.clock_skew',
    `Your clock (${details.clientTime}) is ${seconds} s ${direction} the broker’s (${details.brokerTime}).`,
    { next: 'Set your clock right, for example by turning on network time, then try again.', details },
  );
}
