import type { LogSigner, TileTree } from '../accounting/index.ts';
import type {
  DpopVerifier,
  Identity,
  LoginThrottle,
  Session,
  SharedLoginThrottle,
} from '../identity/index.ts';
import type { Person } from '../identity/index.ts';
import type { SshUserIssuer } from '../issuance/index.ts';
import type { Clock, RandomBytes } from '../kernel/index.ts';
import type { Policy, Role } from '../policy/index.ts';
import type { LogDelivery } from './deliver-log.ts';
import type { Cosigning } from './cosign-checkpoint.ts';
import type { CheckpointKeep } from './kept-checkpoint.ts';
import type { DirectoryFollower } from './follow-departures.ts';
import type { HostRooms } from './host-rooms.ts';
import type { Quota } from './hourly-quota.ts';
import type { LoginRules } from './judge-logins.ts';
import type { KrlPublisher } from './publish-krl.ts';
import type { Quarantine } from './decide-response.ts';
import type { ResponseLimits, ResponseRule } from './respond-to-logins.ts';
import type { SerialSource } from './serial-source.ts';
import type { TlsRoom } from './tls-room.ts';
import type { Store } from './unit-of-work.ts';

/** Everything the flows work with. Made once, in main. */
export interface Rooms {
  readonly store: Store;
  readonly identity: Identity;
  readonly throttle: LoginThrottle | SharedLoginThrottle;
  readonly proofs: DpopVerifier;
  /** The policy in force now: a reload replaces it whole. */
  readonly policy: () => Policy;
  readonly issuer: SshUserIssuer;
  readonly serials: SerialSource;
  /** Certificates that one person asks for, granted or not. */
  readonly certificateQuota: Quota;
  /** Entries that one person without a role makes by looking, or anybody by trying what is not permitted. */
  readonly lookQuota: Quota;
  readonly logSigner: LogSigner;
  /** The tree of the log, for proofs. */
  readonly tree: TileTree;
  /** Where the newest checkpoint is kept outside of the database. */
  readonly checkpointKeep: CheckpointKeep;
  /** Asks the witnesses; undefined: there are none, and a rollback by the operator is not excluded. */
  readonly cosigning?:
    Pick<Cosigning, 'look' | 'covering' | 'newest' | 'isFailing' | 'quorum' | 'states'> | undefined;
  readonly krl: KrlPublisher;
  readonly hosts: HostRooms;
  /** Undefined: this broker has no authority for TLS. */
  readonly tls?: TlsRoom | undefined;
  readonly delivery: Pick<LogDelivery, 'states'>;
  /** Those who follow the directories' changes; one for each. */
  readonly followers: readonly Pick<DirectoryFollower, 'state'>[];
  readonly authority: Authority;
  readonly counters: Counters;
  readonly loginRules: LoginRules;
  readonly responses: Responses;
  readonly sessionLifetimeMs: number;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/** What is done about logins that nothing explains, and how far it may go. */
export interface Responses {
  readonly rules: readonly ResponseRule[];
  readonly limits: ResponseLimits;
  /** @returns whether one more certificate may be revoked because of what that host reports. */
  mayRevoke(hostId: string): boolean;
  /** @throws CodedError `responses.unknown_quarantine` when it is not configured any more. */
  quarantine(name: string): Quarantine;
  /** Armoured SSHSIG by the list key, namespace `quarantine-request@sallyport`. */
  sign(document: Buffer): Promise<string>;
}

/** What the flows count, for metrics. */
export interface Counters {
  issued(profile: string): void;
  revoked(count: number): void;
  /** A login on a host that was judged. */
  login(verdict: string): void;
}

/** The public keys of this broker, as anybody may know them. */
export interface Authority {
  readonly sshUserCa: {
    readonly publicKey: string;
    readonly fingerprint: string;
    readonly algorithm: string;
  };
  /** Signs host certificates, and nothing else. */
  readonly sshHostCa: {
    readonly publicKey: string;
    readonly fingerprint: string;
    readonly algorithm: string;
  };
  /** Signs the published lists, and the trust bundles of hosts. */
  readonly listKey: { readonly publicKey: string; readonly fingerprint: string };
  /** C2SP verifier key of the accounting log. */
  readonly log: {
    readonly origin: string;
    readonly verifierKey: string;
    /** Whose cosignatures the policy asks for; null: nobody witnesses this log. */
    readonly quorum: string | null;
  };
}

/** Where a request comes from; goes into every entry it causes. */
export interface Caller {
  readonly requestId: string;
  /** IPv4 or IPv6 text, of the connection itself. */
  readonly sourceAddress: string;
  readonly userAgent?: string;
}

/** A caller with a live session, whom the directory confirmed just now. */
export interface SignedIn extends Caller {
  readonly session: Session;
  readonly person: Person;
  /** The person's epoch when the session was opened: a revocation since then ends whatever is under way. */
  readonly epoch: number;
  readonly roles: ReadonlySet<Role>;
}
