import { CodedError, krlNamespace, sha256, type SshBlob } from '../kernel/index.ts';
import type { Signer } from '../keys/index.ts';
import {
  encodeKrl,
  encodeSignature,
  encodeSshsig,
  encodeSshsigToBeSigned,
  normalRuns,
  parseKrl,
  publicKeyFromKeyObject,
  serialRuns,
  type KrlCertificates,
  type SerialRuns,
} from '../ssh/index.ts';

/** How long an expired certificate stays in the list: hosts whose clock is behind still refuse it. */
export const expiredMarginSeconds = 24n * 3600n;

/** Everything that is no longer good and not yet forgotten. */
export interface RevokedSet {
  readonly caKey: SshBlob;
  /** Of this CA, in any order, each once. */
  readonly serials: BigUint64Array;
  /** Runs of this CA, both ends included, in any order; they may hold serials that stand above. Never expanded. */
  readonly ranges?: readonly { readonly first: bigint; readonly last: bigint }[];
  /** The same of the CA of hosts, which has a section of its own where anything of it is revoked. */
  readonly hosts?: Pick<RevokedSet, 'caKey' | 'serials'> & {
    readonly ranges: NonNullable<RevokedSet['ranges']>;
  };
  readonly keyIds: readonly string[];
  /** `SHA256:…` of plain keys. */
  readonly keyFingerprints: readonly string[];
}

/** A list that was read back by our own parser and found to say exactly what it should. */
export interface SignedKrl {
  readonly bytes: Buffer;
  /** Armoured SSHSIG over `bytes`. */
  readonly signature: string;
  /** Hex. */
  readonly sha256: string;
}

/** A list that was read back, and what is to be signed of it. */
export interface AssembledKrl extends Omit<SignedKrl, 'signature'> {
  /** What SSHSIG signs: a few bytes with the hash of the list. */
  readonly toBeSigned: Buffer;
}

/**
 * Builds the list and reads it back; it is long work for a long list. An empty set gives a list that revokes nothing, never an empty
 * file: sshd takes zero bytes for "nothing is revoked" and a broken file for "nobody may log in".
 * @throws CodedError `revocation.bad_list` when the list does not read back as it was meant: nothing may be published then.
 */
export function assembleKrl(unsorted: RevokedSet, version: bigint, nowMs: number): AssembledKrl {
  const { hosts } = unsorted;
  const set = {
    ...unsorted,
    serials: unsorted.serials.toSorted(),
    ...(hosts && { hosts: { ...hosts, serials: hosts.serials.toSorted() } }),
  };
  const hashes = set.keyFingerprints.map((text) => Buffer.from(text.slice('SHA256:'.length), 'base64'));
  const bytes = encodeKrl({
    version,
    generatedSeconds: BigInt(Math.floor(nowMs / 1000)),
    comment: 'sallyport',
    certificates: sectionsOf(set),
    keys: [],
    sha256: hashes,
  });
  readBack(bytes, set, version, hashes);
  return {
    bytes,
    sha256: sha256(bytes).toString('hex'),
    toBeSigned: encodeSshsigToBeSigned(krlNamespace, bytes),
  };
}

/** Puts the signature to a list that was assembled. */
export async function signKrl(
  { bytes, sha256: hash, toBeSigned }: AssembledKrl,
  signer: Signer,
): Promise<SignedKrl> {
  const listKey = publicKeyFromKeyObject(signer.publicKey);
  const raw = await signer.sign(toBeSigned);
  return {
    bytes,
    signature: encodeSshsig(listKey, krlNamespace, encodeSignature(signer.algorithm, raw)),
    sha256: hash,
  };
}

/**
 * Whether a list that was kept is still the one that was published: its bytes have the recorded hash, our parser reads them,
 * and they speak of these CAs in this version. A list that is not must never be served: sshd takes zero bytes for "nobody is revoked".
 */
export function isIntactKrl(
  kept: { readonly bytes: Buffer; readonly sha256: string; readonly version: bigint },
  caKeys: readonly SshBlob[],
): boolean {
  if (sha256(kept.bytes).toString('hex') !== kept.sha256) return false;
  try {
    const krl = parseKrl(kept.bytes);
    return (
      krl.version === kept.version &&
      krl.certificates.every(({ caKey }) => caKeys.some((known) => caKey?.equals(known) === true))
    );
  } catch (error) {
    if (error instanceof CodedError) return false;
    throw error;
  }
}

function sectionsOf(
  set: RevokedSet,
): (KrlCertificates & { readonly caKey: SshBlob; readonly serials: SerialRuns })[] {
  const { hosts } = set;
  const own = { caKey: set.caKey, serials: runsOf(set), keyIds: set.keyIds };
  if (hosts === undefined || (hosts.serials.length === 0 && hosts.ranges.length === 0)) return [own];
  return [own, { caKey: hosts.caKey, serials: runsOf(hosts), keyIds: [] }];
}

function runsOf({ serials, ranges = [] }: Pick<RevokedSet, 'serials' | 'ranges'>): SerialRuns {
  if (ranges.length === 0) return serialRuns(serials);
  const withEnds = (end: 'first' | 'last'): BigUint64Array =>
    BigUint64Array.from([...serials, ...ranges.map((range) => range[end])]);
  return normalRuns(withEnds('first'), withEnds('last'));
}

function readBack(bytes: Buffer, set: RevokedSet, version: bigint, hashes: readonly Buffer[]): void {
  const krl = parseKrl(bytes);
  if (krl.version !== version) throw bad('its version changed');
  const expected = sectionsOf(set);
  for (const { caKey } of krl.certificates)
    if (!expected.some((section) => caKey?.equals(section.caKey))) throw bad('it speaks of another CA');
  for (const { caKey, serials, keyIds } of expected) {
    const [section, ...twice] = krl.certificates.filter((found) => found.caKey?.equals(caKey));
    const found = section?.serials ?? serialRuns([]);
    if (twice.length > 0) throw bad('it speaks of a CA twice');
    if (!sameNumbers(found.firsts, serials.firsts) || !sameNumbers(found.lasts, serials.lasts))
      throw bad('serials differ');
    if (!sameSet(section?.keyIds ?? [], keyIds)) throw bad('key ids differ');
  }
  if (krl.keys.length > 0 || krl.sha1.length > 0) throw bad('it holds keys that nobody revoked');
  const hex = (hash: Buffer): string => hash.toString('hex');
  if (!sameSet(krl.sha256.map(hex), hashes.map(hex))) throw bad('key fingerprints differ');
}

function sameNumbers(a: BigUint64Array, b: BigUint64Array): boolean {
  return (
    a.length === b.length &&
    Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(
      Buffer.from(b.buffer, b.byteOffset, b.byteLength),
    )
  );
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  const [left, right] = [new Set(a), new Set(b)];
  return left.size === right.size && a.every((value) => right.has(value));
}

function bad(why: string): CodedError {
  return new CodedError(
    'revocation.bad_list',
    `The new revocation list was not published: read back, ${why}.`,
    {
      next: 'The previous list stays in force. This is a fault of the broker; tell its makers.',
    },
  );
}
