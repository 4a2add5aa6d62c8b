import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto';
import { CodedError, decodeBase64, printable } from '../kernel/index.ts';
import type { LogSigner } from './checkpoint.ts';

/** C2SP tlog-cosignature: key type of timestamped Ed25519 cosignatures. */
const cosignatureV1 = 0x04;
const nameGrammar = /^[^\s+]{1,200}$/u;
const timestampBytes = 8;
const signatureBytes = 64;
const maxSeconds = 2n ** 63n - 1n;

/** The public key of a witness, under the name that its signature lines bear. */
export interface CosignerKey {
  readonly name: string;
  /** First 4 bytes of SHA-256(name || 0x0A || 0x04 || public key). */
  readonly id: Buffer;
  readonly publicKey: KeyObject;
  /** The 32 bytes of it (RFC 8032). */
  readonly raw: Buffer;
}

/** What a witness said of a checkpoint. */
export interface Cosignature {
  /** The signature line with its LF, as it came. */
  readonly line: string;
  /** When the witness signed, by its own clock. */
  readonly seconds: bigint;
}

/**
 * Reads `name+id+base64(0x04 || public key)`.
 * @throws CodedError `accounting.bad_witness_key`
 * @see C2SP signed-note, “Verifier keys”; C2SP tlog-cosignature, “Format”
 */
export function parseCosignerKey(text: string): CosignerKey {
  const [, name = '', id, encoded = ''] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})$/.exec(text) ?? [];
  const typed = decodeBase64(encoded);
  if (!nameGrammar.test(name) || typed?.length !== 33) throw badKey(text, 'is not of the form name+id+key');
  if (typed[0] !== cosignatureV1)
    throw badKey(text, `has the type 0x${typed.toString('hex', 0, 1)}, and a witness signs with type 0x04`);
  const raw = typed.subarray(1);
  const key = { name, id: cosignerId(name, raw), publicKey: publicKeyOf(raw), raw };
  if (key.id.toString('hex') !== id) throw badKey(text, 'has an id that is not that of its name and key');
  return key;
}

/** The verifier key of a witness. @throws CodedError `accounting.bad_witness_key` for a name that no line can bear, `accounting.bad_key` */
export function cosignerKey(name: string, publicKey: KeyObject): string {
  if (!nameGrammar.test(name)) throw badKey(name, 'is no name for a witness: no spaces and no +');
  const raw = rawKey(publicKey);
  const typed = Buffer.concat([Buffer.of(cosignatureV1), raw]).toString('base64');
  return `${name}+${cosignerId(name, raw).toString('hex')}+${typed}`;
}

/**
 * The line with which a witness cosigns.
 * @param text the signed text of the checkpoint: all its lines up to and without the empty one, each with its LF.
 * @param seconds since 1970, not negative
 */
export function cosign(
  text: string,
  { name, signer, seconds }: { readonly name: string; readonly signer: LogSigner; readonly seconds: bigint },
): string {
  const time = Buffer.alloc(timestampBytes);
  time.writeBigUInt64BE(seconds);
  const signature = signer.sign(Buffer.from(cosignedMessage(text, seconds)));
  const id = cosignerId(name, rawKey(signer.publicKey));
  return `— ${name} ${Buffer.concat([id, time, signature]).toString('base64')}\n`;
}

/**
 * Looks for the cosignature of one witness among signature lines, which others may stand between.
 * @param lines each with its LF. @returns undefined when there is none, `broken` when one that bears its name and id is wrong
 */
export function findCosignature(
  text: string,
  lines: string,
  key: CosignerKey,
): Cosignature | 'broken' | undefined {
  for (const line of lines.split('\n')) {
    const [, name, encoded = ''] = /^— ([^\s+]{1,200}) ([A-Za-z0-9+/]+={0,2})$/u.exec(line) ?? [];
    const bytes = decodeBase64(encoded);
    if (name !== key.name || bytes?.subarray(0, 4).equals(key.id) !== true) continue;
    if (bytes.length !== key.id.length + timestampBytes + signatureBytes) return 'broken';
    const seconds = bytes.readBigUInt64BE(4);
    const message = Buffer.from(cosignedMessage(text, seconds));
    if (seconds > maxSeconds || !verify(null, message, key.publicKey, bytes.subarray(12))) return 'broken';
    return { line: `${line}\n`, seconds };
  }
  return undefined;
}

/** What is signed: two lines in front of the checkpoint's own (C2SP tlog-cosignature, “Ed25519 signed message”). */
function cosignedMessage(text: string, seconds: bigint): string {
  return `cosignature/v1\ntime ${seconds}\n${text}`;
}

function cosignerId(name: string, raw: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(cosignatureV1), raw]);
  return hash('sha256', named, 'buffer').subarray(0, 4);
}

function publicKeyOf(raw: Buffer): KeyObject {
  return createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') },
    format: 'jwk',
  });
}

function rawKey(key: KeyObject): Buffer {
  const { x } = key.asymmetricKeyType === 'ed25519' ? key.export({ format: 'jwk' }) : {};
  if (x === undefined) throw new CodedError('accounting.bad_key', 'A witness signs with Ed25519 keys only.');
  return Buffer.from(x, 'base64url');
}

function badKey(text: string, why: string): CodedError {
  return new CodedError('accounting.bad_witness_key', `“${printable(text, 80)}” ${why}.`, {
    next: 'Take the verifier key that `sallyport witness init` printed, or that the witness publishes.',
  });
}
