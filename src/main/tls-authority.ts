import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import {
  CrlPublisher,
  ListCopies,
  OcspResponder,
  type CopiedAuthority,
  type CrlParts,
  type Store,
  type TlsAuthorityRoom,
  type TlsRoom,
} from '../broker/index.ts';
import { createTlsIssuer, type IssuerUrls } from '../issuance/index.ts';
import { createListDirectory, parseServerUrl } from '../identity/index.ts';
import { CodedError, systemRandom, type Clock } from '../kernel/index.ts';
import {
  createSigner,
  openKeyFile,
  readPrivateLine,
  readTrustedFile,
  type KeyPurpose,
  type Signer,
} from '../keys/index.ts';
import { decodePem, readCertificate, readCommonName, readCrl } from '../x509/index.ts';
import type { Config } from './config.ts';
import type { TlsAuthorityConfig } from './config-tls.ts';
import { readConfigured } from './read-configured.ts';

const issuerFile = /^(issuing|logon)-([1-9]\d{0,3})\.pem$/;

/** An authority as it lies in its files. */
export interface OpenAuthority {
  readonly name: string;
  readonly signer: Signer;
  /** DER. */
  readonly certificate: Buffer;
}

export interface OpenAuthorities {
  readonly config: TlsAuthorityConfig;
  /** Newest first. */
  readonly issuing: readonly OpenAuthority[];
  readonly logon: readonly OpenAuthority[];
  readonly root: Buffer;
  readonly rootCrl: Buffer;
}

/** The key file of an authority, below `keys.folder`. */
export function authorityKeyFile(folder: string, name: string): string {
  return join(folder, `x509-${name}.key`);
}

/** Where the things of an authority are, as its certificates say. */
export function urlsOf(address: string, name: string): IssuerUrls {
  return {
    crl: `${address}/pki/${name}.crl`,
    deltaCrl: `${address}/pki/${name}-delta.crl`,
    ocsp: `${address}/ocsp`,
    issuer: `${address}/pki/${name}.cer`,
  };
}

/** Opens the authorities for TLS; undefined when the configuration names none. @throws CodedError `keys.…`, `x509.…`, `main.no_tls_authority` */
export async function openAuthorities(
  config: Config,
  passphrase: string,
): Promise<OpenAuthorities | undefined> {
  const own = config['tls-authority'];
  if (own === undefined) return undefined;
  const names = existsSync(own.folder) ? readdirSync(own.folder).filter((name) => issuerFile.test(name)) : [];
  const sorted = names.map((name) => name.slice(0, -4)).toSorted((a, b) => numberOf(b) - numberOf(a));
  const open = (kind: 'issuing' | 'logon'): Promise<OpenAuthority[]> =>
    Promise.all(
      sorted
        .filter((name) => name.startsWith(kind))
        .map(async (name) => {
          const purpose: KeyPurpose = `x509-${kind}`;
          const key = await openKeyFile(authorityKeyFile(config.keys.folder, name), purpose, passphrase);
          return {
            name,
            signer: createSigner(key, 'sha256'),
            certificate: readPemFile(own.folder, `${name}.pem`),
          };
        }),
    );
  const [issuing, logon] = await Promise.all([open('issuing'), open('logon')]);
  if (issuing.length === 0) {
    throw new CodedError('main.no_tls_authority', `There is no authority for TLS in ${own.folder}.`, {
      next: 'Make one with `sallyport tls init`, or take `tls-authority` out of the configuration.',
    });
  }
  const rootCrl = decodePem(read(own.folder, 'root-crl.pem'), ['X509 CRL']);
  readCrl(rootCrl);
  return { config: own, issuing, logon, root: readPemFile(own.folder, 'root.pem'), rootCrl };
}

/** The longest certificate of a server, which no authority is outlived by. */
const authorityDays = 397;
const rootListDays = 60;

/** What the key of the root is needed for soon: said at every start and reload, while there is time to bring it. */
export function warnOfAuthorities(tls: TlsRoom | undefined, log: Logger, nowMs: number): void {
  const daysLeft = (endMs: number): number => Math.floor((endMs - nowMs) / 86_400_000);
  for (const { issuer } of [tls?.issuing[0], tls?.logon[0]].filter((one) => one !== undefined)) {
    const days = daysLeft(issuer.read.notAfterMs);
    if (days < authorityDays)
      log.warn(
        { authority: issuer.name, daysLeft: days },
        'an authority for TLS ends, and no certificate outlives it: renew it with `sallyport tls ca renew`',
      );
  }
  const days = tls === undefined ? Infinity : daysLeft(readCrl(tls.rootCrl).nextUpdateMs);
  if (days < rootListDays)
    log.warn({ daysLeft: days }, 'the list of the root ends: sign it anew with `sallyport tls ca root-list`');
}

function numberOf(name: string): number {
  return Number(name.slice(name.lastIndexOf('-') + 1));
}

function read(folder: string, name: string): string {
  return readTrustedFile(join(folder, name), 'The file of the authority').toString('latin1');
}

function readPemFile(folder: string, name: string): Buffer {
  const certificate = decodePem(read(folder, name), ['CERTIFICATE']);
  readCertificate(certificate);
  return certificate;
}

/** The rooms of the authorities. @throws CodedError `issuance.wrong_certificate` */
export function makeTlsRoom(
  opened: OpenAuthorities,
  { store, clock }: { readonly store: Store; readonly clock: Clock },
): TlsRoom {
  const { config, root, rootCrl } = opened;
  const room = (authority: OpenAuthority): TlsAuthorityRoom => {
    const urls = urlsOf(config.address, authority.name);
    const issuer = createTlsIssuer({ ...authority, urls }, systemRandom);
    const ocsp = new OcspResponder({ store, clock, issuer, signer: authority.signer });
    const parts: CrlParts = {
      store,
      clock,
      caFingerprint: issuer.caFingerprint,
      issuer: { signer: authority.signer, subject: issuer.read.subject, deltaUrl: urls.deltaCrl },
      lifetimeMs: config['crl-lifetime'],
      onRevoked: ocsp.learn,
    };
    return { issuer, crl: new CrlPublisher(parts), ocsp };
  };
  const [issuing, logon] = [opened.issuing.map(room), opened.logon.map(room)];
  return {
    issuing,
    logon,
    ldapBase: config['ldap-base'],
    rootSubject: readCertificate(root).subject,
    copies: copiesOf(opened, [...issuing, ...logon], clock),
    root,
    rootCrl,
    address: config.address,
  };
}

/** @throws CodedError `keys.…` for the password file, as `readConfigured` for the CA file */
function copiesOf(
  { config, root, rootCrl }: OpenAuthorities,
  authorities: readonly TlsAuthorityRoom[],
  clock: Clock,
): ListCopies | undefined {
  const { 'ldap-base': base, 'ldap-push': push } = config;
  const server = push && parseServerUrl(push.url);
  if (push === undefined || server === undefined || base === undefined) return undefined;
  const caFile = push['ca-file'];
  const directory = createListDirectory({
    address: { ...server, security: server.scheme === 'ldaps' ? 'ldaps' : 'starttls' },
    caPem:
      caFile === undefined
        ? undefined
        : readConfigured(caFile, 'The CA file', '`ca-file` of `ldap-push`').toString('utf8'),
    service: {
      dn: push['bind-dn'],
      password: readPrivateLine(push['password-file'], 'The password file'),
    },
    base,
  });
  const copied = authorities.map(({ issuer, crl }) => ({
    name: issuer.name,
    commonName: readCommonName(issuer.read.subject) ?? issuer.name,
    of: 'certificates' as const,
    current: () => crl.current,
  }));
  // The root's list changes with a start only.
  const { number, thisUpdateMs } = readCrl(rootCrl);
  const ofRoot: CopiedAuthority = {
    name: 'root',
    commonName: readCommonName(readCertificate(root).subject) ?? 'root',
    of: 'authorities',
    current: () => ({ number, publishedMs: thisUpdateMs, full: rootCrl }),
  };
  return new ListCopies(directory, [...copied, ofRoot], clock);
}
