import type { Principal } from '../kernel/index.ts';
import type { HostGroup } from './host-group.ts';
import type { DecisionStep } from './grant.ts';
import type { Networks } from './networks.ts';
import type { Derivation } from './principals.ts';
import type { TlsProfile } from './tls.ts';
import type { Who } from './who.ts';
import type { WeeklyWindow } from './windows.ts';

/** An explicit principal and the step that says it was given. */
export interface ExplicitPrincipal {
  readonly principal: Principal;
  readonly given: DecisionStep;
}

/** One profile, ready to decide with. Steps that never vary are built once, at load. */
export interface Profile {
  readonly name: string;
  /** `profiles.users (policy.yaml:12)`. */
  readonly rule: string;
  readonly line: number;
  readonly who: Who;
  readonly explicit: readonly ExplicitPrincipal[];
  /** Explicit principals in lower case. */
  readonly explicitFolded: ReadonlySet<string>;
  readonly derivations: readonly Derivation[];
  readonly lifetime: {
    readonly minSeconds: number;
    readonly defaultSeconds: number;
    readonly maxSeconds: number;
    readonly line: number;
    readonly byDefault: DecisionStep;
  };
  readonly keys: {
    readonly types: ReadonlySet<string>;
    readonly rsaMinBits: number;
    readonly securityKeyRequired: boolean;
    readonly line: number;
    /** By SSH key type. */
    readonly given: ReadonlyMap<string, DecisionStep>;
  };
  /** Networks that requests may come from; undefined for anywhere. */
  readonly sources: Networks | undefined;
  /** The mandatory `source-address` list, against which a bound address is checked; undefined when there is none. */
  readonly sourceAddress: Networks | undefined;
  readonly bindSourceAddress: boolean;
  /** Empty for always. */
  readonly windows: readonly WeeklyWindow[];
  readonly outliveWindow: boolean;
  readonly reasonRequired: boolean;
  readonly reasonLine: number;
  /** Certificates are handed out only when a quorum of witnesses has cosigned their entry. */
  readonly requireWitness: boolean;
  /** Name to value, without a bound source address. */
  readonly criticalOptions: ReadonlyMap<string, string>;
  readonly extensions: ReadonlyMap<string, string>;
  /** Steps that are the same for everybody who gets this profile. */
  readonly always: readonly DecisionStep[];
  readonly notMember: DecisionStep;
}

/** A loaded policy file: immutable, and the only thing that decisions read. */
export interface Policy {
  readonly fileName: string;
  /** SHA-256 of the file's bytes, lower-case hex. */
  readonly policyVersion: string;
  readonly admin: Who;
  readonly auditor: Who;
  /** In lower case: account names that come to nobody unless a profile names them explicitly. */
  readonly protectedPrincipals: ReadonlySet<string>;
  /** In file order, which decides when the caller names none. */
  readonly profiles: readonly Profile[];
  readonly profileByName: ReadonlyMap<string, Profile>;
  /** Profiles of `tls-profiles` by name. */
  readonly tlsProfiles: ReadonlyMap<string, TlsProfile>;
  /** Explicit principals in lower case, with the profiles that give them: a derived name must not reach a shared account. */
  readonly sharedPrincipals: ReadonlyMap<string, readonly Profile[]>;
  /** By name; `default` is always there. */
  readonly hostGroups: ReadonlyMap<string, HostGroup>;
  /** Directory attributes that decisions read, in lower case. */
  readonly attributes: ReadonlySet<string>;
}
