import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { handOut } from './handed-out.ts';
import { clientConf, type PkinitFiles } from './mit-kdc.ts';
import { findPeer } from './peers.ts';
import { makeTls, run, untilListening } from './slapd.ts';

/** A real Samba Active Directory domain controller on a loopback address of its own, with TLS and DNS. */
export interface Samba {
  readonly address: string;
  readonly ldapsUrl: string;
  readonly ldapUrl: string;
  readonly caPem: string;
  /** Authority that has signed nothing of this server. */
  readonly strangerCaPem: string;
  readonly domain: string;
  readonly netbiosName: string;
  readonly baseDn: string;
  readonly service: { readonly dn: string; readonly password: string };
  /** Applies LDIF with change records as the administrator. */
  modify(ldif: string): void;
  /** Starts it anew as a KDC that takes certificates. @returns the configuration of clients */
  serveKdc(files: PkinitFiles): Promise<string>;
  /** Stops it for good and removes its folder. */
  close(): Promise<void>;
}

const domain = 'ad.test.example';
const baseDn = 'DC=ad,DC=test,DC=example';
const administratorPassword = 'Adm1n-Passw0rd';
const provisionedAddress = '127.11.0.1';

/** `unicodePwd` takes the quoted password as UTF-16, in base64. */
export function unicodePwd(password: string): string {
  return Buffer.from(`"${password}"`, 'utf16le').toString('base64');
}

/** Milliseconds since 1970 as the 100 ns ticks since 1601 that the directory stores. */
export function filetime(timeMs: number): string {
  return ((BigInt(timeMs) + 11_644_473_600_000n) * 10_000n).toString();
}

/** `dn:: …`: any DN, whatever characters it has. */
export function dnLine(dn: string): string {
  return `dn:: ${Buffer.from(dn, 'utf8').toString('base64')}`;
}

/**
 * Starts a domain controller whose data are `seed`: LDIF that the administrator adds, then LDIF that is written straight into
 * the database (what the protocol does not let anyone set), then one wrong password three times for each name in `lockOut`.
 * Provisioning and seeding take several seconds, so the result is kept in the folder for temporary files, under a name made
 * from the seed.
 */
export async function startSamba(seed: SambaSeed): Promise<Samba> {
  const version = createHash('sha256')
    .update(JSON.stringify([seed, 3]))
    .digest('hex')
    .slice(0, 16);
  // Passwords in it expire after 42 days, so none is kept into the next month.
  const month = new Date().toISOString().slice(0, 7);
  const template = join(tmpdir(), `sallyport-samba-${month}-${version}.tgz`);
  if (!existsSync(template)) await makeTemplate(template, seed);
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-samba-'));
  run('tar', ['-xzf', template, '-C', folder]);
  const service = { dn: `svc@${domain}`, password: 'Pw-svc-12345' };
  handOut('password of svc', service.password);
  handOut('password of administrator', administratorPassword);
  const address = ownAddress();
  makeTls(join(folder, 'stranger'), `IP:${address}`);
  let child = await launch(folder, address).catch((error: unknown) => {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  });
  return {
    address,
    ldapsUrl: `ldaps://${address}`,
    ldapUrl: `ldap://${address}`,
    caPem: readFileSync(join(folder, 'tls/ca.crt'), 'utf8'),
    strangerCaPem: readFileSync(join(folder, 'stranger/ca.crt'), 'utf8'),
    domain,
    netbiosName: 'ADTEST',
    baseDn,
    service,
    modify: (ldif) => modify(folder, address, ldif),
    serveKdc: async (files) => {
      await end(child);
      child = await launch(folder, address, files);
      const krb5Config = join(folder, 'etc/client.conf');
      writeFileSync(krb5Config, clientConf(domain.toUpperCase(), address, files));
      return krb5Config;
    },
    close: async () => {
      await end(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface SambaSeed {
  readonly ldif: string;
  readonly offlineLdif: string;
  readonly lockOut: readonly string[];
}

/** Samba's ports are fixed, so each controller gets an address: one for each test process, which starts one at a time. */
function ownAddress(): string {
  return `127.${64 + ((process.pid >> 16) & 63)}.${(process.pid >> 8) & 255}.${process.pid & 255}`;
}

async function makeTemplate(template: string, seed: SambaSeed): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-samba-seed-'));
  try {
    const options = `--realm=${domain.toUpperCase()} --domain=ADTEST --server-role=dc --dns-backend=SAMBA_INTERNAL --host-name=dc1`;
    const secret = `--adminpass=${administratorPassword} --host-ip=${provisionedAddress} --targetdir=${folder}`;
    run('samba-tool', `domain provision -s /dev/null ${options} ${secret}`.split(' '));
    const address = ownAddress();
    const child = await launch(folder, address);
    try {
      modify(folder, address, seed.ldif);
      for (const name of seed.lockOut) {
        for (let attempt = 0; attempt < 3; attempt += 1) bindWrongly(folder, address, name);
      }
    } finally {
      await end(child);
    }
    run(
      'ldbmodify',
      ['-H', join(folder, 'private/sam.ldb'), '--controls=local_oid:1.3.6.1.4.1.7165.4.3.12:0'],
      {
        input: seed.offlineLdif,
        env: ldbEnv(),
      },
    );
    const unfinished = `${template}.${randomUUID()}`;
    run('tar', ['-czf', unfinished, '--exclude=./samba.log', '--exclude=./run', '-C', folder, '.']);
    renameSync(unfinished, template);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function ldbEnv(): NodeJS.ProcessEnv {
  const multiarch = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[process.arch as 'x64' | 'arm64'];
  return { LDB_MODULES_PATH: `/usr/lib/${multiarch}/samba/ldb` };
}

async function launch(folder: string, address: string, kdc?: PkinitFiles): Promise<ChildProcess> {
  for (const name of ['run/ncalrpc', 'run/winbindd', 'run/ntp', 'etc'])
    mkdirSync(join(folder, name), { recursive: true });
  if (kdc === undefined) makeTls(join(folder, 'tls'), `DNS:dc1.${domain},IP:${address}`);
  const configFile = join(folder, 'etc/smb.conf');
  writeFileSync(configFile, smbConf(folder, address, kdc === undefined ? 'ldap dns cldap' : 'ldap kdc'));
  const krb5ConfigFile = join(folder, 'etc/krb5.conf');
  writeFileSync(
    krb5ConfigFile,
    `[libdefaults]\n default_realm = ${domain.toUpperCase()}\n dns_lookup_kdc = false\n${kdc === undefined ? '' : kdcConf(kdc)}`,
  );
  announce(folder, address);
  const logFile = join(folder, 'samba.out');
  const log = openSync(logFile, 'w');
  const child = spawn(
    findPeer('samba') ?? 'samba',
    // It ends by itself, should this process be killed before it can end it.
    [
      '-F',
      '--no-process-group',
      '-M',
      'single',
      '-s',
      configFile,
      '--debug-stdout',
      '-d',
      '0',
      '--maximum-runtime=900',
    ],
    { stdio: ['ignore', log, log], env: { ...process.env, KRB5_CONFIG: krb5ConfigFile } },
  );
  closeSync(log);
  try {
    await untilListening(address, 636, child);
    if (kdc !== undefined) await untilListening(address, 88, child);
    return child;
  } catch (error) {
    await end(child);
    // Most likely another program listens on port 389, 636 or 53 of every address.
    throw new Error(`Samba does not start: ${readFileSync(logFile, 'utf8').slice(-2_000)}`, { cause: error });
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

/** Puts the address into DNS: an A record for the controller ([MS-DNSP] section 2.3.2.2), with a lifetime of 900 s. */
function announce(folder: string, address: string): void {
  const bytes = Buffer.concat([
    Buffer.from([4, 0, 1, 0, 5, 0xf0, 0, 0]),
    Buffer.from([1, 0, 0, 0]),
    Buffer.from([0, 0, 3, 0x84]),
    Buffer.alloc(8),
    Buffer.from(address.split('.').map(Number)),
  ]);
  run(
    'ldbmodify',
    ['-H', join(folder, 'private/sam.ldb'), '--controls=local_oid:1.3.6.1.4.1.7165.4.3.12:0'],
    {
      input: `dn: DC=dc1,DC=${domain},CN=MicrosoftDNS,DC=DomainDnsZones,${baseDn}
changetype: modify
replace: dnsRecord
dnsRecord:: ${bytes.toString('base64')}
`,
      env: ldbEnv(),
    },
  );
}

function modify(folder: string, address: string, ldif: string): void {
  const administrator = ['-D', `administrator@${domain}`, '-w', administratorPassword];
  run('ldapmodify', ['-x', '-H', `ldaps://${address}`, ...administrator], {
    input: ldif,
    env: { LDAPTLS_CACERT: join(folder, 'tls/ca.crt') },
  });
}

function bindWrongly(folder: string, address: string, name: string): void {
  try {
    run('ldapwhoami', ['-x', '-H', `ldaps://${address}`, '-D', `${name}@${domain}`, '-w', 'wrong'], {
      env: { LDAPTLS_CACERT: join(folder, 'tls/ca.crt') },
    });
  } catch {
    return; // As it should be.
  }
  throw new Error('a wrong password was accepted');
}

/** Heimdal's part of Samba reads these (krb5.conf(5) of Heimdal); its chains are pools of PEM files. */
function kdcConf(files: PkinitFiles): string {
  return `[kdc]
 enable-pkinit = yes
 pkinit_identity = FILE:${files.certificate},${files.key}
 pkinit_anchors = FILE:${files.anchor}
${files.between.map((file) => ` pkinit_pool = FILE:${file}\n`).join('')} pkinit_principal_in_certificate = yes
`;
}

function smbConf(folder: string, address: string, services: string): string {
  return `[global]
 netbios name = DC1
 realm = ${domain.toUpperCase()}
 workgroup = ADTEST
 server role = active directory domain controller
 server services = ${services}
 interfaces = ${address}/8
 bind interfaces only = yes
 private dir = ${folder}/private
 state directory = ${folder}/state
 cache directory = ${folder}/cache
 lock directory = ${folder}
 binddns dir = ${folder}/bind-dns
 pid directory = ${folder}/run
 ncalrpc dir = ${folder}/run/ncalrpc
 winbindd socket directory = ${folder}/run/winbindd
 ntp signd socket directory = ${folder}/run/ntp
 log file = ${folder}/samba.log
 usershare path =
 tls keyfile = ${folder}/tls/server.key
 tls certfile = ${folder}/tls/server.crt
 tls cafile = ${folder}/tls/ca.crt
 disable netbios = yes
`;
}
