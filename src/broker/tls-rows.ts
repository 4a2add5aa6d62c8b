import type { Branded, PersonId } from '../kernel/index.ts';
import type { RevocationReason, TlsKind } from './tls-words.ts';

/** 20 random octets, 40 hex digits in lower case. */
export type X509Serial = Branded<string, 'X509Serial'>;

/** What is to serve a certificate. */
export interface ServedBy {
  /** Words of the asker's own: of IBM i, those of its catalogue. */
  readonly applications: readonly string[];
  /** In the store of those applications. */
  readonly label?: string;
}

/** An X.509 certificate as the database knows it: one row per certificate that was released. */
export interface TlsCredential {
  /** `SHA256:…` of the key of its authority. */
  readonly caFingerprint: string;
  readonly serial: X509Serial;
  readonly kind: TlsKind;
  /** Who asked for it; of a renewal by key, who asked for the first one. */
  readonly personId: PersonId;
  /** Whose credential it is: it dies with their access. Undefined: a server's, which lives on when the asker leaves. */
  readonly subjectId?: PersonId;
  /** The asker's login at the time of issue, for people to read. */
  readonly login: string;
  readonly profile: string;
  readonly commonName: string;
  /** `dns:…`, `ip:…`, `upn:…`, `kerberos:…`. */
  readonly names: readonly string[];
  /** `rsa`, `ecdsa-p256`, `ecdsa-p384`. */
  readonly keyType: string;
  /** `SHA256:…` of the plain key, as for SSH. */
  readonly keyFingerprint: string;
  /** Seconds; alive from the first to the second, both included. */
  readonly notBefore: bigint;
  readonly notAfter: bigint;
  readonly issuedMs: number;
  /** The one that it took the place of. */
  readonly renews?: X509Serial;
  /** As whoever asked for it said: to plan its renewal by, and for nothing else. */
  readonly servedBy?: ServedBy;
  readonly revokedMs?: number;
  readonly revokedReason?: string;
  /** What CRL and OCSP say. */
  readonly revokedCode?: RevocationReason;
}

/** With its place in the order of issue, for going on from there. */
export interface StoredTlsCredential extends TlsCredential {
  readonly row: bigint;
}

export type TlsTarget =
  | { readonly kind: 'person'; readonly personId: PersonId }
  | { readonly kind: 'serial'; readonly serial: X509Serial }
  | { readonly kind: 'key'; readonly fingerprint: string }
  | { readonly kind: 'before'; readonly beforeMs: number };

export interface TlsQuery {
  /** Asked for by, or the credential of. */
  readonly personId?: PersonId;
  /** Only neither expired nor revoked. */
  readonly live: boolean;
  /** Only those that end before this second. */
  readonly endsBefore?: bigint;
  /** Rows below this one, newest first. */
  readonly before?: bigint;
  readonly limit: number;
  readonly nowMs: number;
}

/** One line of a CRL. `act` counts revocations of X.509 certificates: what a delta holds are those after the act of its base. */
export interface RevokedTls {
  readonly serial: X509Serial;
  readonly revokedMs: number;
  readonly reason: RevocationReason;
  readonly act: number;
}

/** A full list and its delta, published together under one number. */
export interface CrlPublication {
  readonly caFingerprint: string;
  readonly number: bigint;
  readonly publishedMs: number;
  readonly nextUpdateMs: number;
  /** DER. Served as they are. */
  readonly full: Buffer;
  readonly delta: Buffer;
  /** `tlsRevocationCount()` at the time of building. */
  readonly acts: number;
  /** What the delta goes on from, and what the next ones will, when nobody holds a full list from before it any more. */
  readonly base: CrlBase;
  readonly nextBase: CrlBase;
}

export interface CrlBase {
  readonly number: bigint;
  readonly acts: number;
  readonly publishedMs: number;
}

/** An authority by its key. */
export interface KnownAuthority {
  readonly caFingerprint: string;
  /** SHA-256 of its certificate, hex; empty: from before it was kept. */
  readonly certificate: string;
}

/** The part of a change that is about X.509; applied after guards and people, before lists. */
export interface TlsChange {
  /** Authorities that sign here for the first time, or have a new certificate. */
  readonly authorities?: readonly (KnownAuthority & {
    readonly name: string;
    readonly atMs: number;
  })[];
  readonly credential?: TlsCredential;
  readonly revoke?: {
    readonly serials: readonly X509Serial[];
    readonly atMs: number;
    /** In the admin's own words. */
    readonly reason: string;
    /** In the words of RFC 5280. */
    readonly code: RevocationReason;
  };
  /** Refused with `store.conflict` unless its number is above the one that is there. */
  readonly crl?: CrlPublication;
}

/** Questions about X.509. */
export interface TlsReads {
  tlsCredential(serial: X509Serial): Promise<StoredTlsCredential | undefined>;
  /** Live ones (not revoked, not expired at `nowMs`) that the target names. */
  liveTls(target: TlsTarget, nowMs: number): Promise<readonly StoredTlsCredential[]>;
  /** True when the target names anything that was ever issued. */
  everIssuedTls(target: TlsTarget): Promise<boolean>;
  tlsCredentials(query: TlsQuery): Promise<readonly StoredTlsCredential[]>;
  /** Revoked after an act, not expired before the second; in the order of the acts. */
  revokedTls(
    caFingerprint: string,
    afterAct: number,
    notExpiredBefore: bigint,
  ): Promise<readonly RevokedTls[]>;
  /** Counts every act of revocation of X.509 certificates ever committed. */
  tlsRevocationCount(): Promise<number>;
  crlPublication(caFingerprint: string): Promise<CrlPublication | undefined>;
  /** The number of that publication alone. */
  crlNumber(caFingerprint: string): Promise<bigint | undefined>;
  /** The authorities that signed here, with the last certificate of each. */
  tlsAuthorities(): Promise<readonly KnownAuthority[]>;
}
