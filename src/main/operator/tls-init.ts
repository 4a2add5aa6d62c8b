import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { OperatorIo, Outcome, TlsInitOptions } from '../../doors/cli/index.ts';
import { createIssuingCertificate, createRootCertificate, type OpenRoot } from '../../issuance/index.ts';
import { CodedError, isSystemError, printable, systemClock, systemRandom } from '../../kernel/index.ts';
import {
  createKeyFile,
  createSigner,
  generatePrivateKey,
  syncFolder,
  type Signer,
} from '../../keys/index.ts';
import { CrlBody, signCrl } from '../../revocation/index.ts';
import { fingerprint, publicKeyFromKeyObject } from '../../ssh/index.ts';
import {
  encodeName,
  encodePem,
  isBoundNetwork,
  parseBoundDomain,
  readCertificate,
} from '../../x509/index.ts';
import { loadConfig } from '../config.ts';
import { readPassphrase } from '../passphrase.ts';
import { authorityKeyFile } from '../tls-authority.ts';
import { readNewPassphrase } from './backup-passphrase.ts';

const dayMs = 86_400_000;
const rootDays = 20 * 365;
const issuingDays = 5 * 365;
const readable = { mode: 0o644, flag: 'wx' } as const;

/**
 * Makes the authorities for TLS: a root, whose key goes into a file of its own that is to be taken away, and what signs every day.
 * All of it, or nothing.
 * @throws CodedError `main.tls_authority_exists`, `main.bad_bounds`, `main.cannot_write`, `keys.exists`, `keys.weak_passphrase`
 */
export async function initTls(options: TlsInitOptions, io: OperatorIo): Promise<Outcome> {
  const config = loadConfig(options.configFile);
  const folder = config['tls-authority']?.folder ?? join(dirname(resolve(options.configFile)), 'pki');
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    throw new CodedError(
      'main.tls_authority_exists',
      `There is an authority in ${folder} already; nothing was changed.`,
      {
        next: 'A second one would not be trusted by whoever trusts the first. To go on with it: `sallyport tls ca --help`.',
      },
    );
  }
  const bounds = checkBounds(options);
  const rootFolder = dirname(resolve(options.rootKey));
  // Before anybody thinks up a passphrase.
  if (!existsSync(rootFolder))
    throw new CodedError(
      'main.cannot_write',
      `${options.rootKey} cannot be written: there is no folder ${rootFolder}.`,
      { next: 'Check --root-key: the medium may not be mounted.' },
    );
  const passphrase = await readPassphrase(config.keys.passphrase, process.env, (question) =>
    io.askSecret(question),
  );
  const rootPassphrase = await readNewPassphrase('the root key', options.rootPassphraseFile, io);
  const kinds = ['issuing', ...(options.logon ? (['logon'] as const) : [])] as const;
  const made = [
    resolve(options.rootKey),
    ...kinds.map((kind) => authorityKeyFile(config.keys.folder, `${kind}-1`)),
  ];
  for (const path of made)
    if (existsSync(path))
      throw new CodedError('keys.exists', `${path} exists already and is not overwritten.`, {
        next: 'Move the old file away first.',
      });
  try {
    return await make(
      { ...options, ...bounds, folder, keys: config.keys.folder, passphrase, rootPassphrase },
      kinds,
      io,
    );
  } catch (error) {
    for (const path of made) rmSync(path, { force: true });
    rmSync(folder, { recursive: true, force: true });
    if (!isSystemError(error)) throw error;
    throw new CodedError('main.cannot_write', `The authority cannot be made (${error.code}).`, {
      next: 'Check that this user may write there and that there is space. Nothing was left behind.',
      cause: error,
    });
  }
}

/** @throws CodedError `main.bad_bounds`, `x509.bad_name` */
function checkBounds({
  permitDns,
  permitNetworks,
}: Pick<TlsInitOptions, 'permitDns' | 'permitNetworks'>): Pick<TlsInitOptions, 'permitDns'> {
  const bad = (text: string, next: string): CodedError =>
    new CodedError('main.bad_bounds', `“${printable(text, 80)}” cannot bound an authority.`, { next });
  for (const network of permitNetworks)
    if (!isBoundNetwork(network)) throw bad(network, 'Write a network with its length, e.g. 10.0.0.0/8.');
  const [first] = permitNetworks;
  if (first !== undefined && permitDns.length === 0)
    throw bad(first, 'Networks alone leave DNS names free: give --permit-dns as well.');
  return {
    permitDns: permitDns.map((text) => parseBoundDomain(text) ?? fail(bad(text, 'Write a domain.'))),
  };
}

function fail(error: CodedError): never {
  throw error;
}

interface Making extends TlsInitOptions {
  readonly folder: string;
  readonly keys: string;
  readonly passphrase: string;
  readonly rootPassphrase: string;
}

async function make(
  making: Making,
  kinds: readonly ('issuing' | 'logon')[],
  io: OperatorIo,
): Promise<Outcome> {
  const { folder, name, address, organization } = making;
  const nowMs = systemClock.nowMs();
  const notBeforeMs = nowMs - 3_600_000;
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  io.note('Making the keys…');
  const rootKey = await generatePrivateKey(making.algorithm);
  const signer = createSigner(rootKey, 'sha256');
  const called = { ...(organization && { organization }) };
  const certificate = await createRootCertificate(
    signer,
    { commonName: `${name} Root CA`, ...called, notBeforeMs, notAfterMs: nowMs + rootDays * dayMs },
    systemRandom,
  );
  const root: OpenRoot = {
    signer,
    certificate,
    urls: { crl: `${address}/pki/root.crl`, issuer: `${address}/pki/root.cer` },
  };
  const constraints =
    making.permitDns.length + making.permitNetworks.length === 0
      ? undefined
      : { dns: making.permitDns, networks: making.permitNetworks };
  const words = { issuing: 'TLS CA 1', logon: 'Logon CA 1' } as const;
  const lines: string[] = [];
  for (const kind of kinds) {
    // Kerberos of Samba takes RSA only.
    const privateKey = await generatePrivateKey(kind === 'logon' ? 'rsa-3072' : making.algorithm);
    const own = createSigner(privateKey, 'sha256');
    const issued = await createIssuingCertificate(
      root,
      {
        publicKey: own.publicKey,
        subject: encodeName({ commonName: `${name} ${words[kind]}`, ...called }),
        notBeforeMs,
        notAfterMs: nowMs + issuingDays * dayMs,
        ...(kind === 'issuing' && constraints !== undefined && { constraints }),
      },
      systemRandom,
    );
    const purpose = `x509-${kind}` as const;
    await createKeyFile(
      authorityKeyFile(making.keys, `${kind}-1`),
      { privateKey, purpose },
      making.passphrase,
      systemRandom,
    );
    writeFileSync(join(folder, `${kind}-1.pem`), encodePem('CERTIFICATE', issued), readable);
    lines.push(`  ${`${kind}-1`.padEnd(14)} ${join(folder, `${kind}-1.pem`)}  (${keyName(own)})`);
  }
  writeFileSync(join(folder, 'root.pem'), encodePem('CERTIFICATE', certificate), readable);
  await writeRootCrl(root, folder, { nowMs, days: making.rootCrlDays });
  // Last: its presence says that all the rest is there.
  const rootFile = resolve(making.rootKey);
  await createKeyFile(
    rootFile,
    { privateKey: rootKey, purpose: 'x509-root' },
    making.rootPassphrase,
    systemRandom,
  );
  syncFolder(folder);
  const section = [
    'tls-authority:',
    '  folder: pki',
    `  address: ${address}`,
    `  listen: 0.0.0.0:${portOf(address)}`,
  ];
  return {
    value: {
      folder,
      rootKey: rootFile,
      authorities: kinds.map((kind) => `${kind}-1`),
      root: join(folder, 'root.pem'),
    },
    lines: [
      `Made an authority for TLS in ${folder}`,
      `  ${'root'.padEnd(14)} ${join(folder, 'root.pem')}  (${keyName(signer)})`,
      ...lines,
      `  ${'root key'.padEnd(14)} ${rootFile}`,
      '',
      'Now take the root key away: copy it to two places that no network reaches, with its passphrase apart from it, and delete',
      'it here. The broker never opens it; it is needed again when an authority or the list of the root is to be renewed',
      `(the list in ${making.rootCrlDays} days).`,
      '',
      'Next: put this into the configuration, give it profiles under `tls-profiles` in the policy, and start the broker anew:',
      ...section.map((line) => `  ${line}`),
    ],
  };
}

/** Signs the list of the root: nothing is revoked in it unless it is said. Its number is the time, and so rises. */
export async function writeRootCrl(
  root: OpenRoot,
  folder: string,
  { nowMs, days }: { readonly nowMs: number; readonly days: number },
): Promise<void> {
  const issuer = {
    signer: root.signer,
    subject: readCertificate(root.certificate).subject,
    deltaUrl: root.urls.crl,
  };
  const times = {
    number: BigInt(Math.floor(nowMs / 1000)),
    thisUpdateMs: nowMs - 3_600_000,
    nextUpdateMs: nowMs + days * dayMs,
  };
  const list = await signCrl(issuer, new CrlBody(), times);
  writeFileSync(join(folder, 'root-crl.pem'), encodePem('X509 CRL', list), readable);
}

function keyName(signer: Signer): string {
  return fingerprint(publicKeyFromKeyObject(signer.publicKey).blob);
}

function portOf(address: string): string {
  return /:(\d+)$/.exec(address)?.[1] ?? '80';
}
