import { createHash, randomUUID } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  createReadStream,
  existsSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { parseCheckpoint } from '../../accounting/index.ts';
import type { BackupOptions, OperatorIo, Outcome } from '../../doors/cli/index.ts';
import { CodedError, isSystemError, systemClock, systemRandom, toRfc3339 } from '../../kernel/index.ts';
import { openSealedStream, sealStream, syncFolder } from '../../keys/index.ts';
import { copyDatabase, dumpDatabase, openStoredLog } from '../../store/index.ts';
import { loadConfig, type Config } from '../config.ts';
import { configuredFiles, requireConfiguredFiles } from '../configured-files.ts';
import { placeOf, type StorePlace } from '../database.ts';
import { archiveFolder } from './archive-log.ts';
import { fileMember, isMemberName, writeMembers, type Member } from './backup-members.ts';
import { readBackupPassphrase } from './backup-passphrase.ts';

/** What a restore says of a backup, and looks for in it. */
export interface Manifest {
  readonly format: 'sallyport-backup@1';
  readonly created: string;
  /** Members by what they are; `database` and `config` always. */
  readonly config: string;
  readonly database: string;
  /** Left out: SQLite. */
  readonly databaseKind?: 'postgresql';
  readonly checkpoint: string;
  readonly withKeys: boolean;
  /** Members from outside of the folder of the configuration, by where they were. */
  readonly outside: Readonly<Record<string, string>>;
}

/** Under which a restore leaves the checkpoint of the copy: not where a broker looks, which would take an old copy for the last. */
export const checkpointMember = 'checkpoint-of-backup';

/** Of PostgreSQL, below where a data folder would be: what `pg_restore` reads. */
const dumpName = 'sallyport.dump';

/** One sealed file with everything that a broker is, while it runs or not. It appears under its name only when it read back well. */
export async function backup(options: BackupOptions, io: OperatorIo): Promise<Outcome> {
  const config = loadConfig(options.configFile);
  const place = placeOf(config);
  const out = resolve(options.out);
  refuseNoFolder(dirname(out));
  refuseExisting(out);
  const passphrase = await readBackupPassphrase(options.passphraseFile, io, 'new');
  io.note('Copying the database…');
  // In the data folder, which is as private, and on a disk that has room for one; beside the configuration where there is none.
  const data = place.kind === 'sqlite' ? place.folder : join(dirname(resolve(options.configFile)), 'data');
  const folder = mkdtempSync(join(place.kind === 'sqlite' ? data : dirname(data), 'backup-'));
  const draft = `${out}.${randomUUID().slice(0, 8)}.new`;
  try {
    const copy = join(folder, 'copy.db');
    const checkpoint = await copyOf(place, copy);
    const { size, origin } = parseCheckpoint(checkpoint);
    const members = membersOf(config, options, { kind: place.kind, folder: data, copy, checkpoint });
    io.note('Sealing, and reading back…');
    const written = await writeSealed(draft, members, passphrase);
    await readBack(draft, passphrase, written.sha256);
    giveName(draft, out);
    syncFolder(dirname(out));
    return {
      value: {
        file: out,
        sizeBytes: written.sizeBytes,
        files: members.length,
        withKeys: options.withKeys,
        log: { origin, size: String(size) },
      },
      lines: [
        `Wrote ${out}: ${members.length} files, ${written.sizeBytes} bytes; it was read back whole.`,
        `  log  ${origin}, ${size} entries`,
        options.withKeys
          ? 'It holds the CA keys and the files in which their passphrase may be: who opens it is the CA.'
          : `It does not hold the keys. Keep a copy of ${[config.keys.folder, ...secretsOf(config)].join(', ')} elsewhere, or nothing can be restored.`,
      ],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
    rmSync(draft, { force: true });
  }
}

function secretsOf(config: Config): readonly string[] {
  return configuredFiles(config).flatMap(({ isSecret, path }) => (isSecret ? [path] : []));
}

/** One moment of the database. @returns the checkpoint in it */
async function copyOf(place: StorePlace, to: string): Promise<string> {
  if (place.kind === 'postgres') return dumpDatabase(place.address, to);
  copyDatabase(place.folder, to);
  const log = openStoredLog(to);
  try {
    return log.checkpoint;
  } finally {
    log.close();
  }
}

interface Copied {
  readonly kind: StorePlace['kind'];
  readonly folder: string;
  readonly copy: string;
  readonly checkpoint: string;
}

function membersOf(
  config: Config,
  { configFile, withKeys }: BackupOptions,
  copied: Copied,
): readonly Member[] {
  const home = dirname(resolve(configFile));
  const outside: Record<string, string> = {};
  const nameOf = (path: string): string => {
    const inside = relative(home, path).split(sep).join('/');
    const name = inside.startsWith('..')
      ? `outside/${Object.keys(outside).length}-${basename(path)}`
      : inside;
    if (name !== inside) outside[name] = path;
    if (isMemberName(name)) return name;
    throw new CodedError(
      'main.odd_name',
      `A backup cannot hold a file that is called ${JSON.stringify(path)}.`,
      {
        next: 'Give it a shorter name without control characters and backslashes, and change the configuration.',
      },
    );
  };
  const configured = configuredFiles(config).filter(({ isSecret }) => withKeys || !isSecret);
  requireConfiguredFiles(configured);
  const files = new Set([resolve(configFile), ...configured.map(({ path }) => path)]);
  for (const path of [
    ...filesIn(dirname(config.tls.certificate), home),
    ...filesIn(archiveFolder(copied.folder), home),
    // Certificates of the TLS authorities and the root's list: without them the keys say nothing.
    ...(config['tls-authority'] === undefined ? [] : filesIn(config['tls-authority'].folder, home)),
  ])
    files.add(path);
  if (withKeys) for (const name of readdirSync(config.keys.folder)) files.add(join(config.keys.folder, name));
  const members = [...files]
    .filter((path) => existsSync(path) && statSync(path).isFile())
    .map((path) => fileMember(nameOf(path), path, statSync(path)));
  const database = nameOf(join(copied.folder, copied.kind === 'sqlite' ? 'sallyport.db' : dumpName));
  const manifest: Manifest = {
    format: 'sallyport-backup@1',
    created: toRfc3339(systemClock.nowMs()),
    config: nameOf(resolve(configFile)),
    database,
    ...(copied.kind === 'postgres' && { databaseKind: 'postgresql' as const }),
    checkpoint: checkpointMember,
    withKeys,
    outside,
  };
  return [
    { name: 'manifest.json', content: { bytes: Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`) } },
    ...members,
    { name: checkpointMember, content: { bytes: Buffer.from(copied.checkpoint) } },
    fileMember(database, copied.copy, statSync(copied.copy)),
  ];
}

/** Plain files of a folder, if it is one of this broker alone: below that of the configuration, and not that itself. */
function filesIn(folder: string, home: string): readonly string[] {
  const below = relative(home, folder);
  if (below === '' || below.startsWith('..') || !existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.new'))
    .map(({ name }) => join(folder, name));
}

async function writeSealed(
  draft: string,
  members: readonly Member[],
  passphrase: string,
): Promise<{ readonly sizeBytes: number; readonly sha256: string }> {
  const digest = createHash('sha256');
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const bytes of writeMembers(members)) {
      digest.update(bytes);
      yield bytes;
    }
  }
  const descriptor = openSync(draft, 'wx', 0o600);
  let sizeBytes = 0;
  try {
    for await (const piece of sealStream(counted(), passphrase, systemRandom)) {
      for (let at = 0; at < piece.length;) at += writeSync(descriptor, piece, at);
      sizeBytes += piece.length;
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  return { sizeBytes, sha256: digest.digest('hex') };
}

async function readBack(draft: string, passphrase: string, sha256: string): Promise<void> {
  const digest = createHash('sha256');
  for await (const bytes of openSealedStream(createReadStream(draft), passphrase)) digest.update(bytes);
  if (digest.digest('hex') === sha256) return;
  throw new CodedError('main.bad_backup', 'What was written does not read back as it was meant.', {
    next: 'Check the disk and the memory of this machine. No backup was made.',
  });
}

function refuseExisting(out: string): void {
  if (lstatSync(out, { throwIfNoEntry: false }) !== undefined) throw existsAlready(out);
}

/** Before the database is copied, which may take long. */
function refuseNoFolder(folder: string): void {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    if (statSync(folder).isDirectory()) return;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw noFolder(folder, error);
  }
  throw noFolder(folder);
}

/** A link, which replaces nothing that came to be there meanwhile, as a rename would. */
function giveName(draft: string, out: string): void {
  try {
    linkSync(draft, out);
  } catch (error) {
    if (isSystemError(error) && error.code === 'EEXIST') throw existsAlready(out);
    // File systems without hard links (FAT, some network shares).
    if (!isSystemError(error) || !['EPERM', 'ENOSYS', 'EOPNOTSUPP', 'ENOTSUP'].includes(error.code ?? ''))
      throw error;
    refuseExisting(out);
    renameSync(draft, out);
  }
}

function existsAlready(out: string): CodedError {
  return new CodedError('main.backup_exists', `${out} exists already and is not overwritten.`, {
    next: 'Give each backup a name of its own, for example with the date.',
  });
}

function noFolder(folder: string, cause?: NodeJS.ErrnoException): CodedError {
  const why = cause?.code === undefined ? '' : ` (${cause.code})`;
  return new CodedError('main.cannot_write', `No backup can be written into ${folder}${why}.`, {
    next: 'Make that folder, or name another one that this user may write to.',
    ...(cause === undefined ? {} : { cause }),
  });
}
