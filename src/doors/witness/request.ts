import { isUtf8 } from 'node:buffer';
import { decodeBase64 } from '../../kernel/index.ts';

/** What a log sends (C2SP tlog-witness, “add-checkpoint”). */
export interface AddCheckpoint {
  /** The size up to which the log believes that this witness knows it. */
  readonly old: bigint;
  /** Hashes of 32 bytes. */
  readonly proof: readonly Buffer[];
  /** The checkpoint with its signature lines. */
  readonly note: string;
}

/** Old size, 63 hashes, and a checkpoint with 32 lines of signatures, with room to spare. */
export const maxRequestBytes = 64 * 1024;
const maxProofLines = 63;

/** @returns what is wrong when it is no such request */
export function parseAddCheckpoint(body: Buffer): AddCheckpoint | string {
  if (body.length > maxRequestBytes) return `it is longer than ${maxRequestBytes} bytes`;
  if (!isUtf8(body)) return 'it is not UTF-8';
  const text = body.toString('utf8');
  const end = text.indexOf('\n\n');
  if (end === -1) return 'it has no empty line';
  const [first = '', ...lines] = text.slice(0, end).split('\n');
  const old = /^old (0|[1-9]\d{0,18})$/.exec(first)?.[1];
  if (old === undefined) return 'its first line is not “old” and a size';
  if (lines.length > maxProofLines) return `it has more than ${maxProofLines} lines of proof`;
  const proof = lines.map(decodeBase64).filter((hash) => hash?.length === 32);
  if (proof.length !== lines.length) return 'a line of its proof is not a hash in base64';
  return { old: BigInt(old), proof: proof.filter((hash) => hash !== undefined), note: text.slice(end + 2) };
}
