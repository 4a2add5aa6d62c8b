// `npm test`: installs what is missing, checks the tree, runs every test, and closes with the one line CI understands.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { installDependencies, pinnedNode, root } from './setup.mjs';

installDependencies();
installPeers();

const node = pinnedNode();
const folder = mkdtempSync(join(tmpdir(), 'sallyport-test-'));
const countsFile = join(folder, 'counts.json');
const filters = process.argv.slice(2);
const checks = filters.length > 0 ? [] : [['typecheck'], ['lint'], ['format:check']];
const counts = { passed: 0, failed: 0, skipped: 0 };

for (const [script] of checks) {
  const run = spawnSync('npm', ['run', '--silent', script], { cwd: root, stdio: 'inherit' });
  if (run.status === 0) counts.passed += 1;
  else counts.failed += 1;
  process.stdout.write(`${run.status === 0 ? 'ok' : 'FAILED'}: npm run ${script}\n`);
}

const vitest = spawnSync(node, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...filters], {
  cwd: root,
  stdio: ['ignore', 'inherit', 'inherit'],
  env: {
    ...process.env,
    SALLYPORT_TEST_COUNTS: countsFile,
    ...(process.env.CI === undefined ? {} : { NO_COLOR: '1', FORCE_COLOR: '0' }),
    PATH: `${join(root, 'node_modules/.bin')}${delimiter}${process.env.PATH}`,
  },
});
if (existsSync(countsFile)) {
  const ran = JSON.parse(readFileSync(countsFile, 'utf8'));
  for (const key of Object.keys(counts)) counts[key] += ran[key];
}
// A run that failed without a counted failure (a crash, no test file found) must not read as a success.
if (vitest.status !== 0 && counts.failed === 0) counts.failed += 1;
rmSync(folder, { recursive: true, force: true });
process.stdout.write(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
process.exitCode = counts.failed === 0 ? 0 : 1;

/** As root on Debian, installs the real servers that the tests talk to; elsewhere says what is missing. */
function installPeers() {
  const wanted = {
    'openssh-server': '/usr/sbin/sshd',
    'openssh-client': '/usr/bin/ssh-keygen',
    slapd: '/usr/sbin/slapd',
    'ldap-utils': '/usr/bin/ldapsearch',
    'samba-ad-dc': '/usr/sbin/samba',
    'samba-ad-provision': '/usr/share/samba/setup/provision.ldif',
    'samba-dsdb-modules': '/usr/lib/x86_64-linux-gnu/samba/ldb/samba_dsdb.so',
    winbind: '/usr/sbin/winbindd',
    'ldb-tools': '/usr/bin/ldbmodify',
    'krb5-kdc': '/usr/sbin/krb5kdc',
    'krb5-admin-server': '/usr/sbin/kadmin.local',
    'krb5-user': '/usr/bin/kinit',
    'krb5-pkinit': '/usr/lib/x86_64-linux-gnu/krb5/plugins/preauth/pkinit.so',
    openssl: '/usr/bin/openssl',
    shellcheck: '/usr/bin/shellcheck',
    nginx: '/usr/sbin/nginx',
    stunnel4: '/usr/bin/stunnel4',
    'gnutls-bin': '/usr/bin/certtool',
    ksh: '/usr/bin/ksh93',
    mksh: '/usr/bin/mksh',
    postgresql: '/usr/lib/postgresql',
    'postgresql-client': '/usr/bin/psql',
    pgbouncer: '/usr/sbin/pgbouncer',
    curl: '/usr/bin/curl',
    git: '/usr/bin/git',
    rsync: '/usr/bin/rsync',
    rsyslog: '/usr/sbin/rsyslogd',
    'rsyslog-openssl': '/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_ossl.so',
    python3: '/usr/bin/python3',
    'rsyslog-gnutls': '/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so',
  };
  const multiarch = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[process.arch] ?? process.arch;
  const missing = Object.entries(wanted)
    .filter(([, path]) => !existsSync(path.replace('x86_64-linux-gnu', multiarch)))
    .map(([name]) => name);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    process.stderr.write(
      `Missing programs, their tests are skipped (they fail in CI). Debian packages: ${missing.join(' ')}\n`,
    );
    return;
  }
  process.stderr.write(`Installing Debian packages for the tests: ${missing.join(' ')}\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const apt = (...args) =>
    spawnSync('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Use-Pty=0', ...args], {
      env,
      stdio: ['ignore', 'ignore', 2],
    });
  apt('update');
  const startNothing = keepServicesDown();
  const installed = apt('install', '-y', '--no-install-recommends', ...missing);
  startNothing.lift();
  if (installed.status !== 0)
    process.stderr.write('apt-get could not install them; the tests that need them will say so.\n');
}

/** The tests start servers of their own, in folders of their own: Debian asks this file before it starts any at installation. */
function keepServicesDown() {
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) return { lift: () => undefined };
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  return { lift: () => rmSync(policy, { force: true }) };
}
