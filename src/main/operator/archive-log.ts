import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { verifierKey, writeBundle, type LogSigner } from '../../accounting/index.ts';
import { verifyBundle } from '../../accounting/verify/index.ts';
import type { Standing, Store } from '../../broker/index.ts';
import { CodedError } from '../../kernel/index.ts';
import { checkPrivateFolder, syncFolder } from '../../keys/index.ts';

/** A log that was written away whole. */
export interface ArchivedLog {
  readonly file: string;
  /** Hex SHA-256 of the file. */
  readonly sha256: string;
}

/** Where logs that ended are kept: a folder beside the data folder. */
export function archiveFolder(dataFolder: string): string {
  return join(dirname(dataFolder), 'archive');
}

/** The file for a log as it stands. The same log gives the same name. */
export function archiveFile(dataFolder: string, { origin, size, checkpoint }: Standing): string {
  const root = Buffer.from(checkpoint.split('\n')[2] ?? '', 'base64').toString('hex', 0, 6);
  const name = origin.replaceAll(/[^A-Za-z0-9.-]/g, '-').slice(0, 80);
  return join(archiveFolder(dataFolder), `${name}-${size}-${root}.bundle`);
}

/**
 * Writes the whole log as a bundle of mode 0600, with its verifier key in a file beside it, and reads it back with that key. Durable
 * on return, and under its name only when it verifies. Undefined when the log has no entry.
 * @throws CodedError `accounting.unverified_archive`, `keys.loose_permissions`, and as `writeBundle`
 */
export async function archiveLog(
  store: Store,
  signer: LogSigner,
  dataFolder: string,
  standing: Standing,
): Promise<ArchivedLog | undefined> {
  const { origin, size, checkpoint } = standing;
  if (size === 0n) return undefined;
  const folder = archiveFolder(dataFolder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  checkPrivateFolder(folder);
  const file = archiveFile(dataFolder, standing);
  const temporary = `${file}.new`;
  const key = verifierKey(origin, signer.publicKey);
  try {
    const sha256 = await writeSynced(
      temporary,
      writeBundle({
        checkpoint,
        from: 0n,
        to: size,
        entries: store.logEntries(0n, size),
        readTile: (...place) => store.readTile(...place),
        signer,
      }),
    );
    const { integrity } = await verifyBundle(temporary, { verifierKey: key });
    if (integrity.state !== 'verified') {
      throw new CodedError(
        'accounting.unverified_archive',
        `The log in the database does not verify: ${integrity.detail}`,
        { next: 'Nothing was changed. Restore another copy, and keep this one for whoever investigates.' },
      );
    }
    // The old log is emptied once this returns: what proves the archive must be as durable as the archive.
    await writeSynced(`${file}.vkey`, [Buffer.from(`${key}\n`)]);
    renameSync(temporary, file);
    syncFolder(folder);
    syncFolder(dirname(folder));
    return { file, sha256 };
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

async function writeSynced(path: string, chunks: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<string> {
  rmSync(path, { force: true });
  const descriptor = openSync(path, 'wx', 0o600);
  const digest = createHash('sha256');
  try {
    for await (const chunk of chunks) {
      digest.update(chunk);
      for (let at = 0; at < chunk.length;) at += writeSync(descriptor, chunk, at);
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  return digest.digest('hex');
}
