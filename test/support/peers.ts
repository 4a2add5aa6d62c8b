import { existsSync, globSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe } from 'vitest';

/** Real programs that tests talk to, and the Debian package that brings each. */
const debianPackage = {
  ssh: 'openssh-client',
  'ssh-keygen': 'openssh-client',
  'ssh-agent': 'openssh-client',
  scp: 'openssh-client',
  sshd: 'openssh-server',
  slapd: 'slapd',
  ldapsearch: 'ldap-utils',
  samba: 'samba-ad-dc',
  openssl: 'openssl',
  script: 'bsdutils',
  git: 'git',
  rsync: 'rsync',
  postgres: 'postgresql',
  initdb: 'postgresql',
  psql: 'postgresql-client',
  pgbouncer: 'pgbouncer',
  python3: 'python3',
  keytool: 'default-jre-headless',
  javac: 'default-jdk-headless',
  rsyslogd: 'rsyslog',
  krb5kdc: 'krb5-kdc',
  kdb5_util: 'krb5-kdc',
  'kadmin.local': 'krb5-admin-server',
  kinit: 'krb5-user',
  'pkinit.so': 'krb5-pkinit',
  shellcheck: 'shellcheck',
  nginx: 'nginx',
  stunnel4: 'stunnel4',
  certtool: 'gnutls-bin',
  ksh93: 'ksh',
  mksh: 'mksh',
  curl: 'curl',
  unshare: 'util-linux',
  'lmnsd_ossl.so': 'rsyslog-openssl',
  'lmnsd_gtls.so': 'rsyslog-gnutls',
} as const;
export type Peer = keyof typeof debianPackage;

const folders = [
  ...(process.env['PATH'] ?? '').split(delimiter),
  '/usr/sbin',
  '/sbin',
  '/usr/local/sbin',
  // Debian keeps each version of the server apart.
  ...globSync('/usr/lib/postgresql/*/bin'),
  ...['x86_64', 'aarch64'].flatMap((machine) =>
    ['rsyslog', 'krb5/plugins/preauth'].map((folder) => `/usr/lib/${machine}-linux-gnu/${folder}`),
  ),
];

/** @returns the absolute path of a program, or undefined when it is not installed. */
export function findPeer(peer: Peer): string | undefined {
  return folders.map((folder) => join(folder, peer)).find((path) => existsSync(path));
}

/**
 * A suite that needs real programs: on a developer's machine it is skipped, with the missing program in its title; in CI
 * (`CI` is set) it runs and therefore fails. Suites that need root name `root` as well.
 */
export function describeWithPeers(peers: readonly (Peer | 'root')[], title: string, suite: () => void): void {
  const missing = peers.filter((peer) =>
    peer === 'root' ? process.getuid?.() !== 0 : findPeer(peer) === undefined,
  );
  if (missing.length === 0 || process.env['CI'] !== undefined) {
    describe(title, suite);
    return;
  }
  const wanted = missing
    .map((peer) => (peer === 'root' ? 'root' : `${peer} (${debianPackage[peer]})`))
    .join(', ');
  describe.skip(`${title} [needs ${wanted}]`, suite);
}
