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

/** What is wrong with one of several lines. */
export interface LineFault {
  readonly what: string;
  /** Position of the line among them. */
  readonly nth: number;
}

/** Why a note cannot be relied on; undefined when the pinned key signed it and every line is well formed. */
export function signatureFault(
  text: string,
  lines: readonly string[],
  pinned: PinnedKey,
): LineFault | undefined {
  let signed = 0;
  let alike = 0;
  for (const [nth, line] of lines.entries()) {
    const [, name, encoded] = /^— ([^\s+]{1,200}) ([A-Za-z0-9+/]+={0,2})$/u.exec(line) ?? [];
    const bytes = decodeBase64(encoded ?? '');
    if (name === undefined || bytes === undefined || bytes.length < 5)
      return { what: 'a signature line is malformed', nth };
    // Lines of other keys are ignored, as C2SP signed-note demands: witnesses and key changes add them.
    const sameId = bytes.subarray(0, 4).equals(pinned.id);
    if (name === pinned.name || sameId) alike = nth;
    if (name !== pinned.name || !sameId) continue;
    if (!verify(null, Buffer.from(text), pinned.key, bytes.subarray(4)))
      return { what: `the signature of ${name} is wrong`, nth };
    signed += 1;
  }
  return signed === 0 ? { what: `the pinned key of ${pinned.name} did not sign it`, nth: alike } : undefined;
}

/**
 * The first four lines of a checkpoint (C2SP tlog-checkpoint), without extension lines: origin, size, root, nothing.
 * @returns the first fault when they are not those of a checkpoint of the log that the key is pinned for.
 */
export function parseCheckpointText(lines: readonly string[], pinned: PinnedKey): Checkpoint | LineFault {
  const [origin = '', size = '', encoded = '', empty] = lines;
  const root = decodeBase64(encoded);
  if (!nameGrammar.test(origin)) return { what: 'it names no log', nth: 0 };
  if (origin !== pinned.name) return { what: `it is of the log ${origin}, not of ${pinned.name}`, nth: 0 };
  if (!/^(?:0|[1-9]\d{0,14})$/.test(size)) return { what: 'its size is malformed', nth: 1 };
  if (root?.length !== 32) return { what: 'its root is malformed', nth: 2 };
  if (empty !== '') return { what: 'there is no empty line behind its root', nth: 3 };
  return { origin, size: BigInt(size), root };
}

/** A whole signed checkpoint, as an auditor kept it. @returns the reason when it cannot be relied on. */
export function openCheckpoint(note: string, pinned: PinnedKey): Checkpoint | string {
  const lines = note.split('\n');
  const checkpoint = parseCheckpointText(lines, pinned);
  if ('what' in checkpoint) return checkpoint.what;
  const signatures = lines.slice(4, -1);
  if (lines.at(-1) !== '') return 'its last line is cut off';
  if (signatures.length > maxSignatureLines) return 'it has too many signature lines';
  return signatureFault(checkpointText(checkpoint), signatures, pinned)?.what ?? checkpoint;
}

/** The text of a checkpoint that is signed: three lines with their LFs. */
export function checkpointText({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${root.toString('base64')}\n`;
}
