import { printable } from '../kernel/index.ts';
import type { SshBlob } from '../kernel/index.ts';
import { findKeyType } from './key-types.ts';
import { krlLimit, krlMagic, krlSection, krlSubsection } from './krl.ts';
import type { Krl, KrlCertificates } from './krl.ts';
import { badValue, tooLarge } from './krl-errors.ts';
import { normalRuns, serialRuns } from './krl-serials.ts';
import type { SerialRuns } from './krl-serials.ts';
import { encodeSerials } from './krl-sections.ts';
import { parsePublicKeyBlob } from './public-key.ts';
import { SshReader, SshWriter } from './wire.ts';

const maxUint64 = (1n << 64n) - 1n;

/**
 * The list as sshd and `ssh-keygen -Q` read it, in the smallest form: serials as lists, ranges and bitmaps, keys and hashes
 * ascending and without repetition, nothing empty. The same content always gives the same bytes.
 * @throws CodedError `ssh.krl_bad_serial` (serial 0, run upside down), `ssh.krl_bad_value` (a field outside its bounds, a CA
 * key that is not a plain public key), `ssh.krl_too_large` (beyond `krlLimit`).
 * @see OpenSSH PROTOCOL.krl
 */
export function encodeKrl(krl: Krl): Buffer {
  const certificates = krl.certificates.map((entry) => ({ ...entry, runs: runsOf(entry.serials) }));
  checkLimits(krl, certificates);
  const writer = new SshWriter(4096)
    .raw(krlMagic)
    .uint32(1)
    .uint64(uint64(krl.version, 'version'))
    .uint64(uint64(krl.generatedSeconds, 'time'))
    .uint64(0n)
    .string('')
    .string(text(krl.comment, 'comment'));
  for (const entry of certificates) {
    const body = encodeCertificates(entry, entry.runs);
    if (body !== undefined) writer.byte(krlSection.certificates).string(body);
  }
  writeBlobs(writer, krlSection.keys, krl.keys, plainKey);
  writeBlobs(writer, krlSection.sha256, krl.sha256, (hash) => {
    if (hash.length !== 32) throw badValue(`a SHA-256 fingerprint has 32 bytes, not ${hash.length}`);
    return hash;
  });
  if (writer.length > krlLimit.bytes) throw tooLarge(`${writer.length} bytes`);
  return writer.finish();
}

/** @returns undefined when the entry revokes nothing. */
function encodeCertificates(entry: KrlCertificates, runs: SerialRuns): Buffer | undefined {
  if (runs.firsts.length === 0 && entry.keyIds.length === 0) return undefined;
  const serials = encodeSerials(runs);
  const body = new SshWriter(serials.length + 1024);
  body
    .string(entry.caKey === undefined ? '' : parsePublicKeyBlob(entry.caKey).blob)
    .string('')
    .raw(serials);
  if (entry.keyIds.length > 0) {
    const ids = new SshWriter();
    for (const keyId of [...new Set(entry.keyIds)].sort()) ids.string(text(keyId, 'key id'));
    body.byte(krlSubsection.keyIds).string(ids.finish());
  }
  return body.finish();
}

function writeBlobs<Blob extends SshBlob | Buffer>(
  writer: SshWriter,
  section: number,
  blobs: readonly Blob[],
  check: (blob: Blob) => Buffer,
): void {
  if (blobs.length === 0) return;
  const body = new SshWriter();
  let previous: Buffer | undefined;
  for (const blob of blobs.map(check).sort((a, b) => a.compare(b))) {
    if (previous === undefined || !blob.equals(previous)) body.string(blob);
    previous = blob;
  }
  writer.byte(section).string(body.finish());
}

/** sshd compares explicit keys as bytes and never parses them: a certificate here would revoke nothing, without a word. */
function plainKey(blob: SshBlob): SshBlob {
  const type = new SshReader(blob, 'public key').text();
  if (findKeyType(type) === undefined || blob.length > krlLimit.keyBytes)
    throw badValue(`a key of type “${printable(type, 60)}” is not a plain public key`);
  return blob;
}

function runsOf(serials: KrlCertificates['serials']): SerialRuns {
  return serials instanceof BigUint64Array ? serialRuns(serials) : normalRuns(serials.firsts, serials.lasts);
}

function checkLimits(krl: Krl, certificates: readonly (KrlCertificates & { runs: SerialRuns })[]): void {
  if (certificates.length > krlLimit.authorities) throw tooLarge(`${certificates.length} CAs`);
  const runs = certificates.reduce((sum, entry) => sum + entry.runs.firsts.length, 0);
  if (runs > krlLimit.runs) throw tooLarge(`${runs} runs of serials`);
  const keyIds = certificates.reduce((sum, entry) => sum + entry.keyIds.length, 0);
  const entries = keyIds + krl.keys.length + krl.sha256.length;
  if (entries > krlLimit.entries) throw tooLarge(`${entries} keys, fingerprints and key ids`);
}

function uint64(value: bigint, what: string): bigint {
  if (value < 0n || value > maxUint64) throw badValue(`its ${what} ${value} does not fit 64 bits`);
  return value;
}

function text(value: string, what: string): string {
  // A lone surrogate would be written as U+FFFD and so name somebody else's key id; NUL makes sshd refuse the whole list.
  if (!value.isWellFormed() || value.includes('\0') || Buffer.byteLength(value) > krlLimit.textBytes)
    throw badValue(
      `the ${what} “${printable(value, 40)}” is not UTF-8 of at most ${krlLimit.textBytes} bytes without NUL`,
    );
  return value;
}
