import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  createReadStream,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { leafHash, parseCheckpoint, rootAt, tilesOverLeaves, treeOver } from '../../accounting/index.ts';
import type { OperatorIo, Outcome, RestoreOptions } from '../../doors/cli/index.ts';
import { CodedError, isSystemError } from '../../kernel/index.ts';
import { openSealedStream, syncFolder } from '../../keys/index.ts';
import { openStoredLog, readDumpedLog } from '../../store/index.ts';
import type { Manifest } from './backup.ts';
import { badBackup, isMemberName, readMembers, type MemberHead } from './backup-members.ts';
import { readBackupPassphrase } from './backup-passphrase.ts';

/** Entries of a dumped log that can be checked: 2 GB of hashes. */
const mostDumped = 67_000_000n;

/** Opens a backup into an empty folder, or leaves nothing. The log in it is held against the checkpoint in it. */
export async function restore(options: RestoreOptions, io: OperatorIo): Promise<Outcome> {
  const out = resolve(options.out);
  refuseFull(out);
  refuseMissing(options.file);
  const passphrase = await readBackupPassphrase(options.passphraseFile, io, 'known');
  const draft = `${out}.${randomUUID().slice(0, 8)}.new`;
  makeDraft(draft);
  try {
    io.note('Opening…');
    let files = 0;
    const clear = openSealedStream(createReadStream(options.file), passphrase);
    await readMembers(clear, (head) => {
      files += 1;
      return openMember(draft, head);
    });
    const manifest = readManifest(draft);
    io.note('Checking the log…');
    const { origin, size } = await checkLog(draft, manifest);
    syncTree(draft);
    refuseFull(out);
    renameSync(draft, out);
    syncFolder(dirname(out));
    const config = join(out, manifest.config);
    return {
      value: {
        folder: out,
        files,
        created: manifest.created,
        withKeys: manifest.withKeys,
        log: { origin, size: String(size) },
        outside: { ...manifest.outside },
      },
      lines: [
        `Restored ${files} files of ${manifest.created} into ${out}. The log ${origin} fits its checkpoint: ${size} entries.`,
        ...Object.entries(manifest.outside).map(([name, path]) => `Put ${join(out, name)} back at ${path}.`),
        ...(manifest.withKeys ? [] : ['The keys are not in it: put keys/ and their passphrase back.']),
        ...(manifest.databaseKind === undefined ? [] : loadingLines(join(out, manifest.database))),
        'A broker does not start on it: what came after the backup is forgotten. Choose how to go on:',
        `next: sallyport audit recover --config ${config} --reason "…"`,
      ],
    };
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function openMember(
  folder: string,
  { name, size }: MemberHead,
): ReturnType<Parameters<typeof readMembers>[1]> {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // Twice the same name is refused here.
  const descriptor = openSync(path, 'wx', 0o600);
  const end = (): void => {
    fsyncSync(descriptor);
    closeSync(descriptor);
  };
  if (size === 0) {
    return { write: () => undefined, end };
  }
  return {
    write(bytes) {
      for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at);
    },
    end,
  };
}

function readManifest(folder: string): Manifest {
  let value: Partial<Manifest> | null;
  try {
    value = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Partial<Manifest> | null;
  } catch {
    throw badBackup('it has no manifest');
  }
  if (value?.format !== 'sallyport-backup@1') throw badBackup('its manifest is of another format');
  for (const name of [value.config, value.database, value.checkpoint])
    if (name === undefined || !isMemberName(name) || !existsSync(join(folder, name)))
      throw badBackup('a file is missing that its manifest names');
  return value as Manifest;
}

/** What an operator does with a dump; the database must be there, empty, and the address be the owner's. */
function loadingLines(file: string): readonly string[] {
  return [
    'Make an empty database, load it as the role that will own the tables, and give the broker’s role its rights again:',
    `next: pg_restore --no-owner --no-privileges --exit-on-error --single-transaction --dbname postgres://OWNER@HOST/NAME ${file}`,
  ];
}

/** Every entry is hashed anew: a copy that lost or changed one does not give the root that was signed. */
async function checkLog(
  folder: string,
  manifest: Manifest,
): Promise<{ readonly origin: string; readonly size: bigint }> {
  const checkpoint = readFileSync(join(folder, manifest.checkpoint), 'utf8');
  const { origin, size, root } = parseCheckpoint(checkpoint);
  const file = join(folder, manifest.database);
  const found = manifest.databaseKind === undefined ? storedLog(file) : await dumpedLog(file, size);
  if (found.checkpoint === checkpoint && found.size === size && found.root.equals(root))
    return { origin, size };
  throw new CodedError('main.log_differs', 'The log in the backup is not the one of the checkpoint in it.', {
    next: 'Take another copy, and keep this one for whoever investigates. Nothing was written.',
  });
}

interface FoundLog {
  readonly checkpoint: string;
  readonly size: bigint;
  readonly root: Buffer;
}

function storedLog(file: string): FoundLog {
  const log = openStoredLog(file);
  try {
    return { checkpoint: log.checkpoint, ...treeOver(log.entries()) };
  } finally {
    log.close();
    for (const beside of ['-wal', '-shm']) rmSync(`${file}${beside}`, { force: true });
  }
}

/** 32 bytes for each of the `size` entries are held: they come in any order. */
async function dumpedLog(file: string, size: bigint): Promise<FoundLog> {
  if (size > mostDumped) throw badBackup(`its log claims more than ${mostDumped} entries`);
  const leaves = Buffer.alloc(Number(size) * 32);
  let count = 0n;
  const checkpoint = await readDumpedLog(file, (index, bytes) => {
    count += 1n;
    if (index < size) leafHash(bytes).copy(leaves, Number(index) * 32);
  });
  const tiles = tilesOverLeaves((from, width) =>
    leaves.subarray(Number(from) * 32, (Number(from) + width) * 32),
  );
  return { checkpoint, size: count, root: await rootAt(size, size, tiles) };
}

/** The folder itself is private; what lies in it keeps the mode that the broker asks for. */
function syncTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) syncTree(join(folder, entry.name));
  chmodSync(folder, 0o700);
  syncFolder(folder);
}

function refuseMissing(file: string): void {
  try {
    if (statSync(file).isFile()) return;
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
  throw new CodedError('main.no_backup', `There is no backup at ${file}.`, { next: 'Check the path.' });
}

/** @throws CodedError `main.cannot_write` */
function makeDraft(draft: string): void {
  try {
    mkdirSync(dirname(draft), { recursive: true });
    mkdirSync(draft, { mode: 0o700 });
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new CodedError('main.cannot_write', `Nothing can be made in ${dirname(draft)} (${error.code}).`, {
      next: 'Restore into a folder that this user may write to.',
      cause: error,
    });
  }
}

/** Undefined also below what is no folder, which making one then refuses. */
function statOf(path: string): ReturnType<typeof lstatSync> {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOTDIR') return undefined;
    throw error;
  }
}

function refuseFull(out: string): void {
  // A link is no folder: the restored one could not take its place.
  const found = statOf(out);
  if (found === undefined || (found.isDirectory() && readdirSync(out).length === 0)) return;
  throw new CodedError('main.not_empty', `${out} is not an empty folder.`, {
    next: 'Restore into a new folder; nothing that is there is overwritten.',
  });
}
