import type { EntryDraft, LogAppender, LogHead } from '../accounting/index.ts';
import type { Serial } from '../kernel/index.ts';
import type { HostCertificate } from './host-rows.ts';
import type { TlsCredential } from './tls-rows.ts';
import type { Credential } from './unit-of-work.ts';

/** How a log begins anew in a database that was restored. */
export interface NewLog {
  /** Appends under the new name. */
  readonly appender: LogAppender;
  readonly emptyHead: LogHead;
  readonly atMs: number;
  /** Why; stands beside every credential that is revoked. */
  readonly reason: string;
  /** The checkpoint of the log that ends: refused when the database has another one. */
  readonly endsAt: string;
  /** The CA whose serials count on from a larger number even if the copy never issued any. */
  readonly caFingerprint: string;
  /** The same of the CA of hosts, whose certificates live longer: until then each of its serials is revoked. */
  readonly hostCa: { readonly caFingerprint: string; readonly untilSeconds: bigint };
  /** Certificates for TLS die too; true: but for those of servers, which stay as the copy knows them. */
  readonly keepServers: boolean;
  /** How far every CA's next serial and the version of the list move on at least, and what they are at least from then on. */
  readonly skip: bigint;
  readonly floor: bigint;
  /** Seconds: no certificate that exists now is good after it. Until then every serial below the next one is revoked. */
  readonly untilSeconds: bigint;
  /** What the new log begins with, once it is known what died. */
  readonly entries: (began: BegunAnew) => Iterable<EntryDraft>;
}

/** What the transaction that begins a log anew has done so far. */
export interface BegunAnew {
  /** Every CA of the database, with the first serial it will issue from now on. */
  readonly authorities: readonly { readonly caFingerprint: string; readonly next: Serial }[];
  /** The lists of the new log have larger versions. */
  readonly listVersion: bigint;
  /** Those that were neither revoked nor long expired. */
  readonly revoked: readonly Credential[];
  readonly revokedHosts: readonly (HostCertificate & { readonly group: string })[];
  /** Their serials are random: those of the lost time are not among them, and nothing names them. */
  readonly revokedTls: readonly TlsCredential[];
  readonly sessionsEnded: number;
}

/** A store whose log can begin anew. */
export interface BeginsAnew {
  /**
   * One transaction, durable on return: the log is emptied and begins with `entries`, all that is live dies, and nothing that was
   * reserved is remembered. The store takes nothing more afterwards but `close`.
   * @throws CodedError `store.conflict` when the log does not end at `endsAt`, `store.unavailable`; nothing has changed then
   */
  beginAnew(log: NewLog): Promise<void>;
}
