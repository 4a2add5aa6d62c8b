import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { findPeer } from './peers.ts';
import { run, untilListening } from './slapd.ts';

/** Certificates and lists that a KDC and whoever logs on to it go by, as PEM files. */
export interface PkinitFiles {
  /** The KDC's own. */
  readonly certificate: string;
  readonly key: string;
  /** The root, and the authorities between it and the certificates. */
  readonly anchor: string;
  readonly between: readonly string[];
}

/** Asks a KDC for a ticket with a certificate. */
export interface Kinit {
  readonly principal: string;
  readonly certificate: string;
  readonly key: string;
}

export interface KinitAnswer {
  readonly code: number | null;
  /** Everything that `kinit` said. */
  readonly output: string;
  /** Whom the ticket names, as `klist` reads it; undefined without a ticket. */
  readonly principal: string | undefined;
}

export interface MitKdc {
  kinit(asked: Kinit): KinitAnswer;
  /** Starts it anew, with a list: MIT reads lists when it starts. */
  restart(listFile?: string): Promise<void>;
  /** What it logged. */
  log(): string;
  close(): Promise<void>;
}

/** krb5.conf of a client that looks nowhere else. */
export function clientConf(realm: string, kdc: string, files: PkinitFiles): string {
  const pool = files.between.map((file) => `  pkinit_pool = FILE:${file}\n`).join('');
  return `[libdefaults]
 default_realm = ${realm}
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
[realms]
 ${realm} = {
  kdc = ${kdc}
  pkinit_anchors = FILE:${files.anchor}
${pool} }
`;
}

/** Runs the real `kinit` in a folder of its own, and asks `klist` who it became. Never for a password. */
export function kinit(krb5Config: string, { principal, certificate, key }: Kinit): KinitAnswer {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-kinit-'));
  const env = { ...process.env, KRB5_CONFIG: krb5Config, KRB5CCNAME: `FILE:${join(folder, 'cc')}` };
  try {
    const identity = `X509_user_identity=FILE:${certificate},${key}`;
    // Standard input is at its end: a KDC that wants a password after all gets none.
    const asked = spawnSync('kinit', ['-X', identity, principal], {
      env,
      input: '',
      encoding: 'utf8',
      timeout: 20_000,
    });
    const listed = spawnSync('klist', [], { env, encoding: 'utf8' });
    return {
      code: asked.status,
      output: `${asked.stdout}${asked.stderr}`,
      principal: /^Default principal: (.+)$/m.exec(listed.stdout)?.[1],
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A real MIT KDC on a loopback port, with people whose passwords nobody knows: they come in with a certificate or not at all. */
export async function startMitKdc(
  realm: string,
  people: readonly string[],
  files: PkinitFiles,
): Promise<MitKdc> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-kdc-'));
  const at = (name: string): string => join(folder, name);
  const port = await freePort();
  const kdcConf = (listFile?: string): string => `[kdcdefaults]
 kdc_listen = 127.0.0.1:${port}
 kdc_tcp_listen = 127.0.0.1:${port}
[realms]
 ${realm} = {
  database_name = ${at('principal')}
  key_stash_file = ${at('stash')}
  acl_file = ${at('kadm5.acl')}
  pkinit_identity = FILE:${files.certificate},${files.key}
  pkinit_anchors = FILE:${files.anchor}
${files.between.map((file) => `  pkinit_pool = FILE:${file}\n`).join('')}${
    listFile === undefined ? '' : `  pkinit_revoke = FILE:${listFile}\n`
  } }
[logging]
 kdc = FILE:${at('kdc.log')}
`;
  writeFileSync(at('krb5.conf'), clientConf(realm, `127.0.0.1:${port}`, files));
  writeFileSync(at('kadm5.acl'), '');
  writeFileSync(at('kdc.conf'), kdcConf());
  const env = { KRB5_CONFIG: at('krb5.conf'), KRB5_KDC_PROFILE: at('kdc.conf') };
  run(findPeer('kdb5_util') ?? 'kdb5_util', ['create', '-s', '-r', realm, '-P', 'canary-kdb-2Hs9Lw'], {
    env,
  });
  const added = people.map((name) => `addprinc -randkey +requires_preauth ${name}\n`).join('');
  run(findPeer('kadmin.local') ?? 'kadmin.local', ['-r', realm], { env, input: added });

  let child: ChildProcess | undefined;
  const stop = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  };
  const start = async (): Promise<void> => {
    child = spawn(findPeer('krb5kdc') ?? 'krb5kdc', ['-n', '-r', realm, '-P', at('kdc.pid')], {
      env: { ...process.env, ...env },
      stdio: 'ignore',
    });
    await untilListening('127.0.0.1', port, child);
  };
  await start();
  return {
    kinit: (asked) => kinit(at('krb5.conf'), asked),
    async restart(listFile) {
      await stop();
      writeFileSync(at('kdc.conf'), kdcConf(listFile));
      await start();
    },
    log: () => readFileSync(at('kdc.log'), 'utf8'),
    async close() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
