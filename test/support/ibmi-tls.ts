import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './slapd.ts';

/** A key with its certificate and everything that vouches for it below the root, as a server sends it. */
export interface Holder {
  readonly key: string;
  readonly certificate: string;
  /** Leaf and issuing authority. */
  readonly chain: string;
  readonly file: string;
}

export interface HolderOptions {
  /** subjectAltName as openssl reads it, e.g. `DNS:localhost,IP:127.0.0.1`. */
  readonly names: string;
  /** Days from today, the past negative. */
  readonly fromDay?: number;
  readonly toDay?: number;
  /** More lines of the extensions, e.g. where to ask about revocation. */
  readonly extensions?: readonly string[];
  readonly newKey?: string;
}

/** An authority of two storeys, made by openssl: what it issues, revokes and publishes owes nothing to our code. */
export interface TestAuthority {
  readonly root: string;
  readonly issuing: string;
  readonly rootFile: string;
  readonly issuingFile: string;
  /** Folder with `index.txt` for `openssl ocsp`. */
  readonly folder: string;
  issue(word: string, options: HolderOptions): Holder;
  revoke(word: string): void;
  /** The list of what is revoked, DER. */
  crl(): Buffer;
}

const dayMs = 86_400_000;
const opensslDate = (day: number): string =>
  new Date(Date.now() + day * dayMs).toISOString().replaceAll(/[-:T]|\.\d+/g, '');

export function makeTestAuthority(folder: string, name = 'test'): TestAuthority {
  mkdirSync(join(folder, 'new'), { recursive: true });
  const path = (file: string): string => join(folder, file);
  const openssl = (line: string): void => void run('openssl', line.split(' '), { cwd: folder });
  const read = (file: string): string => readFileSync(path(file), 'utf8');
  writeFileSync(path('index.txt'), '');
  writeFileSync(path('index.txt.attr'), 'unique_subject = no\n');
  writeFileSync(path('serial'), '1000\n');
  writeFileSync(path('crlnumber'), '01\n');
  writeFileSync(
    path('ca.cnf'),
    `[ca]\ndefault_ca=it\n[it]\ndir=${folder}\ndatabase=${path('index.txt')}\nserial=${path('serial')}\ncrlnumber=${path('crlnumber')}\nnew_certs_dir=${path('new')}\ncertificate=${path('issuing.crt')}\nprivate_key=${path('issuing.key')}\ndefault_md=sha256\npolicy=any\ndefault_crl_days=7\nunique_subject=no\n[any]\ncommonName=supplied\n`,
  );
  const ec = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes';
  const isCa = '-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign';
  openssl(`req -x509 ${ec} -keyout root.key -out root.crt -days 30 -subj /CN=${name}-root ${isCa}`);
  openssl(`req ${ec} -keyout issuing.key -out issuing.csr -subj /CN=${name}-issuing`);
  writeFileSync(
    path('issuing.cnf'),
    'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n',
  );
  openssl(
    'x509 -req -in issuing.csr -CA root.crt -CAkey root.key -CAcreateserial -days 30 -out issuing.crt -extfile issuing.cnf',
  );
  return {
    root: read('root.crt'),
    issuing: read('issuing.crt'),
    rootFile: path('root.crt'),
    issuingFile: path('issuing.crt'),
    folder,
    issue(word, { names, fromDay = -1, toDay = 90, extensions = [], newKey = ec }) {
      writeFileSync(
        path(`${word}.cnf`),
        ['basicConstraints=critical,CA:FALSE', `subjectAltName=${names}`, ...extensions, ''].join('\n'),
      );
      openssl(`req ${newKey} -keyout ${word}.key -out ${word}.csr -subj /CN=${word}`);
      openssl(
        `ca -batch -notext -config ca.cnf -in ${word}.csr -out ${word}.crt -extfile ${word}.cnf -startdate ${opensslDate(fromDay)} -enddate ${opensslDate(toDay)}`,
      );
      const certificate = read(`${word}.crt`);
      return {
        key: read(`${word}.key`),
        certificate,
        chain: certificate + read('issuing.crt'),
        file: path(`${word}.crt`),
      };
    },
    revoke: (word) => openssl(`ca -config ca.cnf -revoke ${word}.crt`),
    crl() {
      openssl('ca -config ca.cnf -gencrl -out list.pem');
      openssl('crl -in list.pem -outform DER -out list.crl');
      return readFileSync(path('list.crl'));
    },
  };
}
