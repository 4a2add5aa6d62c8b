import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto';
import { decodeBase64 } from './note.ts';

/** The pinned key of a witness (C2SP tlog-cosignature, Ed25519). */
export interface PinnedWitness {
  readonly name: string;
  readonly id: Buffer;
  readonly key: KeyObject;
  /** What makes it one key, whatever it is called: base64 of its 32 bytes. */
  readonly identity: string;
}

/** `name+id+base64(0x04 || public key)`; undefined when the text is anything else. */
export function parseWitnessKey(text: string): PinnedWitness | undefined {
  const [name = '', id = '', ...encoded] = text.split('+');
  const typed = decodeBase64(encoded.join('+'));
  if (typed?.length !== 33 || typed[0] !== 0x04 || !/^[^\s+]{1,200}$/u.test(name)) return undefined;
  const digest = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), typed]), 'hex');
  if (digest.slice(0, 8) !== id) return undefined;
  const x = typed.subarray(1).toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  return { name, id: Buffer.from(id, 'hex'), key, identity: typed.toString('base64', 1) };
}

/**
 * Whether a witness signed a checkpoint. Lines of others are passed over; what claims to be its own and is not makes it `broken`.
 * @param text what the log signed, with its LFs. @param lines signature lines without theirs
 */
export function cosignatureState(
  text: string,
  lines: readonly string[],
  witness: PinnedWitness,
): 'valid' | 'broken' | 'missing' {
  let found: 'valid' | 'missing' = 'missing';
  for (const line of lines) {
    const [dash, name, encoded, ...more] = line.split(' ');
    if (dash !== '—' || name !== witness.name || encoded === undefined || more.length > 0) continue;
    const signed = decodeBase64(encoded);
    if (signed === undefined || !signed.subarray(0, 4).equals(witness.id)) continue;
    if (!isCosignature(text, signed.subarray(4), witness)) return 'broken';
    found = 'valid';
  }
  return found;
}

/** @param stamped eight bytes of time, then the signature over header, time and text */
function isCosignature(text: string, stamped: Buffer, { key }: PinnedWitness): boolean {
  if (stamped.length !== 72) return false;
  const time = stamped.readBigUInt64BE();
  if (time >= 1n << 63n) return false;
  const message = ['cosignature/v1', `time ${time}`, text].join('\n');
  return verify(null, Buffer.from(message), key, stamped.subarray(8));
}
