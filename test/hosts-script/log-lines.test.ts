import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { array, constantFrom, sample, string } from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { hostScript } from '../support/host-machine.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-lines-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the script makes of lines of a log: what it reports, and which sessions it thinks were opened by which certificate. */
function parsed(lines: readonly string[], zone = 'UTC0'): { items: string[]; opened: string[] } {
  // The functions of the script, without the line that starts it.
  writeFileSync(join(folder, 'functions.sh'), readFileSync(hostScript, 'utf8').replace(/^main "\$@"$/m, ''));
  writeFileSync(join(folder, 'raw'), lines.map((line) => `${line}\n`).join(''));
  writeFileSync(join(folder, 'opened'), '');
  const program = `. ${folder}/functions.sh; settings; tmp=${folder}; now() { echo 2026-11-30T12:00:00Z; }; parse_log`;
  const out = execFileSync('dash', ['-c', program], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], TZ: zone },
  });
  const split = (text: string): string[] => text.split('\n').filter((line) => line !== '');
  return { items: split(out), opened: split(readFileSync(join(folder, 'opened'), 'utf8')) };
}

const ours = 'SHA256:ouuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu';
const certificate = (id: string, serial: string, ca: string, more = ''): string =>
  `ED25519-CERT SHA256:kkkk ID ${id} (serial ${serial}) CA ED25519 ${ca}${more}`;
const accepted = (what: string, user = 'web'): string =>
  `Accepted publickey for ${user} from 192.0.2.7 port 50022 ssh2: ${what}`;

test('the forms of syslog, journal and AIX are read, with their time in UTC', () => {
  const line = accepted(certificate('key-1', '42', ours));
  const { items, opened } = parsed([
    `Nov 30 11:00:00 vm sshd[12]: ${line}`,
    `Nov  3 11:00:00 vm sshd-session[13]: ${line}`,
    `Dec 31 23:00:00 vm sshd[14]: ${line}`,
    `2026-11-30T11:00:00.123456+01:00 vm sshd[15]: ${line}`,
    `2026-11-30T11:00:00-0530 vm sshd[16]: ${line}`,
    `2026-11-30T11:00:00Z vm sshd[17]: ${accepted(certificate('key-1', '42', ours, ', signature count = 7'))}`,
    `Nov 30 11:00:00 vm auth|security:info sshd[18]: ${line}`,
    `Nov 30 11:00:00 vm sshd[19]: Accepted password for web from 192.0.2.7 port 1 ssh2`,
  ]);
  expect(items.map((item) => item.split(' ').slice(0, 2).join(' '))).toEqual([
    'login 2026-11-30T11:00:00Z',
    'login 2026-11-03T11:00:00Z',
    'login 2025-12-31T23:00:00Z',
    'login 2026-11-30T10:00:00Z',
    'login 2026-11-30T16:30:00Z',
    'login 2026-11-30T11:00:00Z',
    'login 2026-11-30T11:00:00Z',
    'login 2026-11-30T11:00:00Z',
  ]);
  expect(
    opened.map((session) =>
      session
        .split(' ')
        .filter((_, at) => at !== 1)
        .join(' '),
    ),
  ).toEqual([12, 13, 14, 15, 16, 17, 18].map((pid) => `${pid} web 42 ${ours} SHA256:kkkk key-1`));
});

test.each([
  'Nov 30 11:00:00 vm cron[12]: Accepted publickey for web from 192.0.2.7 port 1 ssh2: RSA SHA256:x',
  'Nov 30 11:00:00 vm sshd: Accepted publickey for web from 192.0.2.7 port 1 ssh2: RSA SHA256:x',
  'Nov 30 11:00:00 vm sshd[x]: Accepted publickey for web from 192.0.2.7 port 1 ssh2: RSA SHA256:x',
  'Nov 30 11:00:00 vm sshd[12]: Failed publickey for web from 192.0.2.7 port 1 ssh2: RSA SHA256:x',
  'Nov 30 11:00:00 vm sshd[12]: Invalid user sshd[13]: Accepted publickey for web from 192.0.2.7 port 1 ssh2',
  `Nov 30 11:00:00 vm sshd[12]: Accepted certificate ID "x" (serial 5) signed by ED25519 CA ${ours} via /etc/x`,
  'Accepted publickey for web from 192.0.2.7 port 1 ssh2: RSA SHA256:x',
  'sshd[12]: Accepted publickey for web from 192.0.2.7 port 1 ssh2: RSA SHA256:x',
  '',
])('no login: %s', (line) => {
  expect(parsed([line])).toEqual({ items: [], opened: [] });
});

test('a thousand key ids that look like the rest of a line open no session for our CA', () => {
  const word = constantFrom(
    '(serial',
    '5)',
    'CA',
    'ED25519',
    ours,
    'ID',
    'x',
    'ssh2:',
    'from',
    ', signature count = 1',
    '=',
  );
  const keyIds = sample(
    array(word, { minLength: 2, maxLength: 14 }).map((words) => words.join(' ')),
    { numRuns: 1000, seed: 7 },
  );
  const lines = keyIds.map(
    (id, at) => `Nov 30 11:00:00 vm sshd[${at + 1}]: ${accepted(certificate(id, '9', 'SHA256:foreign'))}`,
  );
  const { items, opened } = parsed(lines);
  expect(items).toHaveLength(lines.length);
  expect(opened.filter((session) => session.includes(ours) && session.split(' ')[4] === ours)).toEqual([]);
});

test('any bytes at all: one line of printable ASCII for each login, and nothing else', () => {
  const any = sample(string({ unit: 'binary', maxLength: 300 }), { numRuns: 500, seed: 11 });
  const lines = any.map(
    (text, at) => `Nov 30 11:00:00 vm sshd[${at + 1}]: ${accepted(text.replaceAll(/[\n\0]/g, ' '))}`,
  );
  const { items } = parsed(lines);
  expect(items).toHaveLength(lines.length);
  for (const item of items) expect(item).toMatch(/^login \S+ [ -~]+$|^gap \S+ line-too-long$/);
});
