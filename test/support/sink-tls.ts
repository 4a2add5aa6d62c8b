import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './slapd.ts';

/** Names of the certificates that `makeSinkTls` makes. */
export type Holder = 'server' | 'elsewhere' | 'expired' | 'client' | 'stranger';

export interface SinkTls {
  /** Of the authority of everybody but `stranger`, who has one of their own. */
  readonly caFile: string;
  readonly strangerCaFile: string;
  certificateFile(holder: Holder): string;
  keyFile(holder: Holder): string;
  pem(file: string): string;
}

const subjects: Readonly<Record<Holder, string>> = {
  server: 'IP:127.0.0.1,DNS:localhost',
  elsewhere: 'DNS:elsewhere.example.com',
  expired: 'IP:127.0.0.1,DNS:localhost',
  client: 'DNS:broker.example.com',
  stranger: 'IP:127.0.0.1,DNS:localhost',
};

/** An authority with certificates for both sides, and another authority; P-256, made by openssl. */
export function makeSinkTls(folder: string): SinkTls {
  mkdirSync(folder, { recursive: true });
  const newKey = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes';
  const isCa = '-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign';
  for (const ca of ['ca', 'stranger-ca'])
    run(
      'openssl',
      `req -x509 ${newKey} -keyout ${ca}.key -out ${ca}.crt -days 30 -subj /CN=${ca} ${isCa}`.split(' '),
      {
        cwd: folder,
      },
    );
  for (const [holder, names] of Object.entries(subjects)) {
    const ca = holder === 'stranger' ? 'stranger-ca' : 'ca';
    const days = holder === 'expired' ? -1 : 30;
    writeFileSync(join(folder, `${holder}.cnf`), `subjectAltName=${names}\n`);
    for (const command of [
      `req ${newKey} -keyout ${holder}.key -out ${holder}.csr -subj /CN=${holder}`,
      `x509 -req -in ${holder}.csr -CA ${ca}.crt -CAkey ${ca}.key -CAcreateserial -days ${days} -out ${holder}.crt -extfile ${holder}.cnf`,
    ])
      run('openssl', command.split(' '), { cwd: folder });
    chmodSync(join(folder, `${holder}.key`), 0o600);
  }
  return {
    caFile: join(folder, 'ca.crt'),
    strangerCaFile: join(folder, 'stranger-ca.crt'),
    certificateFile: (holder) => join(folder, `${holder}.crt`),
    keyFile: (holder) => join(folder, `${holder}.key`),
    pem: (file) => readFileSync(file, 'utf8'),
  };
}
