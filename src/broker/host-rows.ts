import type { HostId, KeyId, Serial } from '../kernel/index.ts';

/**
 * `pending`: asked without a token, and waits for an admin. `enrolled`: gets bundles and certificates. `conflict`: two machines present
 * one key or one identity; refused until an admin resolves it. `retired`: for good.
 */
export type HostState = 'pending' | 'enrolled' | 'conflict' | 'retired';

export interface Host {
  readonly id: HostId;
  readonly group: string;
  readonly state: HostState;
  /** Granted, or of a pending host claimed; in lower case. */
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  /** One line. */
  readonly identityKey: string;
  /** `SHA256:…`, of one host only. */
  readonly identityFingerprint: string;
  /** `SHA256:…` of the plain host keys that it proved to hold at its enrolment. */
  readonly hostKeys: readonly string[];
  readonly platform: string;
  /** Hash of what tells machines apart; empty: to be learned from the next sync. */
  readonly machine: string;
  /** Undefined: an admin approved it. */
  readonly tokenId?: string;
  readonly createdMs: number;
  readonly changedMs: number;
  /** Why it is in conflict, and with which other host; undefined: with itself, a second machine that uses its identity. */
  readonly conflict?: string;
  readonly conflictWith?: HostId;
  /** Undefined before the first sync. */
  readonly contact?: HostContact;
}

/** What a host said last. */
export interface HostContact {
  /** Counts the requests of the identity. */
  readonly step: bigint;
  readonly contactMs: number;
  /** Version of the bundle in force there, 0: none, and since when it says so. */
  readonly installed: bigint;
  readonly installedMs: number;
  /** `ok`, or a word for each thing that is not as it should be. */
  readonly checks: readonly string[];
  readonly sshd: string;
  readonly lastLoginMs?: number;
}

export interface HostToken {
  /** Public: for lists and entries. */
  readonly id: string;
  /** SHA-256 of the secret, 32 bytes. */
  readonly hash: Buffer;
  readonly group: string;
  /** Patterns of names, and networks of addresses, that a host may claim with it. */
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  readonly maxUses: number;
  readonly used: number;
  readonly createdMs: number;
  /** Good before that moment. */
  readonly expiresMs: number;
  /** Login of the admin who made it, to read. */
  readonly createdBy: string;
  readonly droppedMs?: number;
}

/** A host certificate as the database knows it: one row per serial that was released. */
export interface HostCertificate {
  readonly caFingerprint: string;
  readonly serial: Serial;
  readonly keyId: KeyId;
  readonly hostId: HostId;
  readonly keyType: string;
  /** `SHA256:…` of the plain host key. */
  readonly keyFingerprint: string;
  readonly principals: readonly string[];
  /** Seconds; valid when after <= now < before. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  readonly issuedMs: number;
  readonly revokedMs?: number;
  readonly revokedReason?: string;
}

/** A host that goes from one state to another; what is undefined stays. */
export interface HostMove {
  readonly id: HostId;
  /** The whole change is refused when it is in none of these any more. */
  readonly from: readonly HostState[];
  readonly to: HostState;
  readonly atMs: number;
  readonly group?: string;
  readonly names?: readonly string[];
  readonly addresses?: readonly string[];
  readonly machine?: string;
  readonly hostKeys?: readonly string[];
  /** The next step may be any: the one before was of another machine. */
  readonly forgetStep?: true;
  /** Instead of those it held; refused when another host has one of them. Whoever retires holds none. */
  readonly claims?: readonly string[];
  /** Forgotten unless given. */
  readonly conflict?: { readonly why: string; readonly with?: HostId };
}

/** What one change does to hosts. Parts are applied in the order of the fields. */
export interface HostsChange {
  readonly newToken?: HostToken;
  /** Uses a token once; refused unless it is good at that moment. */
  readonly useToken?: { readonly id: string; readonly atMs: number };
  readonly dropToken?: { readonly id: string; readonly atMs: number };
  /** Pending hosts that asked before that moment are forgotten. */
  readonly forgetPendingBefore?: number;
  /**
   * A host that is enrolled holds its claims (`claimsOf`) alone: the change is refused when another one has one of them. One that begins
   * in conflict holds what is free.
   */
  readonly newHost?: { readonly host: Host; readonly claims: readonly string[] };
  readonly moves?: readonly HostMove[];
  /** Refused unless their serials lie in blocks that this broker reserved and still holds. */
  readonly certificates?: readonly HostCertificate[];
  /** Every certificate of the hosts that is not revoked yet. Counts as an act of revocation. */
  readonly revokeCertificates?: {
    readonly hosts: readonly HostId[];
    readonly atMs: number;
    readonly reason: string;
  };
  /** Refused unless the host is enrolled, the step is higher than the last, and the machine is the one that is known. */
  readonly contact?: Omit<HostContact, 'installedMs'> & { readonly host: HostId; readonly machine: string };
  /** Digest of what bundles hold besides the list. */
  readonly trustDigest?: string;
}

export interface HostQuery {
  readonly state?: HostState;
  readonly group?: string;
  /** Ids above this one, ascending. */
  readonly after?: HostId;
  readonly limit: number;
}

/** Questions about hosts; as `Reads`. */
export interface HostReads {
  host(id: HostId): Promise<Host | undefined>;
  /** Those of them that there are. */
  hostsById(ids: readonly HostId[]): Promise<ReadonlyMap<HostId, Host>>;
  hostByIdentity(identityFingerprint: string): Promise<Host | undefined>;
  /** Who holds each of these, keyed by `name:…`, `address:…` or `key:SHA256:…` as asked; without those that are free. */
  hostClaims(claims: readonly string[]): Promise<ReadonlyMap<string, HostId>>;
  hosts(query: HostQuery): Promise<readonly Host[]>;
  /** How many hosts there are in each state and group. */
  hostCounts(): Promise<
    readonly { readonly state: HostState; readonly group: string; readonly count: number }[]
  >;
  /** Of the enrolled hosts of a group: how many have an older bundle than this version, and how many have had theirs since before that moment. */
  hostLag(
    group: string,
    version: bigint,
    staleBeforeMs: number,
  ): Promise<{ readonly behind: number; readonly stale: number }>;
  hostTokenByHash(hash: Buffer): Promise<HostToken | undefined>;
  hostToken(id: string): Promise<HostToken | undefined>;
  /** The newest first, at most so many. */
  hostTokens(limit: number): Promise<readonly HostToken[]>;
  /** Neither revoked nor expired at `nowMs`, ascending by serial. */
  liveHostCertificates(host: HostId, nowMs: number): Promise<readonly HostCertificate[]>;
  /** As `revokedSerials`, of host certificates. */
  revokedHostSerials(caFingerprint: string, notExpiredBeforeSeconds: bigint): Promise<BigUint64Array>;
  /** Fingerprints of the CAs of which a host certificate expires at or after the given second. */
  hostAuthoritiesInUse(notExpiredBeforeSeconds: bigint): Promise<readonly string[]>;
  trustDigest(): Promise<string | undefined>;
}

/** What a host holds alone, as `hostClaims` takes it. */
export function claimsOf({
  names,
  addresses,
  hostKeys,
}: Pick<Host, 'names' | 'addresses' | 'hostKeys'>): readonly string[] {
  return [
    ...names.map((name) => `name:${name}`),
    ...addresses.map((address) => `address:${address}`),
    ...hostKeys.map((key) => `key:${key}`),
  ];
}
