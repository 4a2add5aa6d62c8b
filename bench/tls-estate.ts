import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CrlPublisher, OcspResponder, type Store, type X509Serial } from '../src/broker/index.ts';
import { createRootCertificate, createTlsIssuer, type TlsIssuer } from '../src/issuance/index.ts';
import { parsePersonId, systemClock, systemRandom } from '../src/kernel/index.ts';
import { createSigner, generatePrivateKey, type Signer } from '../src/keys/index.ts';
import { encodePem } from '../src/x509/index.ts';
import type { BenchContext } from './case.ts';
import { newSqliteStore } from './stores.ts';

const lifetimeMs = 86_400_000;

/** An authority with so many revoked certificates: through the product's own store, and the same as files of `openssl ca`. */
export interface TlsEstate {
  readonly store: Store;
  readonly signer: Signer;
  readonly issuer: TlsIssuer;
  readonly publisher: CrlPublisher;
  readonly ocsp: OcspResponder;
  /** Hex. */
  readonly revoked: readonly X509Serial[];
  /** Issued and good. */
  readonly good: readonly X509Serial[];
  /** Of `ca.pem`, `ca.key`, `index.txt`, `ca.cnf`. */
  readonly folder: string;
  revoke(serials: readonly X509Serial[]): Promise<void>;
  /** How often the responder has asked the database so far. */
  lookUps(): number;
}

/** @param revokedCount how many are revoked; `goodCount` more are not */
export async function newTlsEstate(
  { folder: parent, progress }: BenchContext,
  { revokedCount, goodCount }: { readonly revokedCount: number; readonly goodCount: number },
): Promise<TlsEstate> {
  const key = await generatePrivateKey('ecdsa-p256');
  const signer = createSigner(key, 'sha256');
  const nowMs = Date.now();
  const ends = { notBeforeMs: nowMs - 3_600_000, notAfterMs: nowMs + 365 * lifetimeMs };
  const certificate = await createRootCertificate(signer, { commonName: 'Bench CA', ...ends }, systemRandom);
  const urls = {
    crl: 'http://b/c.crl',
    deltaCrl: 'http://b/d.crl',
    ocsp: 'http://b/ocsp',
    issuer: 'http://b/c.cer',
  };
  const issuer = createTlsIssuer({ name: 'issuing-1', signer, certificate, urls }, systemRandom);
  const { caFingerprint } = issuer;
  const { store } = newSqliteStore(parent);
  const clock = systemClock;
  let lookUps = 0;
  const tlsCredential: Store['tlsCredential'] = (serial) => {
    lookUps += 1;
    return store.tlsCredential(serial);
  };
  const ocsp = new OcspResponder({ store: { ...store, tlsCredential }, clock, issuer, signer });
  const publisher = new CrlPublisher({
    store,
    clock,
    caFingerprint,
    issuer: { signer, subject: issuer.read.subject, deltaUrl: urls.deltaCrl },
    lifetimeMs,
    onRevoked: ocsp.learn,
  });
  progress(`issuing ${revokedCount + goodCount} certificates and revoking ${revokedCount}`);
  const serials = await issue(store, caFingerprint, revokedCount + goodCount);
  const [revoked, good] = [serials.slice(0, revokedCount), serials.slice(revokedCount)];
  const revoke = (some: readonly X509Serial[]): Promise<void> => revokeIn(store, some);
  for (let from = 0; from < revokedCount; from += 2000) await revoke(revoked.slice(from, from + 2000));
  const folder = mkdtempSync(join(parent, 'openssl-ca-'));
  writeFileSync(join(folder, 'ca.pem'), encodePem('CERTIFICATE', certificate));
  writeFileSync(join(folder, 'ca.key'), key.export({ format: 'pem', type: 'pkcs8' }));
  writeIndex(folder, revoked, good);
  return { store, signer, issuer, publisher, ocsp, revoked, good, folder, revoke, lookUps: () => lookUps };
}

async function issue(store: Store, caFingerprint: string, count: number): Promise<readonly X509Serial[]> {
  const now = BigInt(Math.floor(Date.now() / 1000));
  const serials: X509Serial[] = [];
  while (serials.length < count) {
    const some = Array.from(
      { length: Math.min(1000, count - serials.length) },
      () => `5${randomBytes(20).toString('hex').slice(1)}` as X509Serial,
    );
    await Promise.all(
      some.map((serial) =>
        store.commit({
          tls: {
            credential: {
              caFingerprint,
              serial,
              kind: 'tls-server',
              personId: parsePersonId('bench:boss'),
              login: 'boss',
              profile: 'server',
              commonName: 'server.example',
              names: ['dns:server.example'],
              keyType: 'ecdsa-p256',
              keyFingerprint: `SHA256:${'k'.repeat(43)}`,
              notBefore: now - 3600n,
              notAfter: now + 90n * 86_400n,
              issuedMs: Date.now(),
            },
          },
          entries: [],
        }),
      ),
    );
    serials.push(...some);
  }
  return serials;
}

async function revokeIn(store: Store, serials: readonly X509Serial[]): Promise<void> {
  await store.commit({
    tls: { revoke: { serials, atMs: Date.now(), reason: 'bench', code: 'unspecified' } },
    entries: [],
  });
}

/** The database of `openssl ca` (its manual, section FILES): status, end, revoked, serial, file, subject, with tabs between. */
function writeIndex(folder: string, revoked: readonly string[], good: readonly string[]): void {
  const time = (atMs: number): string =>
    `${new Date(atMs).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`;
  const [now, end] = [time(Date.now() - 60_000), time(Date.now() + 90 * lifetimeMs)];
  const line = (serial: string, at?: string): string =>
    `${at === undefined ? 'V' : 'R'}\t${end}\t${at ?? ''}\t${serial.toUpperCase()}\tunknown\t/CN=server.example`;
  const lines = [...revoked.map((serial) => line(serial, now)), ...good.map((serial) => line(serial))];
  writeFileSync(join(folder, 'index.txt'), `${lines.join('\n')}\n`);
  writeFileSync(join(folder, 'index.txt.attr'), 'unique_subject = no\n');
  writeFileSync(join(folder, 'crlnumber'), '01\n');
  mkdirSync(join(folder, 'new'));
  writeFileSync(
    join(folder, 'ca.cnf'),
    `[ca]
default_ca = own
[own]
database = ${folder}/index.txt
crlnumber = ${folder}/crlnumber
new_certs_dir = ${folder}/new
certificate = ${folder}/ca.pem
private_key = ${folder}/ca.key
default_md = sha256
default_crl_days = 1
crl_extensions = list
[list]
authorityKeyIdentifier = keyid
`,
  );
}
