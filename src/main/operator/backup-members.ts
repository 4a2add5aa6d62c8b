import { closeSync, openSync, readSync, type Stats } from 'node:fs';
import { CodedError } from '../../kernel/index.ts';

/** A file in a backup. */
export interface Member {
  /** Below the folder that a restore makes; `/` between folders. */
  readonly name: string;
  readonly content: { readonly path: string; readonly sizeBytes: number } | { readonly bytes: Buffer };
}

/** What stands before the bytes of a member, and at the end. */
export interface MemberHead {
  readonly name: string;
  readonly size: number;
}

const pieceBytes = 256 * 1024;
const maxHeadBytes = 8192;
const deepest = 8;

/** Whether a file may be called so in a backup: nothing that leads out of the folder. */
export function isMemberName(name: string): boolean {
  const parts = name.split('/');
  return (
    name.isWellFormed() &&
    parts.length <= deepest &&
    parts.every((part) => /^[^\p{Cc}\\]{1,200}$/u.test(part) && part !== '.' && part !== '..')
  );
}

/** The clear bytes of a backup (docs/formats/backup.md): for each member a line and its bytes, then the line that ends it. */
export async function* writeMembers(members: Iterable<Member>): AsyncGenerator<Buffer> {
  let count = 0;
  for (const { name, content } of members) {
    const size = 'bytes' in content ? content.bytes.length : content.sizeBytes;
    yield Buffer.from(`${JSON.stringify({ name, size } satisfies MemberHead)}\n`);
    if ('bytes' in content) yield content.bytes;
    else yield* bytesOf(content.path, size);
    count += 1;
  }
  yield Buffer.from(`${JSON.stringify({ end: count })}\n`);
}

/** Exactly so many bytes: a file that changes its size meanwhile would shift all that follows. */
function* bytesOf(path: string, sizeBytes: number): Generator<Buffer> {
  const descriptor = openSync(path, 'r');
  try {
    for (let at = 0; at < sizeBytes;) {
      const piece = Buffer.allocUnsafe(Math.min(pieceBytes, sizeBytes - at));
      const read = readSync(descriptor, piece, 0, piece.length, at);
      if (read === 0) {
        throw new CodedError('main.changed_meanwhile', `${path} became shorter while it was read.`, {
          next: 'Say it again.',
        });
      }
      at += read;
      yield piece.subarray(0, read);
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Gets the members one by one: `begin` gives what takes the bytes of each. @throws CodedError `main.bad_backup` */
export async function readMembers(
  clear: AsyncIterable<Buffer>,
  begin: (head: MemberHead) => { write(bytes: Buffer): void; end(): void },
): Promise<void> {
  let line = Buffer.alloc(0);
  let left = 0;
  let count = 0;
  let into: ReturnType<typeof begin> | undefined;
  let ended = false;
  for await (let chunk of clear) {
    while (chunk.length > 0) {
      if (ended) throw badBackup('something follows its end');
      if (into !== undefined) {
        const bytes = chunk.subarray(0, left);
        into.write(bytes);
        left -= bytes.length;
        chunk = chunk.subarray(bytes.length);
      } else {
        const end = chunk.indexOf(0x0a);
        line = Buffer.concat([line, end === -1 ? chunk : chunk.subarray(0, end)]);
        if (line.length > maxHeadBytes) throw badBackup('the line before a file is too long');
        if (end === -1) break;
        chunk = chunk.subarray(end + 1);
        const head = parseHead(line, count);
        line = Buffer.alloc(0);
        if (head === 'end') ended = true;
        else {
          into = begin(head);
          left = head.size;
          count += 1;
        }
      }
      if (into !== undefined && left === 0) {
        into.end();
        into = undefined;
      }
    }
  }
  if (!ended) throw badBackup('its end is missing');
}

function parseHead(line: Buffer, count: number): MemberHead | 'end' {
  let value: Partial<MemberHead & { end: number }> | null;
  try {
    value = JSON.parse(line.toString('utf8')) as typeof value;
  } catch {
    throw badBackup('a line in it is no JSON');
  }
  if (value?.end === count) return 'end';
  const { name, size } = value ?? {};
  if (typeof name !== 'string' || !isMemberName(name)) throw badBackup('a file in it has no proper name');
  if (!Number.isSafeInteger(size) || size === undefined || size < 0)
    throw badBackup('a file in it has no size');
  return { name, size };
}

/** What was sealed is not what a backup of this version holds. */
export function badBackup(why: string): CodedError {
  return new CodedError('main.bad_backup', `This is not a backup that can be restored: ${why}.`, {
    next: 'Use the version of Sallyport that wrote it, or take another copy. Nothing was written.',
  });
}

/** A member that is a file on disk. */
export function fileMember(name: string, path: string, stat: Stats): Member {
  return { name, content: { path, sizeBytes: stat.size } };
}
