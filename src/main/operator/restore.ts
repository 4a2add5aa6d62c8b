import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  createReadStream,
  existsSync,
  fsyncSync,
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
import { parseCheckpoint, treeOver } from '../../accounting/index.ts';
import type { OperatorIo, Outcome, RestoreOptions } from '../../doors/cli/index.ts';
import { CodedError, isSystemError } from '../../kernel/index.ts';
import { openSealedStream, syncFolder } from '../../keys/index.ts';
import { openStoredLog } from '../../store/index.ts';
import type { Manifest } from './backup.ts';
import { badBackup, isMemberName, readMembers, type MemberHead } from './backup-members.ts';
import { readBackupPassphrase } from './backup-passphrase.ts';

/** Opens a backup into an empty folder, or leaves nothing. The log in it is held against the checkpoint in it. */
export async function restore(options: RestoreOptions, io: OperatorIo): Promise<Outcome> {
  const out = resolve(options.out);
  refuseFull(out);
  refuseMissing(options.file);
  const passphrase = await readBackupPassphrase(options.passphraseFile, io, 'known');
  const draft = `${out}.${randomUUID().slice(0, 8)}.new`;
  mkdirSync(dirname(out), { recursive: true });
  mkdirSync(draft, { mode: 0o700 });
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
    const { origin, size } = checkLog(draft, manifest);
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

/** Every entry is hashed anew: a copy that lost or changed one does not give the root that was signed. */
function checkLog(folder: string, manifest: Manifest): { readonly origin: string; readonly size: bigint } {
  const checkpoint = readFileSync(join(folder, manifest.checkpoint), 'utf8');
  const { origin, size, root } = parseCheckpoint(checkpoint);
  const file = join(folder, manifest.database);
  const log = openStoredLog(file);
  try {
    const found = treeOver(log.entries());
    if (log.checkpoint === checkpoint && found.size === size && found.root.equals(root))
      return { origin, size };
  } finally {
    log.close();
    for (const beside of ['-wal', '-shm']) rmSync(`${file}${beside}`, { force: true });
  }
  throw new CodedError('main.log_differs', 'The log in the backup is not the one of the checkpoint in it.', {
    next: 'Take another copy, and keep this one for whoever investigates. Nothing was written.',
  });
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

function refuseFull(out: string): void {
  if (!existsSync(out)) return;
  if (statSync(out).isDirectory() && readdirSync(out).length === 0) return;
  throw new CodedError('main.not_empty', `${out} is not an empty folder.`, {
    next: 'Restore into a new folder; nothing that is there is overwritten.',
  });
}
