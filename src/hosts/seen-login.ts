/** The certificate that sshd names in the line of a login. */
export interface SeenCertificate {
  /** `ED25519`, `ECDSA`, `RSA`, `ED25519-SK`, … as sshd prints it, without `-CERT`. */
  readonly keyType: string;
  /** `SHA256:…` of the plain key that was certified. */
  readonly keyFingerprint: string;
  /** As it stands in the certificate: whatever its CA wrote. */
  readonly keyId: string;
  readonly serial: bigint;
  readonly caFingerprint: string;
}

/** How somebody came in. */
export type SeenCredential =
  | { readonly kind: 'certificate'; readonly certificate: SeenCertificate }
  | { readonly kind: 'key'; readonly keyType: string; readonly keyFingerprint: string }
  /** `password`, `keyboard-interactive/pam`, `gssapi-with-mic`, `hostbased`, … */
  | { readonly kind: 'other'; readonly method: string };

/** One login that sshd let in, from the one line that it writes after the proof. */
export interface SeenLogin {
  readonly account: string;
  /** As sshd prints it: an IP address, or `UNKNOWN`. */
  readonly address: string;
  readonly port: number;
  readonly credential: SeenCredential;
}

/** Syslog cuts at 1 KiB or later; sshd never writes as much. */
export const maxLoginLineChars = 2048;

// What a syslog file has in front: time (traditional or RFC 3339), host, and the tag of sshd itself. The session process has its own
// name since 9.8; no other program may speak for them.
const syslogPrefix =
  /^(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.+Z-]{1,32}) [^\s]{1,255} (?:sshd|sshd-session)\[\d{1,10}\]: /;
// An account has no space, so the first “ from ” is the true one: what a key id imitates comes later.
const accepted = /^Accepted (\S{1,64}) for (\S{1,128}) from (\S{1,64}) port (\d{1,5}) ssh2(?:: (.+))?$/;
const fingerprintGrammar = 'SHA256:[A-Za-z0-9+/]{43}';
// The id is greedy and the end is anchored: of several “(serial N) CA …”, sshd wrote the last one, and the id imitates the others.
const certificateTail = new RegExp(
  `^([A-Z0-9-]{1,32})-CERT (${fingerprintGrammar}) ID (.*) \\(serial (\\d{1,20})\\) CA [A-Z0-9-]{1,32} (${fingerprintGrammar})(?:, signature count = \\d{1,10})?$`,
);
const keyTail = new RegExp(`^([A-Z0-9-]{1,32}) (${fingerprintGrammar})(?:, signature count = \\d{1,10})?$`);

/**
 * Reads the line by which sshd (8.0 to 10.x, LogLevel INFO and up) says that it let somebody in: the bare message as journald keeps
 * it, or a whole line of a syslog file. A key id is printed unquoted and may imitate every part of the line, so the line is read from
 * both ends and the id is what is left.
 * @returns undefined for every other line; also for `Accepted certificate ID …`, which sshd writes before any proof; `unreadable` for
 *   an `Accepted … for` line that was cut, or is of a shape that cannot be told apart: it is a gap, never a guess
 * @see OpenSSH auth.c auth_log
 */
export function parseLoginLine(line: string): SeenLogin | 'unreadable' | undefined {
  const message = line.replace(syslogPrefix, '');
  if (!message.startsWith('Accepted ') || /^Accepted (?:certificate ID|key) /.test(message)) return undefined;
  if (line.length > maxLoginLineChars || /[\p{Cc}]/u.test(line)) return 'unreadable';
  const parts = accepted.exec(message);
  if (parts === null) return 'unreadable';
  const [, method = '', account = '', address = '', portText = '', tail] = parts;
  const port = Number(portText);
  const credential = readCredential(method, tail);
  if (credential === undefined || port > 65_535) return 'unreadable';
  return { account, address, port, credential };
}

function readCredential(method: string, tail: string | undefined): SeenCredential | undefined {
  if (method !== 'publickey' && method !== 'hostbased') return { kind: 'other', method };
  // Host-based logins name the key of a host: nobody's credential of ours.
  if (method === 'hostbased') return { kind: 'other', method };
  if (tail === undefined) return undefined;
  const certificate = certificateTail.exec(tail);
  if (certificate !== null) {
    const [, keyType = '', keyFingerprint = '', keyId = '', serial = '', caFingerprint = ''] = certificate;
    if (BigInt(serial) >= 1n << 64n) return undefined;
    const seen = { keyType, keyFingerprint, keyId, serial: BigInt(serial), caFingerprint };
    return { kind: 'certificate', certificate: seen };
  }
  const key = keyTail.exec(tail);
  if (key === null || key[1]?.endsWith('-CERT') === true) return undefined;
  return { kind: 'key', keyType: key[1] ?? '', keyFingerprint: key[2] ?? '' };
}
