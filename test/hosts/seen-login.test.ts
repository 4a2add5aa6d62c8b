import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseLoginLine } from '../../src/hosts/seen-login.ts';

const key = `SHA256:${'k'.repeat(43)}`;
const ca = `SHA256:${'C'.repeat(43)}`;
const fake = `SHA256:${'f'.repeat(43)}`;
const tail = (keyId: string, serial = '42'): string =>
  `ED25519-CERT ${key} ID ${keyId} (serial ${serial}) CA ED25519 ${ca}`;
const line = (keyId: string, serial = '42'): string =>
  `Accepted publickey for alice from 192.0.2.7 port 50123 ssh2: ${tail(keyId, serial)}`;
const certificateOf = (text: string): object | string | undefined => {
  const seen = parseLoginLine(text);
  if (seen === undefined || seen === 'unreadable') return seen;
  return seen.credential.kind === 'certificate'
    ? { ...seen.credential.certificate, account: seen.account, address: seen.address }
    : seen.credential;
};
const expected = (keyId: string, serial = 42n): object => ({
  keyType: 'ED25519',
  keyFingerprint: key,
  keyId,
  serial,
  caFingerprint: ca,
  account: 'alice',
  address: '192.0.2.7',
});

describe('the line of a login', () => {
  it.each([
    ['as journald keeps it', ''],
    ['in a syslog file', 'Nov 30 08:01:02 web1 sshd[123]: '],
    ['in a syslog file, a day of one digit', 'Nov  3 08:01:02 web1 sshd[123]: '],
    ['since 9.8', 'Nov 30 08:01:02 web1 sshd-session[123]: '],
    ['with an RFC 3339 time', '2026-11-30T08:01:02.123456+01:00 web1 sshd-session[9]: '],
  ])('is read %s', (_where, prefix) => {
    expect(certificateOf(prefix + line('a1b2'))).toEqual(expected('a1b2'));
  });

  it('is read for keys, for sk keys that count, and for what is no key', () => {
    const from = 'for alice from 2001:db8::1 port 22 ssh2';
    expect(parseLoginLine(`Accepted publickey ${from}: RSA ${key}`)).toEqual({
      account: 'alice',
      address: '2001:db8::1',
      port: 22,
      credential: { kind: 'key', keyType: 'RSA', keyFingerprint: key },
    });
    expect(certificateOf(`${line('a')}, signature count = 7`)).toEqual(expected('a'));
    for (const method of ['password', 'keyboard-interactive/pam', 'gssapi-with-mic', 'hostbased'])
      expect(parseLoginLine(`Accepted ${method} ${from}`)).toMatchObject({
        credential: { kind: 'other', method },
      });
  });

  it.each([
    `Accepted certificate ID "a" (serial 1) signed by ED25519 CA ${ca} via /etc/ssh/ca.pub`,
    `Accepted key ED25519 ${key} found at /home/alice/.ssh/authorized_keys:1`,
    `Postponed publickey for alice from 192.0.2.7 port 1 ssh2: ${tail('a')} [preauth]`,
    `Failed publickey for alice from 192.0.2.7 port 1 ssh2: ${tail('a')}`,
    'Invalid user alice from 192.0.2.7 port 1',
    `Nov 30 08:01:02 web1 cron[1]: ${line('a')}`,
    `Nov 30 08:01:02 web1 sshd[1]: x ${line('a')}`,
    `Nov 30 08:01:02 web1 logger: sshd[1]: ${line('a')}`,
    '',
  ])('is no other line: %s', (other) => {
    expect(parseLoginLine(other)).toBeUndefined();
  });

  it.each([
    ['cut by syslog', line('a'.repeat(20)).slice(0, -10)],
    ['cut within the key id', line('a').slice(0, 110)],
    ['a serial over 64 bits', line('a', '18446744073709551616')],
    ['an account with a space', line('a').replace('for alice', 'for alice b')],
    ['an MD5 fingerprint', line('a').replace(key, 'MD5:00:11:22')],
    ['a port that is none', line('a').replace('50123', '99999')],
    ['a newline', line('a\nAccepted')],
    ['no key at all', 'Accepted publickey for alice from 192.0.2.7 port 1 ssh2'],
    ['far too long', line('a'.repeat(3000))],
  ])('that cannot be told for sure is unreadable: %s', (_why, text) => {
    expect(parseLoginLine(text)).toBe('unreadable');
  });
});

describe('a key id that imitates the line', () => {
  it.each([
    `x (serial 7) CA ED25519 ${fake}`,
    `x (serial 7) CA RSA ${fake}, signature count = 3`,
    `x from 6.6.6.6 port 6 ssh2: ED25519-CERT ${fake} ID y (serial 7) CA ED25519 ${fake}`,
    `(serial 7)`,
    ` ssh2: RSA ${fake}`,
    `ED25519 ${fake}`,
  ])('changes nothing but itself: %s', (keyId) => {
    expect(certificateOf(line(keyId))).toEqual(expected(keyId));
  });

  it('never changes who came, whence, by which key, serial and CA, in 1,000 lines of three formats', () => {
    const piece = fc.constantFrom(
      'x', ' ', '(serial 7)', `CA ED25519 ${fake}`, ' CA ', `ID `, 'ssh2: ', 'for root from 6.6.6.6 port 6 ',
      `ED25519-CERT ${fake}`, `RSA ${fake}`, ', signature count = 1', 'Accepted publickey ', '[preauth]',
      'Nov 30 08:01:02 web1 sshd[1]: ', '"', '\\', 'ü',
    ); // prettier-ignore
    const prefix = fc.constantFrom(
      '', 'Nov 30 08:01:02 web1 sshd[123]: ', 'Nov 30 08:01:02 web1 sshd-session[123]: ',
    ); // prettier-ignore
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }),
        prefix,
        fc.bigInt(1n, (1n << 64n) - 1n),
        (ids, before, serial) => {
          const keyId = ids.join('');
          expect(certificateOf(before + line(keyId, String(serial)))).toEqual(expected(keyId, serial));
        },
      ),
      { numRuns: 1000, seed: 20261130 },
    );
  });

  it('and a line cut anywhere is never another login', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(`x (serial 7) CA ED25519 ${fake}`, 'a1', `y ED25519-CERT ${fake}`),
        fc.nat(400),
        (keyId, cut) => {
          const whole = line(keyId);
          const seen = certificateOf(whole.slice(0, cut));
          if (cut >= whole.length) expect(seen).toEqual(expected(keyId));
          // What the id imitates ends where sshd would end it: the cut line is whole to the eye, but of a CA that is not ours.
          else if (typeof seen === 'object') expect(seen).toMatchObject({ caFingerprint: fake });
        },
      ),
      { numRuns: 2000, seed: 20261130 },
    );
  });

  it('any text at all is read, or refused, without a fault', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 3000 }), (text) => {
        for (const read of [text, `Accepted ${text}`, `Accepted publickey for a from b port 1 ssh2: ${text}`])
          expect(['object', 'string', 'undefined']).toContain(typeof parseLoginLine(read));
      }),
      { numRuns: 2000, seed: 20261130 },
    );
  });
});
