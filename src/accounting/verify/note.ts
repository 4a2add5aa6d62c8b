import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto';

/** A key that an auditor pins. */
export interface PinnedKey {
  readonly name: string;
  readonly id: Buffer;
  readonly key: KeyObject;
}

export interface Checkpoint {
  readonly origin: string;
  readonly size: bigint;
  readonly root: Buffer;
}

/** Names of logs and of the keys that are pinned. */
const nameGrammar = /^[A-Za-z0-9._:/-]{1,200}$/;

/** C2SP signed-note asks for at least 16; witnesses and new algorithms add lines. */
export const maxSignatureLines = 32;

/** Standard base64 with padding and nothing else (RFC 4648 section 4); undefined for any other text. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

/** `name+hash+base64(0x01 || public key)` (C2SP signed-note); undefined when the text is anything else. */
export function parsePinnedKey(text: string): PinnedKey | undefined {
  const [, name, id, encoded] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})$/.exec(text) ?? [];
  const typed = decodeBase64(encoded ?? '');
  if (name === undefined || !nameGrammar.test(name) || typed?.length !== 33 || typed[0] !== 0x01)
    return undefined;
  const idBytes = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), typed]), 'buffer').subarray(0, 4);
  if (idBytes.toString('hex') !== id) return undefined;
  const x = typed.subarray(1).toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  return { name, id: idBytes, key };
}

/** Why a note cannot be relied on, in words; undefined when the pinned key signed it and every line is well formed. */
export function signatureFault(
  text: string,
  lines: readonly string[],
  pinned: PinnedKey,
): string | undefined {
  let signed = 0;
  for (const line of lines) {
    const [, name, encoded] = /^— ([^\s+]{1,200}) ([A-Za-z0-9+/]+={0,2})$/u.exec(line) ?? [];
    const bytes = decodeBase64(encoded ?? '');
    if (name === undefined || bytes === undefined || bytes.length < 5) return 'a signature line is malformed';
    // Lines of other keys are ignored, as C2SP signed-note demands: witnesses and key changes add them.
    if (name !== pinned.name || !bytes.subarray(0, 4).equals(pinned.id)) continue;
    if (!verify(null, Buffer.from(text), pinned.key, bytes.subarray(4)))
      return `the signature of ${name} is wrong`;
    signed += 1;
  }
  return signed === 0 ? `the pinned key of ${pinned.name} did not sign it` : undefined;
}

/** The three lines of a checkpoint (C2SP tlog-checkpoint), without extension lines; undefined when they are anything else. */
export function parseCheckpointText(lines: readonly string[]): Checkpoint | undefined {
  const [origin, size, encoded] = lines;
  const root = decodeBase64(encoded ?? '');
  if (lines.length !== 3 || origin === undefined || size === undefined || root?.length !== 32)
    return undefined;
  if (!nameGrammar.test(origin) || !/^(?:0|[1-9]\d{0,14})$/.test(size)) return undefined;
  return { origin, size: BigInt(size), root };
}

/** A whole signed checkpoint, as an auditor kept it. @returns the reason when it cannot be relied on. */
export function openCheckpoint(note: string, pinned: PinnedKey): Checkpoint | string {
  const lines = note.split('\n');
  const checkpoint = parseCheckpointText(lines.slice(0, 3));
  const signatures = lines.slice(4, -1);
  if (
    checkpoint === undefined ||
    lines[3] !== '' ||
    lines.at(-1) !== '' ||
    signatures.length > maxSignatureLines
  )
    return 'it is not a checkpoint';
  if (checkpoint.origin !== pinned.name) return `it is one of the log ${checkpoint.origin}`;
  return signatureFault(`${lines.slice(0, 3).join('\n')}\n`, signatures, pinned) ?? checkpoint;
}
