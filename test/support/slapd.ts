import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './free-port.ts';
import { handOut } from './handed-out.ts';
import { findPeer } from './peers.ts';

/** A real OpenLDAP server on loopback with TLS, ppolicy and memberOf, in a folder of its own. */
export interface Slapd {
  readonly ldapUrl: string;
  readonly ldapsUrl: string;
  readonly caPem: string;
  /** Authority that has signed nothing of this server. */
  readonly strangerCaPem: string;
  readonly suffix: string;
  readonly service: { readonly dn: string; readonly password: string };
  readonly root: { readonly dn: string; readonly password: string };
  /** Applies LDIF with change records as the root DN, relaxed rules included. */
  modify(ldif: string): void;
  /** Stops it; `start` goes on with the same data and ports. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Stops answering without closing a connection, and goes on. */
  freeze(): void;
  thaw(): void;
  /** Stops it for good and removes its folder. */
  close(): Promise<void>;
}

const suffix = 'dc=test,dc=example';
const modules = '/usr/lib/ldap';
const schema = '/etc/ldap/schema';

/** Runs a program to its end. @throws Error with its own words when it fails */
export function run(
  program: string,
  args: readonly string[],
  options: { readonly input?: string; readonly env?: NodeJS.ProcessEnv; readonly cwd?: string } = {},
): string {
  const result = spawnSync(program, args, {
    encoding: 'utf8',
    ...options,
    env: { ...process.env, ...options.env },
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.error) throw result.error;
  if (result.status !== 0)
    throw new Error(
      `${program} ${args[0] ?? ''} ended with ${result.status}: ${result.stderr} ${result.stdout.slice(0, 500)}`,
    );
  return result.stdout;
}

/** Makes `ca.crt`, `server.key` and `server.crt` in the folder, P-256, with the subject alternative names given. */
export function makeTls(folder: string, subjectAltName: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'san.cnf'), `subjectAltName=${subjectAltName}\nextendedKeyUsage=serverAuth\n`);
  const key = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes';
  const isCa = '-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign';
  for (const command of [
    `req -x509 ${key} -keyout ca.key -out ca.crt -days 30 -subj /CN=TestDirectoryCA ${isCa}`,
    `req ${key} -keyout server.key -out server.csr -subj /CN=directory`,
    'x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out server.crt -extfile san.cnf',
  ])
    run('openssl', command.split(' '), { cwd: folder });
  chmodSync(join(folder, 'server.key'), 0o600);
}

/** Resolves when a TCP connection succeeds. @throws Error when the process ended or 30 s went by */
export async function untilListening(host: string, port: number, child: ChildProcess): Promise<void> {
  for (const endMs = Date.now() + 30_000; Date.now() < endMs; await delay(20)) {
    if (child.exitCode !== null)
      throw new Error(`the server ended with ${child.exitCode} before it listened`);
    const socket = connect(port, host);
    try {
      await once(socket, 'connect');
      return;
    } catch {
      // Not listening yet: ask again.
    } finally {
      socket.destroy();
    }
  }
  throw new Error(`nothing listens on ${host}:${port}`);
}

export interface SlapdOptions {
  /** Whether it tells of changes (RFC 4533): the overlay syncprov. */
  readonly tellsChanges?: boolean;
}

/** Starts slapd with the entries of `ldif` (below `dc=test,dc=example`, whose own entry and `cn=svc` are there already). */
export async function startSlapd(ldif: string, options: SlapdOptions = {}): Promise<Slapd> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-slapd-'));
  const at = (name: string): string => join(folder, name);
  const [port, tlsPort] = [await freePort(), await freePort()];
  makeTls(at('tls'), 'IP:127.0.0.1');
  makeTls(at('stranger'), 'IP:127.0.0.1');
  for (const name of ['slapd.d', 'db']) mkdirSync(at(name));
  writeFileSync(at('config.ldif'), configLdif(folder, options));
  writeFileSync(at('data.ldif'), `${baseLdif}\n${ldif}`);
  const slapd = findPeer('slapd') ?? 'slapd';
  const slapadd = slapd.replace(/slapd$/, 'slapadd');
  run(slapadd, ['-F', at('slapd.d'), '-n0', '-l', at('config.ldif')]);
  run(slapadd, ['-F', at('slapd.d'), '-n1', '-w', '-l', at('data.ldif')]);

  let child: ChildProcess | undefined;
  const service = { dn: `cn=svc,${suffix}`, password: 'canary-svc-4Tn7Xq' };
  const root = { dn: `cn=admin,${suffix}`, password: 'canary-root-6Wd2Jq' };
  for (const { dn, password } of [service, root]) handOut(`password of ${dn}`, password);
  const start = async (): Promise<void> => {
    const urls = `ldap://127.0.0.1:${port} ldaps://127.0.0.1:${tlsPort}`;
    child = spawn(slapd, ['-h', urls, '-F', at('slapd.d'), '-d', '0'], { stdio: 'ignore' });
    await untilListening('127.0.0.1', tlsPort, child);
  };
  const stop = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill('SIGTERM');
    await ended;
  };
  await start();
  return {
    ldapUrl: `ldap://127.0.0.1:${port}`,
    ldapsUrl: `ldaps://127.0.0.1:${tlsPort}`,
    caPem: readFileSync(at('tls/ca.crt'), 'utf8'),
    strangerCaPem: readFileSync(at('stranger/ca.crt'), 'utf8'),
    suffix,
    service,
    root,
    modify: (changes) => {
      run(
        'ldapmodify',
        ['-x', '-H', `ldaps://127.0.0.1:${tlsPort}`, '-D', root.dn, '-w', root.password, '-e', 'relax'],
        {
          input: changes,
          env: { LDAPTLS_CACERT: at('tls/ca.crt') },
        },
      );
    },
    start,
    stop,
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    close: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const baseLdif = `dn: ${suffix}
objectClass: dcObject
objectClass: organization
dc: test
o: test

dn: cn=svc,${suffix}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: svc
userPassword: canary-svc-4Tn7Xq

dn: cn=blind,${suffix}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: blind
userPassword: canary-blind-8Fk3Pz

dn: ou=policies,${suffix}
objectClass: organizationalUnit
ou: policies

dn: cn=default,ou=policies,${suffix}
objectClass: organizationalRole
objectClass: pwdPolicy
cn: default
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: 3
pwdLockoutDuration: 3600
pwdMustChange: TRUE
pwdMaxAge: 7776000
pwdGraceAuthNLimit: 0
`;

function configLdif(folder: string, { tellsChanges = false }: SlapdOptions): string {
  return `dn: cn=config
objectClass: olcGlobal
cn: config
olcPidFile: ${folder}/slapd.pid
olcTLSCACertificateFile: ${folder}/tls/ca.crt
olcTLSCertificateFile: ${folder}/tls/server.crt
olcTLSCertificateKeyFile: ${folder}/tls/server.key
olcTLSProtocolMin: 3.3
olcThreads: 4

dn: cn=module,cn=config
objectClass: olcModuleList
cn: module
olcModulePath: ${modules}
olcModuleLoad: back_mdb
olcModuleLoad: ppolicy
${tellsChanges ? 'olcModuleLoad: syncprov\n' : ''}
dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

include: file://${schema}/core.ldif
include: file://${schema}/cosine.ldif
include: file://${schema}/nis.ldif
include: file://${schema}/inetorgperson.ldif

dn: olcDatabase={-1}frontend,cn=config
objectClass: olcDatabaseConfig
objectClass: olcFrontendConfig
olcDatabase: {-1}frontend
olcAccess: to dn.base="" by * read
olcAccess: to dn.base="cn=subschema" by * read

dn: olcDatabase={1}mdb,cn=config
objectClass: olcDatabaseConfig
objectClass: olcMdbConfig
olcDatabase: {1}mdb
olcDbDirectory: ${folder}/db
olcDbMaxSize: 1073741824
olcDbNoSync: TRUE
olcSuffix: ${suffix}
olcRootDN: cn=admin,${suffix}
olcRootPW: canary-root-6Wd2Jq
olcDbIndex: objectClass,entryUUID eq
olcDbIndex: uid,cn,mail,member,uniqueMember,memberUid eq
olcAccess: to attrs=userPassword by self write by anonymous auth by * none
olcAccess: to * by dn="cn=svc,${suffix}" read by self read by * none

dn: olcOverlay=ppolicy,olcDatabase={1}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcPPolicyConfig
olcOverlay: ppolicy
olcPPolicyDefault: cn=default,ou=policies,${suffix}
olcPPolicyUseLockout: TRUE
${tellsChanges ? `\ndn: olcOverlay=syncprov,olcDatabase={1}mdb,cn=config\nobjectClass: olcOverlayConfig\nobjectClass: olcSyncProvConfig\nolcOverlay: syncprov\n` : ''}`;
}
