import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import {
  type BundleOptions,
  createLogAppender,
  emptyLogHead,
  type EncodedEntry,
  type EntryDraft,
  type LogHead,
  type LogSigner,
  type ReadTile,
  tilesOverLeaves,
  verifierKey,
  writeBundle,
} from '../../src/accounting/index.ts';
import { type Checkpoint, openCheckpoint, parsePinnedKey } from '../../src/accounting/verify/note.ts';
import { isCodedError } from '../../src/kernel/index.ts';

export const origin = 'broker.example.com/accounting/1';

/** The same sequence on every run. @returns a number from 0 up to and without `limit`. */
export function seeded(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    // mulberry32
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

/** Randomness that repeats, so that a failing case can be looked at again. */
export function seededBytes(seed: number): (sizeBytes: number) => Buffer {
  let counter = 0;
  return (sizeBytes) => {
    const blocks: Buffer[] = [];
    for (let made = 0; made < sizeBytes; made += 32) {
      counter += 1;
      blocks.push(createHash('sha256').update(`${seed} ${counter}`).digest());
    }
    return Buffer.concat(blocks).subarray(0, sizeBytes);
  };
}

export function newSigner(): LogSigner {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return signerOf(privateKey, publicKey);
}

function signerOf(privateKey: KeyObject, publicKey: KeyObject): LogSigner {
  return { publicKey, sign: (message) => sign(null, message, privateKey) };
}

export interface TestLog {
  readonly signer: LogSigner;
  readonly key: string;
  readonly head: LogHead;
  readonly entries: readonly EncodedEntry[];
  readonly checkpoint: string;
  /** The signed checkpoint of each size that an append ended on. */
  readonly checkpoints: ReadonlyMap<number, string>;
  readonly readTile: ReadTile;
}

/** A log in memory, appended in batches of 1, 2, 3, … so that several checkpoints exist. */
export function makeLog(
  drafts: readonly EntryDraft[],
  signer: LogSigner = newSigner(),
  seed = 1,
  name = origin,
): TestLog {
  const appender = createLogAppender({ signer, origin: name, random: seededBytes(seed) });
  const entries: EncodedEntry[] = [];
  const checkpoints = new Map<number, string>();
  let head = emptyLogHead(name);
  let checkpoint = '';
  for (let batch = 1, at = 0; at < drafts.length; at += batch, batch += 1) {
    const appended = appender.append(head, drafts.slice(at, at + batch));
    ({ head, checkpoint } = appended);
    for (const entry of appended.entries) entries.push(entry);
    checkpoints.set(entries.length, checkpoint);
  }
  const readTile = tilesOverLeaves((from, count) =>
    Buffer.concat(entries.slice(Number(from), Number(from) + count).map((entry) => entry.leafHash)),
  );
  return {
    signer,
    key: verifierKey(name, signer.publicKey),
    head,
    entries,
    checkpoint,
    checkpoints,
    readTile,
  };
}

/** Exports a part of a log, all of it when nothing is said. */
export async function exportLog(log: TestLog, changes: Partial<BundleOptions> = {}): Promise<Buffer> {
  const { checkpoint, readTile, signer } = log;
  const from = changes.from ?? 0n;
  const to = changes.to ?? BigInt(log.entries.length);
  const entries = log.entries.slice(Number(from), Number(to));
  const chunks: Buffer[] = [];
  for await (const chunk of writeBundle({ checkpoint, from, to, entries, readTile, signer, ...changes }))
    chunks.push(chunk);
  return Buffer.concat(chunks);
}

const baseMs = Date.UTC(2026, 10, 23, 8);
export const caFp = `SHA256:${'A'.repeat(43)}`;

/** Entry `nth` of a plausible day: a start, then logins, issuances, publications and now and then a revocation. */
export function dayDraft(nth: number): EntryDraft {
  const common = { outcome: 'success', timeMs: baseMs + nth * 1000 } as const;
  const person = { uid: `built-in:${nth % 17}`, kind: 'person', auth: 'built-in' } as const;
  if (nth === 0) return { ...common, type: 'system.start', actor: { kind: 'broker' } };
  const serial = BigInt(Math.floor((nth - 1) / 4) + 1).toString();
  switch ((nth - 1) % 4) {
    case 0:
      return {
        ...common,
        type: 'auth.login',
        actor: person,
        personal: {
          'actor.name': `Person “${nth}”`,
          'src.ip': `192.0.2.${nth % 250}`,
          'src.ua': 'curl\n\u0001',
        },
      };
    case 1:
      return {
        ...common,
        type: 'cred.issue',
        actor: person,
        subject: { uid: person.uid },
        fields: { cred: { kind: 'ssh-user', serial, ca_fp: caFp, principals: ['alice'], key_id: `k${nth}` } },
        personal: { 'src.ip': `192.0.2.${nth % 250}`, reason: 'ticket 12 é' },
      };
    case 2:
      return { ...common, type: 'cred.revoke', fields: { cred: { kind: 'ssh-user', serial, ca_fp: caFp } } };
    default:
      return {
        ...common,
        type: 'krl.publish',
        fields: { artifact: { version: serial, sha256: 'a'.repeat(64), size: 60 } },
      };
  }
}

export const dayDrafts = (count: number): EntryDraft[] =>
  Array.from({ length: count }, (_, nth) => dayDraft(nth));

/** What a checkpoint says if that key signed it; otherwise the reason, in words, why it cannot be relied on. */
export function openedBy(key: string, checkpoint: string): Checkpoint | string {
  const pinned = parsePinnedKey(key);
  if (pinned === undefined) throw new Error(`${key} is no verifier key`);
  return openCheckpoint(checkpoint, pinned);
}

/** Gives bytes in pieces of odd sizes, as a network would. */
export async function* inPieces(bytes: Buffer, sizeBytes = 4099): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += sizeBytes) yield bytes.subarray(at, at + sizeBytes);
}

export function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
  return 'accepted';
}
