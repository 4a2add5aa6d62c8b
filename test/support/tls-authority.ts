import { execFile, execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initTls } from '../../src/main/operator/tls-init.ts';
import type { TlsInitOptions } from '../../src/doors/cli/index.ts';
import type { BrokerFolder } from './broker.ts';
import { freePort } from './free-port.ts';
import { handOut } from './handed-out.ts';

export const quiet = { note: () => undefined, askSecret: async () => '' };

/** Profiles that the tests issue by. */
export const tlsProfiles = `
tls-profiles:
  ibmi:
    for: tls-server
    who: { groups: [builtin:admins] }
    names: ["*.ibmi.test.example", "as400", "localhost"]
    addresses: [10.0.0.0/8, 127.0.0.1]
    lifetime: { default: 90d, max: 397d }
  service:
    for: tls-server
    who: { groups: [builtin:admins] }
    names: ["**.svc.test.example"]
    usages: [server, client]
    new-keys: false
  signon:
    for: tls-client
    who: { groups: [builtin:users] }
    account: { from: [{ attribute: uid }] }
  logon:
    for: windows-logon
    who: { groups: [builtin:users] }
    logon: { upn: mail, sid: none, realm: TEST.EXAMPLE }
`;

export interface TestAuthority {
  /** Of the listener for lists and OCSP. */
  readonly port: number;
  readonly address: string;
  readonly rootKey: string;
  readonly rootPassphrase: string;
  /** `pki` of the broker. */
  readonly folder: string;
}

/** Gives a broker's folder an authority for TLS, its configuration and profiles; the broker is started by whoever asks. */
export async function addTlsAuthority(
  made: Pick<BrokerFolder, 'folder' | 'configFile' | 'policyFile'>,
  over: Partial<TlsInitOptions> & { readonly section?: string; readonly profiles?: string } = {},
): Promise<TestAuthority> {
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const rootPassphrase = 'canary-root-4Fj8Qs passphrase';
  const passphraseFile = join(made.folder, 'secrets', 'root.passphrase');
  writeFileSync(passphraseFile, rootPassphrase, { mode: 0o600 });
  handOut('root passphrase', rootPassphrase, [join('secrets', 'root.passphrase')]);
  const rootKey = join(made.folder, 'root-to-be-taken-away.key');
  const { section = '', profiles = tlsProfiles, ...options } = over;
  await initTls(
    {
      configFile: made.configFile,
      algorithm: 'ecdsa-p256',
      name: 'Test',
      address,
      rootKey,
      rootPassphraseFile: passphraseFile,
      permitDns: [],
      permitNetworks: [],
      rootCrlDays: 400,
      logon: true,
      ...options,
    },
    quiet,
  );
  appendFileSync(
    made.configFile,
    `\ntls-authority:\n  folder: pki\n  address: ${address}\n  listen: 127.0.0.1:${port}\n${section}`,
  );
  appendFileSync(made.policyFile, profiles);
  return { port, address, rootKey, rootPassphrase, folder: join(made.folder, 'pki') };
}

/** A folder of its own for what openssl and others are given. */
export interface Workbench {
  readonly folder: string;
  path(name: string): string;
  write(name: string, content: string | Uint8Array): string;
  read(name: string): Buffer;
  /** @returns standard output and standard error; a failure throws with both. */
  run(program: string, args: readonly string[], input?: string | Buffer): string;
  /** The same for a program that asks this very process something. @returns what it said, whatever its exit code */
  ask(program: string, args: readonly string[]): Promise<string>;
  /** The same where it must fail. */
  fails(program: string, args: readonly string[]): string;
  remove(): void;
}

export function makeWorkbench(): Workbench {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-x509-'));
  const path = (name: string): string => join(folder, name);
  const run = (program: string, args: readonly string[], input?: string | Buffer): string => {
    try {
      return execFileSync(program, args, {
        cwd: folder,
        input,
        encoding: 'utf8',
        stdio: ['pipe', 'pipe', 'pipe'],
      });
    } catch (error) {
      const { stdout, stderr } = error as { stdout?: string; stderr?: string };
      throw new Error(`${program} ${args.join(' ')}\n${stdout ?? ''}${stderr ?? ''}`, { cause: error });
    }
  };
  return {
    folder,
    path,
    write(name, content) {
      writeFileSync(path(name), content);
      return path(name);
    },
    read: (name) => readFileSync(path(name)),
    run,
    ask: (program, args) =>
      new Promise((resolve) => {
        execFile(program, args, { cwd: folder, timeout: 30_000 }, (_error, stdout, stderr) =>
          resolve(`${stdout}${stderr}`),
        );
      }),
    fails(program, args) {
      try {
        run(program, args);
      } catch (error) {
        return (error as Error).message;
      }
      throw new Error(`${program} ${args.join(' ')} went well, and must not`);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A CSR as openssl makes it. @returns PEM; the key is `NAME.key` */
export function makeCsr(
  bench: Workbench,
  name: string,
  {
    subject = '/',
    ext = [],
    key = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  }: { subject?: string; ext?: readonly string[]; key?: readonly string[] } = {},
): string {
  const args = ['req', '-new', '-newkey', ...key, '-nodes', '-keyout', `${name}.key`, '-subj', subject];
  bench.run('openssl', [...args, ...ext.flatMap((line) => ['-addext', line]), '-out', `${name}.csr`]);
  return bench.read(`${name}.csr`).toString();
}
