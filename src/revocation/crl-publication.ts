import { CodedError, sha256 } from '../kernel/index.ts';
import type { Signer } from '../keys/index.ts';
import {
  encodeCrlEntry,
  encodeCrlToBeSigned,
  isSignedBy,
  keyIdentifier,
  readCrl,
  signedSequence,
  subjectPublicKeyInfo,
  x509Algorithm,
  type ReadCrl,
  type RevocationReason,
} from '../x509/index.ts';

export { encodeCrlLdif, revocationReasons, type RevocationReason } from '../x509/index.ts';

/** One certificate that is no longer good. `serial` is hex. */
export interface CrlItem {
  readonly serial: string;
  readonly revokedMs: number;
  readonly reason: RevocationReason;
}

/**
 * What a list holds, kept encoded: with 100,000 in it, one more costs one more. Only grows; what has expired goes by making it anew.
 */
export class CrlBody {
  #bytes = Buffer.alloc(0);
  #sizeBytes = 0;
  readonly #serials: string[] = [];

  get serials(): readonly string[] {
    return this.#serials;
  }

  /** The entries as they go into a list: a view. */
  get entries(): Buffer {
    return this.#bytes.subarray(0, this.#sizeBytes);
  }

  /** What a list holds that is there already: to go on with it. */
  static of(list: Pick<ReadCrl, 'entries' | 'serials'>): CrlBody {
    const body = new CrlBody();
    body.#bytes = Buffer.from(list.entries);
    body.#sizeBytes = body.#bytes.length;
    body.#serials.push(...list.serials());
    return body;
  }

  add({ serial, revokedMs, reason }: CrlItem): void {
    const entry = encodeCrlEntry(serial, revokedMs, reason);
    if (this.#sizeBytes + entry.length > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(4096, 2 * this.#bytes.length, this.#sizeBytes + entry.length));
      this.#bytes.copy(larger, 0, 0, this.#sizeBytes);
      this.#bytes = larger;
    }
    entry.copy(this.#bytes, this.#sizeBytes);
    this.#sizeBytes += entry.length;
    this.#serials.push(serial);
  }
}

export interface CrlIssuer {
  readonly signer: Signer;
  /** Name, DER: the subject of the authority. */
  readonly subject: Buffer;
  readonly deltaUrl: string;
}

export interface CrlTimes {
  readonly number: bigint;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
}

/**
 * A list, signed and read back. With a base it is a delta, without one a full list that says where its delta is.
 * @returns DER. @throws CodedError `revocation.bad_list` when it does not read back as it was meant: nothing may be published then.
 */
export async function signCrl(
  { signer, subject, deltaUrl }: CrlIssuer,
  body: CrlBody,
  { number, thisUpdateMs, nextUpdateMs, baseNumber }: CrlTimes & { readonly baseNumber?: bigint },
): Promise<Buffer> {
  const algorithm = x509Algorithm(signer.algorithm);
  const serials = [...body.serials];
  const toBeSigned = encodeCrlToBeSigned({
    algorithm,
    issuer: subject,
    authorityKeyId: keyIdentifier(subjectPublicKeyInfo(signer.publicKey)),
    thisUpdateMs,
    nextUpdateMs,
    number,
    ...(baseNumber === undefined ? { deltaUrl } : { baseNumber }),
    entries: body.entries,
  });
  const bytes = signedSequence(toBeSigned, algorithm, await signer.sign(toBeSigned));
  const read = readCrl(bytes);
  if (!read.issuer.equals(subject)) throw bad('it speaks of another authority');
  if (read.number !== number || read.baseNumber !== baseNumber) throw bad('its number changed');
  if (read.thisUpdateMs !== wholeSecond(thisUpdateMs) || read.nextUpdateMs !== wholeSecond(nextUpdateMs))
    throw bad('its times changed');
  if (read.count !== serials.length) throw bad('serials are missing');
  let nth = 0;
  for (const serial of read.serials()) {
    if (serial !== serials[nth]) throw bad('serials differ');
    nth += 1;
  }
  return bytes;
}

/** Whether a list that was kept reads as one of this authority, under this number, with its signature. */
export function isIntactCrl(
  bytes: Buffer,
  issuer: Pick<CrlIssuer, 'signer' | 'subject'>,
  number: bigint,
): boolean {
  try {
    const read = readCrl(bytes);
    return (
      read.number === number &&
      read.issuer.equals(issuer.subject) &&
      isSignedBy(issuer.signer.publicKey, read.toBeSigned, read.algorithm, read.signature)
    );
  } catch (error) {
    if (error instanceof CodedError) return false;
    throw error;
  }
}

/** Hex SHA-256 of a list. */
export function crlDigest(bytes: Buffer): string {
  return sha256(bytes).toString('hex');
}

const wholeSecond = (timeMs: number): number => Math.floor(timeMs / 1000) * 1000;

function bad(why: string): CodedError {
  return new CodedError('revocation.bad_list', `The new CRL was not published: read back, ${why}.`, {
    next: 'The previous list stays in force. This is a fault of the broker; tell its makers.',
  });
}
