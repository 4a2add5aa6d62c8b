import type { Principal } from '../kernel/index.ts';

/** What policy needs to know of a public key; ssh/ measures it, policy never parses keys. */
export interface KeyFacts {
  /** SSH type name of the plain key, e.g. `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`, `sk-ssh-ed25519@openssh.com`. */
  readonly type: string;
  /** Bits of the modulus for RSA, of the curve otherwise. */
  readonly bits: number;
}

/** What somebody asks for. Everything left out means "what policy gives"; whatever is said can only narrow it. */
export interface UserCertificateRequest {
  readonly key: KeyFacts;
  readonly profile?: string;
  readonly principals?: readonly string[];
  readonly ttlSeconds?: number;
  /** Only these of the profile's extensions; an empty list asks for none. */
  readonly extensions?: readonly string[];
  readonly reason?: string;
  /** Where the request comes from: IPv4 or IPv6 text. */
  readonly sourceAddress: string;
  readonly atMs: number;
}

/** What policy allows, complete: issuance adds serial, key id and nonce, and nothing else. */
export interface UserGrant {
  readonly profile: string;
  /** Rule in words with its line, e.g. `profiles.users (policy.yaml:12)`. */
  readonly rule: string;
  /** SHA-256 of the policy file, hex. */
  readonly policyVersion: string;
  /** It leaves only when a quorum of witnesses has cosigned a checkpoint that covers its entry. */
  readonly requireWitness: boolean;
  /** At least one, without duplicates. */
  readonly principals: readonly Principal[];
  /** The subset of `principals` derived from the person's own attributes: each belongs to one person only. */
  readonly personalPrincipals: readonly Principal[];
  /** Seconds since the epoch; valid when after <= now < before. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  /** Name to value; flags have the empty string. */
  readonly criticalOptions: ReadonlyMap<string, string>;
  readonly extensions: ReadonlyMap<string, string>;
}

/**
 * One step of the decision, for `policy explain`: what was looked at, what came of it, and the line that said so. It names
 * no other person.
 */
export interface DecisionStep {
  readonly part: string;
  readonly outcome: 'given' | 'refused' | 'skipped';
  readonly because: string;
  readonly line?: number;
}

export interface PolicyRefusal {
  /** Stable, `policy.…`: e.g. `policy.no_profile`, `policy.key_too_small`, `policy.principal_taken`. */
  readonly code: `policy.${string}`;
  /** For the person: cause and next step. */
  readonly message: string;
  /** For the log only, never for the person: e.g. `principal`, `person` and `owner` of a collision. */
  readonly forLog?: Readonly<Record<string, string>>;
}

export type UserDecision =
  | { readonly outcome: 'granted'; readonly grant: UserGrant; readonly steps: readonly DecisionStep[] }
  | {
      readonly outcome: 'refused';
      readonly refusals: readonly PolicyRefusal[];
      readonly steps: readonly DecisionStep[];
    };

export type Role = 'admin' | 'auditor' | 'user';
