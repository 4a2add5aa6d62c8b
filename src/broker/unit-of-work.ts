import type { EntryDraft, ReadTile } from '../accounting/index.ts';
import type { Session, ThrottleRow, ThrottleTable, UsedProofs } from '../identity/index.ts';
import type { KeyId, PersonId, Principal, Serial } from '../kernel/index.ts';
import type { HostReads, HostsChange } from './host-rows.ts';
import type { ProbedHosts, ProbedPortReads } from './probed-ports.ts';
import type { ReportedLoginReads, ReportedLogins } from './reported-login.ts';
import type { DepartureChange, DepartureReads, Leases } from './departures.ts';
import type { QuotaMemory } from './hourly-quota.ts';
import type { ResponseReads, ResponsesChange } from './response-row.ts';
import type { TlsChange, TlsReads, X509Serial } from './tls-rows.ts';

/** A certificate as the database knows it: one row per serial that was released. */
export interface Credential {
  readonly caFingerprint: string;
  readonly serial: Serial;
  readonly keyId: KeyId;
  readonly personId: PersonId;
  /** The login at the time of issue, for people to read. */
  readonly login: string;
  readonly profile: string;
  readonly keyType: string;
  /** `SHA256:…` of the plain key. */
  readonly keyFingerprint: string;
  readonly principals: readonly string[];
  /** Seconds; valid when after <= now < before. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  readonly issuedMs: number;
  readonly revokedMs?: number;
  readonly revokedReason?: string;
}

/** What the broker remembers of a person beyond the directory. */
export interface PersonState {
  readonly personId: PersonId;
  readonly login: string;
  readonly directory: string;
  /** Rises with every revocation and lock of the person: a decision taken under an older epoch is void. */
  readonly epoch: number;
  /** When sessions were last ended for the person: a login that began before it is too late. */
  readonly expelledMs?: number;
  readonly lockedMs?: number;
  readonly lockReason?: string;
}

/** A published list. `bytes` are served as they are. */
export interface Publication {
  readonly kind: 'krl';
  readonly version: bigint;
  readonly publishedMs: number;
  readonly bytes: Buffer;
  /** Armoured SSHSIG over `bytes`. */
  readonly signature: string;
  /** Hex SHA-256 of `bytes`. */
  readonly sha256: string;
  /** The revocation count it reflects: `revocationCount()` at the time of building. */
  readonly revocations: number;
}

export interface RevokedKey {
  readonly fingerprint: string;
  readonly revokedMs: number;
  readonly reason: string;
}

export interface RevokedKeyId {
  readonly keyId: KeyId;
  readonly caFingerprint: string;
  /** Seconds; last expiry of the credentials that bear it. */
  readonly validBefore: bigint;
}

/** A condition that must hold at the moment of commit, checked inside the transaction before anything is written. */
export interface Guard {
  /** Nobody has revoked or locked the person since the decision. */
  readonly person?: { readonly personId: PersonId; readonly epoch: number };
  /** The session has not been ended since. */
  readonly sessionHash?: Buffer;
  /** The key has not been revoked since. */
  readonly keyFingerprint?: string;
}

/**
 * Everything one act changes. All of it, with its accounting entries and the new signed checkpoint, becomes durable in one
 * transaction, or nothing does. Parts are applied in the order of the fields.
 */
export interface Change extends DepartureChange {
  readonly guard?: Guard;
  /** First sight of a person, or a new login name. */
  readonly seenPerson?: {
    readonly personId: PersonId;
    readonly directory: string;
    readonly login: string;
    readonly atMs: number;
  };
  readonly throttle?: readonly ThrottleRow[];
  readonly newSession?: Session;
  readonly endSession?: Buffer;
  /** Ends every session of these people and raises their epoch, so that nothing decided before can still be committed. */
  readonly expel?: { readonly people: readonly PersonId[]; readonly atMs: number };
  readonly lock?: { readonly personId: PersonId; readonly atMs: number; readonly reason: string };
  readonly unlock?: PersonId;
  /** Raises everybody's epoch, or that of these people: nothing that was decided before can still be committed. */
  readonly voidDecisions?: true | readonly PersonId[];
  /** Refused unless its serial lies in a block that this broker reserved and still holds. */
  readonly credential?: Credential;
  /** Binds names to a person for good, if they are not bound already; a name that somebody else holds refuses the whole change. */
  readonly claim?: {
    readonly principals: readonly Principal[];
    readonly personId: PersonId;
    readonly atMs: number;
  };
  readonly releasePrincipal?: Principal;
  readonly revoke?: {
    readonly credentials: readonly Pick<Credential, 'caFingerprint' | 'serial'>[];
    readonly atMs: number;
    readonly reason: string;
  };
  readonly revokeKey?: RevokedKey;
  readonly revokeKeyIds?: readonly RevokedKeyId[];
  readonly publication?: Publication;
  readonly tls?: TlsChange;
  /**
   * Reserved serials that were never used, the highest first, given back so that a clean stop leaves no hole. What is not at
   * the end of the count any more is not taken back: it stays reserved, and becomes void at the next start.
   */
  readonly returnedSerials?: readonly SerialBlock[];
  /**
   * Serials of this broker that no credential will bear, accounted for as void by the entries of this very change. Refused when one of
   * them was released, or is not this broker's any more: others took it for dead and declared them void already.
   */
  readonly voidedSerials?: readonly SerialBlock[];
  /** Serials that are settled (released or void), be it whole blocks or parts of them: they are not abandoned any more. */
  readonly settledSerials?: readonly SerialBlock[];
  /**
   * Takes clear personal values out of the side table of the log, and out of what is searched by. Of a person also their name and
   * what was written about them in every row. Entries stay as they are.
   */
  readonly erase?: {
    /**
     * Which paths go from the openings of these entries. What is left is for the store to see within the transaction: somebody else
     * may have erased others since they were read.
     */
    readonly openings: readonly { readonly index: bigint; readonly drop: readonly string[] }[];
    /** Certificates whose row forgets the login, and those whose row forgets why they were revoked. */
    readonly logins?: readonly Pick<Credential, 'caFingerprint' | 'serial'>[];
    readonly revokedReasons?: readonly Pick<Credential, 'caFingerprint' | 'serial'>[];
    /** The same of X.509 certificates. */
    readonly tlsLogins?: readonly X509Serial[];
    readonly tlsRevokedReasons?: readonly X509Serial[];
    readonly person?: PersonId;
  };
  /** Kept instead of the one before; left alone when that one is of the same log and has more entries. */
  readonly cosigned?: CosignedCheckpoint;
  /**
   * How far a sink of the log has got: entries below `next` arrived there. Refused unless it stands at `from` (0 at first), so
   * that of two who deliver at the same time one notices.
   */
  readonly moveSink?: { readonly sink: string; readonly from: bigint; readonly next: bigint };
  readonly reportedLogins?: ReportedLogins;
  readonly responses?: ResponsesChange;
  readonly probed?: ProbedHosts;
  /**
   * Takes the blocks of brokers that are gone off the books, in `transact` only: `abandonedSerials`, asked there, are accounted for
   * as void by the entries of this very change.
   */
  readonly settleAbandoned?: true;
  readonly hosts?: HostsChange;
  readonly entries: readonly EntryDraft[];
}

export interface SerialBlock {
  readonly caFingerprint: string;
  /** Both ends included. */
  readonly first: Serial;
  readonly last: Serial;
}

/** A checkpoint of this log with signature lines of witnesses behind the log's own. */
export interface CosignedCheckpoint {
  /** Entries that it covers. */
  readonly size: bigint;
  readonly note: string;
}

/** What a committed change left in the log. */
export interface Committed {
  /** Log index of the first entry of this change; the others follow it. */
  readonly firstIndex: bigint;
}

export type CredentialTarget =
  | { readonly kind: 'person'; readonly personId: PersonId }
  | { readonly kind: 'serial'; readonly serial: Serial; readonly caFingerprint: string }
  | { readonly kind: 'key'; readonly fingerprint: string }
  | { readonly kind: 'key_id'; readonly keyId: KeyId }
  | { readonly kind: 'before'; readonly beforeMs: number };

export interface CredentialQuery {
  readonly personId?: PersonId;
  /** Only those that bear this account name, whatever the case of ASCII letters. */
  readonly principal?: string;
  /** Only neither expired nor revoked. */
  readonly live: boolean;
  /** Only those that opened doors at this moment: issued and begun, and neither expired nor revoked. */
  readonly usableAtMs?: number;
  /** Serials below this one, newest first. */
  readonly before?: bigint;
  readonly limit: number;
  readonly nowMs: number;
}

/** Every field narrows. */
export interface LogQuery {
  /** Who acted, or whom it concerns. */
  readonly personId?: string;
  /** Whom it concerns. */
  readonly subjectId?: string;
  readonly serial?: string;
  readonly keyFingerprint?: string;
  /** An account name that a credential of the entry bears, whatever the case of ASCII letters. */
  readonly principal?: string;
  /** Id or name of a host. */
  readonly host?: string;
  /** Words in the reason somebody gave, whatever the case of ASCII letters; erased ones are not found. */
  readonly reason?: string;
  readonly type?: string;
  readonly outcome?: string;
  /** From inclusive, to exclusive. */
  readonly fromMs?: number;
  readonly toMs?: number;
  /** Entries with a smaller index than this, newest first. */
  readonly before?: bigint;
  readonly limit: number;
}

export interface StoredEntry {
  readonly index: bigint;
  readonly bytes: Buffer;
  readonly leafHash: Buffer;
  readonly openings: string | undefined;
}

/** Questions. Inside a transaction they see its own snapshot, outside the last committed state. */
export interface Reads
  extends HostReads, ReportedLoginReads, ResponseReads, DepartureReads, ProbedPortReads, TlsReads {
  session(tokenHash: Buffer): Promise<Session | undefined>;
  /** How many sessions of the person are alive at `nowMs`. */
  sessionsOf(personId: PersonId, nowMs: number): Promise<number>;
  person(personId: PersonId): Promise<PersonState | undefined>;
  /** Everybody who was seen under that login name, whatever the case of ASCII letters. */
  personsByLogin(login: string): Promise<readonly PersonState[]>;
  /** Who holds each name, whatever the case of ASCII letters; keyed by the names as they were asked, without those that are free. */
  principalOwners(principals: readonly string[]): Promise<ReadonlyMap<string, PersonId>>;
  revokedKey(fingerprint: string): Promise<RevokedKey | undefined>;
  /** Live credentials (not revoked, not expired at `nowMs`) that the target names. */
  liveCredentials(target: CredentialTarget, nowMs: number): Promise<readonly Credential[]>;
  /** True when the target names anything that was ever issued. */
  everIssued(target: CredentialTarget): Promise<boolean>;
  /** The certificate that was released with that serial. */
  credential(caFingerprint: string, serial: Serial): Promise<Credential | undefined>;
  /** Of all CAs, by serial descending. */
  credentials(query: CredentialQuery): Promise<readonly Credential[]>;
  /** Fingerprints of the CAs of which a credential expires at or after the given second. */
  authoritiesInUse(notExpiredBeforeSeconds: bigint): Promise<readonly string[]>;
  /** What the KRL must hold: serials, in any order, of revoked credentials of the CA whose `validBefore` is at or after the given second. */
  revokedSerials(caFingerprint: string, notExpiredBeforeSeconds: bigint): Promise<BigUint64Array>;
  /** Ranges, both ends included, that the KRL must hold whole, of which no row may know: those that count until the second or longer. */
  revokedRanges(
    caFingerprint: string,
    notExpiredBeforeSeconds: bigint,
  ): Promise<readonly Omit<SerialBlock, 'caFingerprint'>[]>;
  revokedKeys(): Promise<readonly RevokedKey[]>;
  revokedKeyIds(notExpiredBeforeSeconds: bigint): Promise<readonly RevokedKeyId[]>;
  /** Counts every act of revocation ever committed; a publication older than this is stale. */
  revocationCount(): Promise<number>;
  publication(kind: 'krl'): Promise<Publication | undefined>;
  /** The version of that publication alone. */
  publicationVersion(kind: 'krl'): Promise<bigint | undefined>;
  throttleRows(): Promise<readonly ThrottleRow[]>;
  /** Blocks of brokers that are gone (closed, or silent for a minute) and did not settle them, each narrowed to the serials that were never released. */
  abandonedSerials(): Promise<readonly SerialBlock[]>;
  logHead(): Promise<{
    readonly size: bigint;
    readonly root: Buffer;
    readonly checkpoint: string;
    readonly origin: string;
  }>;
  /** Entries with `from <= index < to`, ascending. */
  logEntries(from: bigint, to: bigint): AsyncIterable<StoredEntry>;
  /** A tile of the tree; as many hashes as were asked for, as long as the tree has them. */
  readonly readTile: ReadTile;
  /** The index each sink is to be given next; without those that never moved. */
  sinkPositions(): Promise<ReadonlyMap<string, bigint>>;
  /** The newest checkpoint that enough witnesses cosigned; undefined when there never was one. */
  cosignedCheckpoint(): Promise<CosignedCheckpoint | undefined>;
  /** What matches every field of the query, newest first. Everything committed before the call is searched. */
  searchLog(query: LogQuery): Promise<readonly StoredEntry[]>;
}

/** What brokers on one store must know of each other at once, before any commit. */
export type SharedMemory = ThrottleTable & UsedProofs & Leases & QuotaMemory;

/**
 * Where everything is kept. One commit is one durable transaction: when the promise resolves, the rows, the entries and the
 * checkpoint survive a power cut; when it rejects, nothing of the change is there (but see `commit`). Many changes may share one
 * transaction, and many brokers one store.
 */
export interface Store extends Reads {
  /**
   * @throws CodedError `store.conflict` when the guard does not hold, a claimed principal belongs to somebody else, a serial is
   * not this broker's, the publication is not newer than the one that is there, or a sink stands elsewhere; `store.busy` when too
   * many wait; `store.unavailable` when disk or server refuses; `store.unresolved` alone leaves open whether the change took place.
   */
  commit(change: Change): Promise<Committed>;
  /** Like `commit`, with questions asked inside the same exclusive transaction: nothing comes between answer and change. */
  transact<Result>(
    plan: (reads: Reads) => Promise<{ readonly change: Change; readonly result: Result }>,
  ): Promise<Result>;
  /**
   * Reserves the next `count` serials of the CA, durably, before any of them is signed. A reserved serial that is never released is void.
   */
  reserveSerials(caFingerprint: string, count: number): Promise<SerialBlock>;
  /**
   * Leaves nothing of what was erased in the files: not in the write-ahead log and, when `thorough`, in no page that was in use
   * once; that rewrites the whole database and holds up everything else, for as long as it takes.
   * @returns whether this role may do it: on PostgreSQL only the owner of the tables may, whom `not_permitted` leaves it to
   * @throws CodedError `store.not_scrubbed`: what was erased is erased, and its bytes are still in the files
   */
  scrub(how: 'quick' | 'thorough'): Promise<'scrubbed' | 'not_permitted'>;
  /** Undefined where only one broker can have the store open: its own memory will do. */
  readonly shared: SharedMemory | undefined;
  /** The last of this broker: what it still holds is abandoned. */
  close(): Promise<void>;
}
