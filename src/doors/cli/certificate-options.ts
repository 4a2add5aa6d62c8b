import type { SignRequest } from '../client/index.ts';
import { parsePrincipal, printable } from '../../kernel/index.ts';
import { usage } from './report.ts';
import { parseDuration } from './times.ts';

/** Flags that narrow a certificate, of `login` and `sign`. */
export interface CertificateOptions {
  readonly profile?: string;
  readonly principal?: readonly string[];
  readonly extension?: readonly string[];
  /** False by `--no-extensions`. */
  readonly extensions: boolean;
  readonly ttl?: string;
  readonly reason?: string;
  /** The receipt too. */
  readonly proof?: boolean;
}

/**
 * The flags as the API takes them; what was not said is left out.
 * @throws CodedError `cli.usage` for a length of time that is none, and for extensions that contradict each other;
 *   `kernel.bad_principal`
 */
export function signRequest(options: CertificateOptions): SignRequest {
  const extensions = askedExtensions(options);
  return {
    ...(options.profile === undefined ? {} : { profile: options.profile }),
    ...(options.principal === undefined ? {} : { principals: options.principal.map(parsePrincipal) }),
    ...(extensions === undefined ? {} : { extensions }),
    ...(options.ttl === undefined ? {} : { ttlSeconds: parseDuration(options.ttl) }),
    ...(options.reason === undefined ? {} : { reason: options.reason }),
  };
}

/** @returns undefined where nothing was said: then the profile's are meant. */
function askedExtensions({ extension, extensions }: CertificateOptions): readonly string[] | undefined {
  if (extensions) return extension?.map(checkExtension);
  if (extension === undefined) return [];
  throw usage('--no-extensions and --extension contradict each other.', 'Give one of them.');
}

/** The names of OpenSSH are plain words; those of others have a domain (PROTOCOL.certkeys). */
function checkExtension(name: string): string {
  if (/^[A-Za-z0-9@._-]{1,64}$/.test(name)) return name;
  throw usage(
    `“${printable(name, 40)}” is not the name of an extension.`,
    'Write it like permit-pty; `sallyport policy explain` shows those that you can have.',
  );
}
