import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type {
  OperatorIo,
  Outcome,
  TlsCaOptions,
  TlsRenewCaOptions,
  TlsRootListOptions,
  TlsRotateOptions,
} from '../../doors/cli/index.ts';
import { createIssuingCertificate, type OpenRoot } from '../../issuance/index.ts';
import { CodedError, systemClock, systemRandom } from '../../kernel/index.ts';
import {
  createKeyFile,
  createSigner,
  generatePrivateKey,
  openKeyFile,
  readTrustedFile,
  replaceFile,
} from '../../keys/index.ts';
import { CrlBody, signCrl } from '../../revocation/index.ts';
import {
  constraintsOf,
  decodePem,
  encodeName,
  encodePem,
  keyIdentifiersOf,
  oid,
  readCertificate,
  readCommonName,
  readCrl,
  readOrganization,
  subjectPublicKeyInfo,
  toNameConstraints,
  type ReadCertificate,
} from '../../x509/index.ts';
import { loadConfig, type Config } from '../config.ts';
import { readPassphrase } from '../passphrase.ts';
import { authorityKeyFile } from '../tls-authority.ts';
import { readSecret } from './backup-passphrase.ts';

const dayMs = 86_400_000;
const issuingDays = 5 * 365;
const authorityName = /^(issuing|logon)-([1-9]\d{0,3})$/;

/**
 * A new certificate for an authority that is there: same key, same name, same bounds, another end. What it issued stays good.
 * @throws CodedError `main.no_tls_authority`, `main.wrong_root_key`, `main.cannot_renew`, `keys.…`
 */
export async function renewTlsAuthority(options: TlsRenewCaOptions, io: OperatorIo): Promise<Outcome> {
  const { name } = options;
  const place = placeOf(options);
  if (!authorityName.test(name) || !existsSync(join(place.folder, `${name}.pem`)))
    throw noAuthority(name, place.folder);
  const { root, ends } = await openRoot(place, options, io);
  const old = readPem(place.folder, `${name}.pem`);
  const key = await openKeyFile(
    authorityKeyFile(place.keys, name),
    purposeOf(name),
    await passphraseOf(place, io),
  );
  const { publicKey } = createSigner(key, 'sha256');
  const read = readCertificate(old);
  if (!subjectPublicKeyInfo(publicKey).equals(read.publicKey))
    throw cannotRenew(name, 'its key is another one');
  const constraints = constraintsOf(read);
  const certificate = await createIssuingCertificate(
    root,
    {
      publicKey,
      subject: read.subject,
      ...ends,
      ...(constraints && { constraints: toNameConstraints(constraints) }),
    },
    systemRandom,
  );
  mustBeTheSame(name, read, readCertificate(certificate));
  const kept = `old-${name}-${read.serial.slice(0, 8)}.pem`;
  if (!existsSync(join(place.folder, kept)))
    replaceFile(join(place.folder, kept), encodePem('CERTIFICATE', old));
  replaceFile(join(place.folder, `${name}.pem`), encodePem('CERTIFICATE', certificate));
  const until = new Date(ends.notAfterMs).toISOString().slice(0, 10);
  return {
    value: { name, file: join(place.folder, `${name}.pem`), notAfter: until, kept: join(place.folder, kept) },
    lines: [
      `${name} has a new certificate, good until ${until}: ${join(place.folder, `${name}.pem`)}`,
      `Its key and name are the same: what it issued stays good. The old one is kept as ${kept}.`,
      next,
    ],
  };
}

/**
 * Another authority of the same kind, with a key of its own, that signs from the next start on. The one before goes on with lists and
 * OCSP for as long as its certificates live.
 * @throws CodedError as `renewTlsAuthority`, `keys.exists`
 */
export async function rotateTlsAuthority(options: TlsRotateOptions, io: OperatorIo): Promise<Outcome> {
  const { kind } = options;
  const place = placeOf(options);
  const numbers = readdirSync(place.folder).flatMap((file) => {
    const [, found, number] = authorityName.exec(file.replace(/\.pem$/, '')) ?? [];
    return found === kind && file.endsWith('.pem') ? [Number(number)] : [];
  });
  const last = Math.max(...numbers);
  if (numbers.length === 0) throw noAuthority(kind, place.folder);
  const [before, name] = [`${kind}-${last}`, `${kind}-${last + 1}`];
  const { root, ends } = await openRoot(place, options, io);
  const passphrase = await passphraseOf(place, io);
  const old = await openKeyFile(authorityKeyFile(place.keys, before), purposeOf(before), passphrase);
  const { algorithm } = createSigner(old, 'sha256');
  io.note('Making the key…');
  const type = algorithm === 'ecdsa-p256' || algorithm === 'ecdsa-p384' ? algorithm : 'rsa-3072';
  const privateKey = await generatePrivateKey(type);
  const read = readCertificate(readPem(place.folder, `${before}.pem`));
  const organization = readOrganization(read.subject);
  const constraints = constraintsOf(read);
  const commonName = `${(readCommonName(read.subject) ?? kind).replace(/ \d+$/, '')} ${last + 1}`;
  const certificate = await createIssuingCertificate(
    root,
    {
      publicKey: createSigner(privateKey, 'sha256').publicKey,
      subject: encodeName({ commonName, ...(organization && { organization }) }),
      ...ends,
      ...(constraints && { constraints: toNameConstraints(constraints) }),
    },
    systemRandom,
  );
  const keyFile = authorityKeyFile(place.keys, name);
  await createKeyFile(keyFile, { privateKey, purpose: purposeOf(name) }, passphrase, systemRandom);
  try {
    // Last: the broker looks for a key when it finds a certificate.
    replaceFile(join(place.folder, `${name}.pem`), encodePem('CERTIFICATE', certificate));
  } catch (error) {
    rmSync(keyFile, { force: true });
    throw error;
  }
  return {
    value: { name, before, file: join(place.folder, `${name}.pem`), keyFile },
    lines: [
      `Made ${name}, which signs from the next start on: ${join(place.folder, `${name}.pem`)}`,
      `${before} goes on with its lists and OCSP: leave its files for as long as its certificates live.`,
      'Whoever trusts the root need do nothing. Whoever trusts an authority by itself is to get the new one as well.',
      next,
    ],
  };
}

/**
 * The list of the root anew: what was revoked in it stays, and what is named comes to it.
 * @throws CodedError as `renewTlsAuthority`, `main.cannot_revoke` for the authority that signs
 */
export async function signRootList(options: TlsRootListOptions, io: OperatorIo): Promise<Outcome> {
  const place = placeOf(options);
  const { root } = await openRoot(place, options, io);
  const before = readCrl(decodePem(textOf(place.folder, 'root-crl.pem'), ['X509 CRL']));
  const body = CrlBody.of(before);
  const nowMs = systemClock.nowMs();
  for (const name of options.revoke) {
    const [, kind, number] = authorityName.exec(name) ?? [];
    if (kind === undefined || !existsSync(join(place.folder, `${name}.pem`)))
      throw noAuthority(name, place.folder);
    if (!existsSync(join(place.folder, `${kind}-${Number(number) + 1}.pem`)))
      throw new CodedError('main.cannot_revoke', `${name} is the one that signs now.`, {
        next: `Make the next one first: \`sallyport tls ca rotate ${kind}\`.`,
      });
    for (const file of certificatesOf(name, place.folder)) {
      const { serial } = readCertificate(readPem(place.folder, file));
      if (!body.serials.includes(serial)) body.add({ serial, revokedMs: nowMs, reason: options.code });
    }
  }
  const number =
    before.number >= BigInt(Math.floor(nowMs / 1000)) ? before.number + 1n : BigInt(Math.floor(nowMs / 1000));
  const issuer = {
    signer: root.signer,
    subject: readCertificate(root.certificate).subject,
    deltaUrl: root.urls.crl,
  };
  const nextUpdateMs = nowMs + options.days * dayMs;
  const list = await signCrl(issuer, body, { number, thisUpdateMs: nowMs, nextUpdateMs });
  replaceFile(join(place.folder, 'root-crl.pem'), encodePem('X509 CRL', list));
  const until = new Date(nextUpdateMs).toISOString().slice(0, 10);
  return {
    value: { file: join(place.folder, 'root-crl.pem'), nextUpdate: until, revoked: body.serials.length },
    lines: [
      `The list of the root is good until ${until}, with ${body.serials.length} revoked: ${join(place.folder, 'root-crl.pem')}`,
      next,
    ],
  };
}

const next =
  'Next: take the root key away again, copy the changed files to the other brokers, and start each anew.';

interface Place {
  readonly config: Config;
  readonly folder: string;
  readonly keys: string;
  readonly address: string;
}

function placeOf({ configFile }: TlsCaOptions): Place {
  const config = loadConfig(configFile);
  const own = config['tls-authority'];
  if (own === undefined || !existsSync(own.folder)) throw noAuthority('TLS', own?.folder ?? configFile);
  return { config, folder: own.folder, keys: config.keys.folder, address: own.address };
}

async function openRoot(
  { folder, address }: Place,
  { rootKey, rootPassphraseFile }: TlsCaOptions,
  io: OperatorIo,
): Promise<{
  readonly root: OpenRoot;
  readonly ends: { readonly notBeforeMs: number; readonly notAfterMs: number };
}> {
  const certificate = readPem(folder, 'root.pem');
  const passphrase = await readSecret('the passphrase of the root key', rootPassphraseFile, io, 'known');
  const signer = createSigner(await openKeyFile(resolve(rootKey), 'x509-root', passphrase), 'sha256');
  const read = readCertificate(certificate);
  if (!subjectPublicKeyInfo(signer.publicKey).equals(read.publicKey))
    throw new CodedError('main.wrong_root_key', `${rootKey} is not the key of ${join(folder, 'root.pem')}.`, {
      next: 'Bring the key that was made with it.',
    });
  const nowMs = systemClock.nowMs();
  return {
    root: {
      signer,
      certificate,
      urls: { crl: `${address}/pki/root.crl`, issuer: `${address}/pki/root.cer` },
    },
    ends: {
      notBeforeMs: nowMs - 3_600_000,
      notAfterMs: Math.min(nowMs + issuingDays * dayMs, read.notAfterMs),
    },
  };
}

function passphraseOf({ config }: Place, io: OperatorIo): Promise<string> {
  return readPassphrase(config.keys.passphrase, process.env, (question) => io.askSecret(question));
}

/** Name, key identifier and bounds, or what was issued would not be good any more. */
function mustBeTheSame(name: string, before: ReadCertificate, after: ReadCertificate): void {
  const [old, now] = [keyIdentifiersOf(before), keyIdentifiersOf(after)];
  const [oldBounds, newBounds] = [before, after].map(({ extensions }) =>
    extensions.get(oid.nameConstraints)?.value.toString('hex'),
  );
  if (!before.subject.equals(after.subject)) throw cannotRenew(name, 'its name changed');
  if (old.subject === undefined || now.subject?.equals(old.subject) !== true)
    throw cannotRenew(name, 'its key identifier changed');
  if (oldBounds !== newBounds) throw cannotRenew(name, 'its bounds changed');
}

/** The present one and those from before its renewals: one key, and whoever has it can hand out any of them. */
function certificatesOf(name: string, folder: string): readonly string[] {
  const earlier = readdirSync(folder).filter(
    (file) => file.startsWith(`old-${name}-`) && file.endsWith('.pem'),
  );
  return [`${name}.pem`, ...earlier];
}

const textOf = (folder: string, name: string): string =>
  readTrustedFile(join(folder, name), 'The file of the authority').toString('latin1');

const readPem = (folder: string, name: string): Buffer => decodePem(textOf(folder, name), ['CERTIFICATE']);

const purposeOf = (name: string): 'x509-issuing' | 'x509-logon' =>
  name.startsWith('logon') ? 'x509-logon' : 'x509-issuing';

function noAuthority(name: string, folder: string): CodedError {
  return new CodedError('main.no_tls_authority', `There is no authority ${name} in ${folder}.`, {
    next: '`sallyport tls ca` lists those that there are; `sallyport tls init` makes the first.',
  });
}

function cannotRenew(name: string, why: string): CodedError {
  return new CodedError('main.cannot_renew', `${name} was not renewed: ${why}. Nothing was changed.`, {
    next: `Use \`sallyport tls ca rotate\`, which makes a new authority.`,
  });
}
