/** Event types of this log; each has its schema in docs/formats. */
export type EventType =
  | 'auth.login'
  | 'auth.fail'
  | 'auth.logout'
  | 'cred.issue'
  | 'cred.issue_denied'
  | 'cred.void'
  | 'cred.revoke'
  | 'session.revoke'
  | 'subject.lock'
  | 'subject.unlock'
  | 'host.token_new'
  | 'host.token_drop'
  | 'host.enrol'
  | 'host.approve'
  | 'host.retire'
  | 'host.move'
  | 'host.conflict'
  | 'host.resolve'
  | 'krl.publish'
  | 'crl.publish'
  | 'tls.authority'
  | 'ocsp.signer'
  | 'ca.create'
  | 'policy.change'
  | 'directory.change'
  | 'departure.hold'
  | 'departure.approve'
  | 'departure.reject'
  | 'departure.withdraw'
  | 'principal.release'
  | 'probe.report'
  | 'host.alert'
  | 'host.feed_gap'
  | 'host.flood'
  | 'host.session'
  | 'login.seen'
  | 'login.unexplained'
  | 'response.request'
  | 'response.approve'
  | 'response.reject'
  | 'response.execute'
  | 'log.read'
  | 'log.export'
  | 'log.erase'
  | 'log.epoch'
  | 'log.heartbeat'
  | 'sink.fail'
  | 'sink.recover'
  | 'witness.fail'
  | 'witness.recover'
  | 'system.start'
  | 'system.stop'
  | 'system.restore';

/** Numbers that may pass 2^53 are decimal strings already. */
export type EntryValue =
  string | number | boolean | null | readonly EntryValue[] | { readonly [key: string]: EntryValue };

/** What a flow wants recorded. Personal fields are clear here; the leaf holds only salted commitments to them. */
export interface EntryDraft {
  readonly type: EventType;
  readonly outcome: 'success' | 'failure' | 'denied';
  /** Stable code; needed when the outcome is not success. */
  readonly reasonCode?: string;
  readonly timeMs: number;
  readonly actor?: {
    readonly uid?: string;
    readonly kind: 'person' | 'broker' | 'host' | 'operator' | 'unknown';
    readonly auth?: string;
    readonly session?: string;
  };
  readonly subject?: { readonly uid: string };
  /** Fields of the event schema, below their own names: cred, target, decision, change, corr, artifact, … */
  readonly fields?: Readonly<Record<string, EntryValue>>;
  /**
   * Personal clear values, path to value: `actor.name`, `subject.name`, `src.ip`, `src.ua`, `reason`, or any other `name` or
   * `parent.name` in lower case that the clear fields leave free. The leaf lists the paths, so that an erased value can be
   * told from one that was never recorded.
   */
  readonly personal?: Readonly<Record<string, string>>;
}

/** One encoded entry, ready to store. */
export interface EncodedEntry {
  readonly index: bigint;
  /** Canonical JSON (RFC 8785), UTF-8, at most 65,535 bytes: the stored and hashed bytes. */
  readonly bytes: Buffer;
  /** SHA-256(0x00 || bytes). */
  readonly leafHash: Buffer;
  /**
   * Openings of the commitments as canonical JSON, `{path: {"salt": base64url of 16 bytes, "value": text}}`, or undefined when
   * the entry has no personal value. They are no part of the leaf: a store keeps them where retention may erase them.
   */
  readonly openings: string | undefined;
}

/** Where the tree stands: all that is needed to append. */
export interface LogHead {
  readonly origin: string;
  readonly size: bigint;
  /** Roots of the perfect subtrees of the current size, left to right (largest first), 32 bytes each. */
  readonly frontier: readonly Buffer[];
  readonly root: Buffer;
}

/** A hash above the leaves that the tiles of C2SP tlog-tiles hold: of 256^level entries, from index * 256^level on. */
export interface TileHash {
  /** 1 or more; the hashes of level 0 are those of the leaves. */
  readonly level: number;
  readonly index: bigint;
  /** 32 bytes. */
  readonly hash: Buffer;
}

/** What a tree becomes with more leaves. */
export interface Grown {
  readonly head: LogHead;
  /** Of the subtrees that the new leaves completed. */
  readonly tileHashes: readonly TileHash[];
}

/** Result of an append: everything a store must write in the one transaction. */
export interface Appended extends Grown {
  readonly entries: readonly EncodedEntry[];
  /** The signed C2SP checkpoint of the new head. */
  readonly checkpoint: string;
}

/** The only thing a store needs from accounting: turns drafts into bytes that follow a head. Pure but for salt and ids. */
export interface LogAppender {
  append(head: LogHead, drafts: readonly EntryDraft[]): Appended;
  /** The tree alone, over leaf hashes that are stored already: for a store that fills in tiles, or copies a log. */
  grow(head: LogHead, leafHashes: Iterable<Buffer>): Grown;
}
