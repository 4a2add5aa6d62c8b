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
    note: join(folder, 'certificate.json'),
    renewLock: join(folder, 'renew.lock'),
  };
}

/**
 * Refuses a home that somebody else could write into: they would say which broker the next password goes to.
 * @throws CodedError `client.loose_home`
 */
export function checkHome(folder: string): void {
  const own = process.geteuid?.();
  const found = statSync(folder, { throwIfNoEntry: false });
  // Windows has no such modes; a home that does not exist yet is made with mode 0700.
  if (own === undefined || found === undefined) return;
  if ((found.mode & 0o022) === 0 && (found.uid === own || found.uid === 0 || own === 0)) return;
  throw new CodedError(
    'client.loose_home',
    `Others can write into ${folder}, where the session and the key are kept.`,
    {
      next: `Run \`chmod 700 ${folder}\`, check what is in it, then log in again.`,
    },
  );
}
