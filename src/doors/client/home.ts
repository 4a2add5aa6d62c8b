import { statSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '../../kernel/index.ts';

/** Where everything of one person at one broker lies: absolute paths below `$SALLYPORT_HOME`. */
export interface HomeFiles {
  readonly folder: string;
  readonly config: string;
  readonly session: string;
  /** OpenSSH private key; its certificate has the name that ssh looks for. */
  readonly key: string;
  readonly publicKey: string;
  readonly certificate: string;
  /** Receipt of the certificate from the log, where it was asked for. */
  readonly proof: string;
  /** When the certificate lives and how it was asked for; see `CertificateNote`. */
  readonly note: string;
  readonly renewLock: string;
}

/** The names of the files below a home; nothing is made or looked at. @param folder absolute */
export function homeFiles(folder: string): HomeFiles {
  return {
    folder,
    config: join(folder, 'config.json'),
    session: join(folder, 'session.json'),
    key: join(folder, 'id_ed25519'),
    publicKey: join(folder, 'id_ed25519.pub'),
    certificate: join(folder, 'id_ed25519-cert.pub'),
    proof: join(folder, 'id_ed25519-cert.tlog-proof'),
    note: join(folder, 'certificate.json'),
    renewLock: join(folder, 'renew.lock'),
  };
}

/**
 * Refuses a home, or a configuration in it, that somebody else could write: they would say which broker the next password goes to.
 * Root's own are root's alone: in the home of another account that account would say so.
 * @throws CodedError `client.loose_home`
 */
export function checkHome(folder: string): void {
  const own = process.geteuid?.();
  // Windows has no such modes.
  if (own === undefined) return;
  for (const path of [folder, homeFiles(folder).config]) {
    const found = statSync(path, { throwIfNoEntry: false });
    // What does not exist yet is made for its owner alone.
    if (found === undefined) continue;
    if (found.uid !== own && found.uid !== 0)
      throw looseHome(`${path} belongs to another user.`, 'Set SALLYPORT_HOME to a folder of your own.');
    if ((found.mode & 0o022) !== 0) {
      throw looseHome(
        `Others can write ${path}, which says where passwords go.`,
        `Run \`chmod go-w ${path}\`, check what is in it, then log in again.`,
      );
    }
  }
}

function looseHome(message: string, next: string): CodedError {
  return new CodedError('client.loose_home', message, { next });
}
