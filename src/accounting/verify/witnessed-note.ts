import { verify } from 'node:crypto';
import { decodeBase64, maxSignatureLines, type PinnedKey } from './note.ts';

/** A checkpoint of any log, as a witness is given it: logs of others may add lines of their own to the text. */
export interface WitnessedNote {
  /** What is signed: every line up to and without the empty one, each with its LF. */
  readonly text: string;
  readonly origin: string;
  readonly size: bigint;
  readonly root: Buffer;
  /** Signature lines without their LFs. */
  readonly signatures: readonly string[];
}

const maxSize = (1n << 63n) - 1n;

/** C2SP tlog-checkpoint with extension lines. @returns the reason when it is none */
export function parseWitnessedNote(note: string): WitnessedNote | string {
  // The first empty line: an extension line is never empty (C2SP tlog-checkpoint).
  const end = note.indexOf('\n\n');
  if (end === -1) return 'it has no empty line';
  const text = note.slice(0, end + 1);
  const [origin = '', size = '', encoded = '', ...extensions] = text.split('\n');
  const root = decodeBase64(encoded);
  if (hasControl(note)) return 'it has a control character';
  if (origin === '') return 'it names no log';
  if (!/^(?:0|[1-9]\d{0,18})$/.test(size) || BigInt(size) > maxSize) return 'its size is malformed';
  if (root?.length !== 32) return 'its root is malformed';
  if (extensions.length === 0) return 'its root has no line of its own';
  const signatures = note.slice(end + 2).split('\n');
  if (signatures.pop() !== '') return 'its last line is cut off';
  if (signatures.length === 0 || signatures.length > maxSignatureLines)
    return `it has not 1 to ${maxSignatureLines} signature lines`;
  if (!signatures.every((line) => parts(line) !== undefined)) return 'a signature line is malformed';
  return { text, origin, size: BigInt(size), root, signatures };
}

/** True when one of the log's keys signed it, and none of them wrongly (C2SP signed-note). @param keys of that log */
export function isSignedBy({ text, signatures }: WitnessedNote, keys: readonly PinnedKey[]): boolean {
  let signed = false;
  for (const line of signatures) {
    const { name, bytes } = parts(line) ?? {};
    const key = keys.find((one) => one.name === name && bytes?.subarray(0, 4).equals(one.id) === true);
    if (key === undefined || bytes === undefined) continue;
    if (!verify(null, Buffer.from(text), key.key, bytes.subarray(4))) return false;
    signed = true;
  }
  return signed;
}

function parts(line: string): { readonly name: string; readonly bytes: Buffer } | undefined {
  const [, name, encoded = ''] = /^— ([^\s+]{1,200}) ([A-Za-z0-9+/]+={0,2})$/u.exec(line) ?? [];
  const bytes = decodeBase64(encoded);
  return name === undefined || bytes === undefined || bytes.length < 5 ? undefined : { name, bytes };
}

function hasControl(note: string): boolean {
  return Array.from(note).some((char) => char < ' ' && char !== '\n');
}
