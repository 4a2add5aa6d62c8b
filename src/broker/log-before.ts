import { CodedError, type Serial } from '../kernel/index.ts';
import type { Rooms } from './rooms.ts';

/** What entry 0 says of the log that this one goes on from (docs/formats/log.md, section 7). */
interface LogBefore {
  readonly origin: string;
  readonly size: string;
  readonly archive_sha256: string | null;
  readonly authorities: readonly { readonly ca_fp: string; readonly next: string }[];
}

/**
 * Where to look for a serial that this log says nothing about: it may have been issued by the log that this one goes on from, before
 * a recovery. @returns undefined when this log counts the serial itself
 */
export async function belongsToLogBefore(
  { store, issuer }: Pick<Rooms, 'store' | 'issuer'>,
  serial: Serial,
): Promise<CodedError | undefined> {
  for await (const { bytes } of store.logEntries(0n, 1n)) {
    const { type, epoch } = JSON.parse(bytes.toString('utf8')) as { type: string; epoch?: LogBefore };
    if (type !== 'log.epoch' || epoch === undefined) return undefined;
    const own = epoch.authorities.find((authority) => authority.ca_fp === issuer.caFingerprint);
    if (own === undefined || serial >= BigInt(own.next)) return undefined;
    const archive =
      epoch.archive_sha256 === null
        ? 'That log was empty when it ended: look in exports of it.'
        : `Its bundle has the SHA-256 ${epoch.archive_sha256} and lies in the folder \`archive\` of the broker, with its verifier key: \`sallyport audit verify\` judges it. What is missing there is in exports that auditors hold.`;
    return new CodedError(
      'accounting.log_before',
      `The serial ${serial} belongs to the log ${epoch.origin} of ${epoch.size} entries, which this log goes on from since a recovery: this one counts from ${own.next} and cannot say whether it was issued.`,
      { next: archive },
    );
  }
  return undefined;
}
