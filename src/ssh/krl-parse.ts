import type { SshBlob } from '../kernel/index.ts';
import { krlLimit, krlMagic, krlSection, krlSubsection } from './krl.ts';
import type { ParsedKrl } from './krl.ts';
import { SerialCollector } from './krl-collector.ts';
import type { RunBudget } from './krl-collector.ts';
import { badBitmap, badHash, notAKrl, refusedSection, tooLarge } from './krl-errors.ts';
import { krlQuery } from './krl-query.ts';
import { parsePublicKeyBlob } from './public-key.ts';
import { SshReader } from './wire.ts';

interface Authority {
  readonly caKey: SshBlob | undefined;
  readonly serials: SerialCollector;
  readonly keyIds: Set<string>;
}

/** Everything read so far. Blobs are keyed by their bytes as latin1 text. */
interface Draft {
  readonly authorities: Map<string, Authority>;
  readonly keys: Map<string, Buffer>;
  readonly sha1: Map<string, Buffer>;
  readonly sha256: Map<string, Buffer>;
  readonly budget: RunBudget & { entriesLeft: number };
}

/**
 * Reads a KRL at least as strictly as OpenSSH's loader: what passes here loads in sshd. SHA-1 sections are read; signature
 * and extension sections are refused, since OpenSSH 9.2 refuses the first and later versions skip what they do not know.
 * Memory stays below about 40 bytes per byte read, and below `krlLimit` in all; ranges are never expanded.
 * @param bytes must not change while the answer is in use: keys and hashes are views into it
 * @throws CodedError `ssh.krl_magic` (not a KRL, or empty), `ssh.krl_version`, `ssh.krl_signature`, `ssh.krl_extension`,
 * `ssh.krl_unknown_section`, `ssh.krl_bad_serial`, `ssh.krl_bad_bitmap`, `ssh.krl_bad_hash`, `ssh.krl_too_large`,
 * `ssh.malformed` (cut off, trailing bytes), and those of `parsePublicKeyBlob` for a CA key.
 * @see OpenSSH PROTOCOL.krl and krl.c
 */
export function parseKrl(bytes: Uint8Array): ParsedKrl {
  if (bytes.length > krlLimit.bytes) throw tooLarge(`${bytes.length} bytes`);
  const reader = new SshReader(bytes, 'revocation list');
  if (reader.remaining < krlMagic.length || !reader.bytes(krlMagic.length).equals(krlMagic))
    throw notAKrl('magic');
  const formatVersion = reader.uint32();
  const version = reader.uint64();
  const generatedSeconds = reader.uint64();
  const flags = reader.uint64();
  const reserved = reader.string(krlLimit.textBytes);
  if (formatVersion !== 1 || flags !== 0n || reserved.length > 0) throw notAKrl('version');
  const comment = reader.text(krlLimit.textBytes);
  const draft: Draft = {
    authorities: new Map(),
    keys: new Map(),
    sha1: new Map(),
    sha256: new Map(),
    budget: { runsLeft: krlLimit.runs, entriesLeft: krlLimit.entries },
  };
  while (reader.remaining > 0)
    readSection(draft, reader.byte(), reader.nested('revocation list', krlLimit.bytes));
  const certificates = [...draft.authorities.values()].map((authority) => ({
    caKey: authority.caKey,
    serials: authority.serials.finish(),
    keyIds: [...authority.keyIds],
  }));
  const krl = {
    version,
    generatedSeconds,
    comment,
    certificates,
    keys: [...draft.keys.values()] as SshBlob[],
    sha1: [...draft.sha1.values()],
    sha256: [...draft.sha256.values()],
  };
  return { ...krl, isRevoked: krlQuery(krl) };
}

function readSection(draft: Draft, type: number, body: SshReader): void {
  switch (type) {
    case krlSection.certificates:
      return readCertificates(draft, body);
    case krlSection.keys:
      return readBlobs(draft, body, draft.keys, undefined);
    case krlSection.sha1:
      return readBlobs(draft, body, draft.sha1, 20);
    case krlSection.sha256:
      return readBlobs(draft, body, draft.sha256, 32);
    case krlSection.signature:
      throw refusedSection('signature', type);
    case krlSection.extension:
      throw refusedSection('extension', type);
    default:
      throw refusedSection('unknown_section', type);
  }
}

function readCertificates(draft: Draft, body: SshReader): void {
  const caBytes = body.string(krlLimit.keyBytes);
  const reserved = body.string(krlLimit.textBytes);
  if (reserved.length > 0) throw body.malformed('holds something in a reserved field');
  const authority = authorityOf(draft, caBytes);
  while (body.remaining > 0) {
    const type = body.byte();
    const part = body.nested('revocation list', krlLimit.bytes);
    switch (type) {
      case krlSubsection.list:
        if (part.remaining % 8 !== 0) throw part.malformed('has a list that ends inside a serial');
        authority.serials.addList(part.bytes(part.remaining));
        break;
      case krlSubsection.range:
        authority.serials.addRange(part.uint64(), part.uint64());
        break;
      case krlSubsection.bitmap:
        authority.serials.addBitmap(part.uint64(), readBitmap(part));
        break;
      case krlSubsection.keyIds:
        while (part.remaining > 0) {
          countEntry(draft);
          authority.keyIds.add(part.text(krlLimit.textBytes));
        }
        break;
      case krlSubsection.extension:
        throw refusedSection('extension', type);
      default:
        throw refusedSection('unknown_section', type);
    }
    part.end();
  }
}

function readBitmap(part: SshReader): Buffer {
  const bitmap = part.mpint(krlLimit.bytes);
  if (bitmap.length > krlLimit.bitmapBits / 8) throw badBitmap();
  return bitmap;
}

function authorityOf(draft: Draft, caBytes: Buffer): Authority {
  const name = caBytes.toString('latin1');
  const known = draft.authorities.get(name);
  if (known !== undefined) return known;
  if (draft.authorities.size === krlLimit.authorities)
    throw tooLarge(`more than ${krlLimit.authorities} CAs`);
  const caKey = caBytes.length === 0 ? undefined : parsePublicKeyBlob(caBytes).blob;
  const authority = { caKey, serials: new SerialCollector(draft.budget), keyIds: new Set<string>() };
  draft.authorities.set(name, authority);
  return authority;
}

function readBlobs(
  draft: Draft,
  body: SshReader,
  into: Map<string, Buffer>,
  sizeBytes: number | undefined,
): void {
  while (body.remaining > 0) {
    const blob = body.string(krlLimit.keyBytes);
    if (sizeBytes === undefined ? blob.length < 4 : blob.length !== sizeBytes) throw badHash(blob.length);
    countEntry(draft);
    into.set(blob.toString('latin1'), blob);
  }
}

function countEntry(draft: Draft): void {
  draft.budget.entriesLeft -= 1;
  if (draft.budget.entriesLeft < 0)
    throw tooLarge(`more than ${krlLimit.entries} keys, fingerprints and key ids`);
}
