import type { Person } from '../identity/index.ts';
import { parseAddress, printable, type PersonId, type Principal } from '../kernel/index.ts';
import { didYouMean } from './did-you-mean.ts';
import type { PolicyRefusal } from './grant.ts';
import { isWithin, type Networks } from './networks.ts';
import type { Policy } from './policy.ts';
import { derivePrincipals, type Derivation } from './principals.ts';
import { findMembership, type Who } from './who.ts';

/** What a TLS certificate is for. */
export type TlsKind = 'tls-server' | 'tls-client' | 'windows-logon';
/** `kdc`: a Kerberos key distribution centre that people log on to with certificates. */
export type TlsUsage = 'server' | 'client' | 'kdc';

/** One name of a certificate, in the words of RFC 5280 section 4.2.1.6. */
export interface TlsName {
  readonly kind: 'dns' | 'ip' | 'upn' | 'kerberos';
  readonly value: string;
}

/** A name that a request wants: what is neither DNS nor an address is refused whatever the policy says. */
export interface AskedName {
  readonly kind: string;
  readonly value: string;
}

/** One profile of `tls-profiles`, ready to decide with. */
export interface TlsProfile {
  readonly name: string;
  /** `tls-profiles.ibmi (policy.yaml:40)`. */
  readonly rule: string;
  readonly kind: TlsKind;
  readonly who: Who;
  /** Servers only. `*.example.com` is one label, `**.example.com` any number of them. */
  readonly names: readonly string[];
  readonly addresses: Networks | undefined;
  readonly usages: readonly TlsUsage[];
  /** Servers only: the realm whose KDC it is. */
  readonly kdcRealm: string | undefined;
  /** Clients only: the IBM i profile or account that the certificate is for. */
  readonly account: readonly Derivation[];
  /** Logon only: attributes, in lower case. `sid` undefined: none is written in. */
  readonly logon: {
    readonly upn: string;
    readonly sid: string | undefined;
    readonly realm: string | undefined;
    /** In lower case; none: any. */
    readonly upnSuffixes: readonly string[];
  };
  readonly keyTypes: ReadonlySet<string>;
  readonly rsaMinBits: number;
  readonly lifetime: { readonly defaultSeconds: number; readonly maxSeconds: number };
  /** Whether the broker may make the key pair. */
  readonly newKeys: boolean;
  readonly reasonRequired: boolean;
}

export interface TlsRequest {
  readonly profile: string;
  readonly key: { readonly type: string; readonly bits: number };
  /** The broker makes the pair. */
  readonly newKey: boolean;
  readonly names: readonly AskedName[];
  /** Of a CSR. */
  readonly commonName?: AskedName | undefined;
  readonly ttlSeconds?: number | undefined;
  readonly reason?: string | undefined;
  readonly atMs: number;
}

/** What policy allows, complete. */
export interface TlsGrant {
  readonly profile: string;
  readonly rule: string;
  readonly policyVersion: string;
  readonly kind: TlsKind;
  readonly commonName: string;
  /** At least one for a server; of a person, what a logon needs. */
  readonly names: readonly TlsName[];
  readonly usages: readonly TlsUsage[];
  /** From the directory, never from a request. */
  readonly sid: string | undefined;
  /** The names that only this person may have; none for servers. */
  readonly personal: readonly Principal[];
  /** Seconds; alive from the first to the second, both included. */
  readonly notBefore: bigint;
  readonly notAfter: bigint;
}

export type TlsDecision =
  | { readonly outcome: 'granted'; readonly grant: TlsGrant }
  | { readonly outcome: 'refused'; readonly refusals: readonly PolicyRefusal[] };

const backdateSeconds = 3600n;
/** IBM i: 1 to 10 of A-Z, 0-9 and _, not a digit first; $, # and @ change with the code page. */
const ibmiProfile = /^[A-Z_][A-Z0-9_]{0,9}$/;

/**
 * Decides what a person gets for TLS. Pure; everything is looked at, so that a refusal names all that stands in the way. Names for a
 * person come from the directory alone.
 */
export function decideTls(
  policy: Policy,
  person: Person,
  request: TlsRequest,
  ownerOf: (principal: string) => PersonId | undefined,
): TlsDecision {
  const refusals: PolicyRefusal[] = [];
  const refuse = (code: PolicyRefusal['code'], message: string): void =>
    void refusals.push({ code, message });
  const profile = policy.tlsProfiles.get(request.profile);
  if (profile === undefined) {
    const near = didYouMean(request.profile, policy.tlsProfiles.keys()) || '.';
    refuse('policy.unknown_profile', `There is no TLS profile “${printable(request.profile, 64)}”${near}`);
    return { outcome: 'refused', refusals };
  }
  if (findMembership(profile.who, person) === undefined)
    refuse(
      'policy.not_a_member',
      `The TLS profile “${profile.name}” is not open to you. Ask your administrator.`,
    );
  checkTlsKey(profile, request, refuse);
  if (profile.reasonRequired && (request.reason ?? '').trim() === '')
    refuse('policy.reason_required', `The profile “${profile.name}” wants a reason.`);
  const ttlSeconds = request.ttlSeconds ?? profile.lifetime.defaultSeconds;
  if (ttlSeconds > profile.lifetime.maxSeconds || ttlSeconds < shortestTlsSeconds)
    refuse(
      'policy.lifetime',
      `A certificate of this profile lives ${shortestTlsSeconds / 86_400} to ${profile.lifetime.maxSeconds / 86_400} days.`,
    );
  const identity =
    profile.kind === 'tls-server'
      ? chooseServer(profile, serverNames(request), refuse)
      : choosePerson({ policy, profile, person, asked: request.names, ownerOf, refuse });
  if (refusals.length > 0 || identity === undefined) return { outcome: 'refused', refusals };
  return granted(policy, profile, identity, { atMs: request.atMs, ttlSeconds });
}

/** Bounds of every TLS certificate, whatever the file says. */
export const shortestTlsSeconds = 7 * 86_400;
export const longestTlsSeconds = 397 * 86_400;

type Refuse = (code: PolicyRefusal['code'], message: string) => void;
type Identity = Pick<TlsGrant, 'commonName' | 'names' | 'sid' | 'personal'>;

function checkTlsKey(profile: TlsProfile, { key, newKey }: TlsRequest, refuse: Refuse): void {
  if (newKey && !profile.newKeys)
    refuse(
      'policy.own_key_required',
      `The profile “${profile.name}” takes a CSR only: the key is made where it is used.`,
    );
  if (!profile.keyTypes.has(key.type))
    refuse(
      'policy.key_type',
      `The profile “${profile.name}” takes keys of ${[...profile.keyTypes].join(', ')}.`,
    );
  else if (key.type === 'rsa' && key.bits < profile.rsaMinBits)
    refuse(
      'policy.key_too_small',
      `The profile “${profile.name}” takes RSA of ${profile.rsaMinBits} bits and more.`,
    );
}

function serverNames({ commonName, names }: Pick<TlsRequest, 'commonName' | 'names'>): readonly AskedName[] {
  return commonName === undefined ? names : [commonName, ...names];
}

function chooseServer(
  profile: TlsProfile,
  asked: readonly AskedName[],
  refuse: Refuse,
): Identity | undefined {
  const names: TlsName[] = [];
  for (const name of asked) {
    const { kind, value } = name;
    if (names.some((other) => other.kind === kind && other.value === value)) continue;
    if (!isNameAllowed(profile, name)) {
      const what =
        kind === 'dns' || kind === 'ip'
          ? `The name “${printable(value, 80)}”`
          : `A name of the kind ${printable(kind, 20)}`;
      refuse('policy.name_not_allowed', `${what} is not one that the profile “${profile.name}” gives.`);
    } else names.push({ kind: kind as 'dns' | 'ip', value });
  }
  // RFC 5280 appendix A.1: a common name has 64 characters at most; a longer name stands in the SAN alone.
  const main = names.find((name) => name.value.length <= 64);
  if (asked.length === 0)
    refuse(
      'policy.no_name',
      'No name was asked for: name the host as clients dial it (--name, or in the CSR).',
    );
  if (main === undefined) return undefined;
  const { kdcRealm: realm } = profile;
  if (realm !== undefined) names.push({ kind: 'kerberos', value: `krbtgt/${realm}@${realm}` });
  return { commonName: main.value, names, sid: undefined, personal: [] };
}

function isNameAllowed({ names, addresses }: TlsProfile, { kind, value }: AskedName): boolean {
  if (kind === 'ip') {
    const address = parseAddress(value);
    return address !== undefined && addresses !== undefined && isWithin(address, addresses);
  }
  // A wildcard would be good for hosts that nobody has asked for.
  if (kind !== 'dns' || value.includes('*')) return false;
  return names.some((pattern) => {
    if (pattern.startsWith('**.'))
      return value.endsWith(pattern.slice(2)) && value.length > pattern.length - 2;
    if (!pattern.startsWith('*.')) return value === pattern;
    const [first = '', ...rest] = value.split('.');
    return first !== '' && rest.join('.') === pattern.slice(2);
  });
}

interface PersonQuestion {
  readonly policy: Policy;
  readonly profile: TlsProfile;
  readonly person: Person;
  readonly asked: readonly AskedName[];
  readonly ownerOf: (principal: string) => PersonId | undefined;
  readonly refuse: Refuse;
}

/** The names that a profile of persons gives this one, told to `refuse` where it gives none. */
export function choosePerson(question: PersonQuestion): Identity | undefined {
  const { profile, asked, refuse } = question;
  if (asked.length > 0)
    refuse(
      'policy.name_not_allowed',
      'A person’s certificate names what the directory says of them; a request cannot name anything.',
    );
  return profile.kind === 'tls-client' ? chooseAccount(question) : chooseLogon(question);
}

function chooseAccount({ policy, profile, person, ownerOf, refuse }: PersonQuestion): Identity | undefined {
  for (const derived of derivePrincipals(profile.account, person)) {
    if (derived.outcome === 'bad') continue;
    const account = derived.principal.toUpperCase() as Principal;
    if (!ibmiProfile.test(account)) {
      refuse(
        'policy.bad_account',
        `“${printable(derived.principal, 40)}” cannot be a profile of IBM i: 1 to 10 letters, digits and _.`,
      );
      return undefined;
    }
    // Q12345 may sign on as 12345, and the names that IBM supplies begin with Q.
    if (account.startsWith('Q') || policy.protectedPrincipals.has(account.toLowerCase())) {
      refuse('policy.principal_protected', `The name ${account} comes to nobody.`);
      return undefined;
    }
    if (isTaken(account, { person, ownerOf, refuse })) return undefined;
    return { commonName: account, names: [], sid: undefined, personal: [account] };
  }
  refuse('policy.no_account', `Your directory entry says no account name for the profile “${profile.name}”.`);
  return undefined;
}

function isTaken(
  name: Principal,
  { person, ownerOf, refuse }: Pick<PersonQuestion, 'person' | 'ownerOf' | 'refuse'>,
): boolean {
  const owner = ownerOf(name);
  if (owner === undefined || owner === person.id) return false;
  refuse('policy.principal_taken', `The name ${name} belongs to somebody else. Ask your administrator.`);
  return true;
}

const longestUpn = 128;
const upnGrammar = /^([A-Za-z0-9_.$+-]{1,64})@([A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*)$/;
const sidGrammar = /^S-1-5-21(?:-\d{1,10}){4}$/;

/** What the directory calls the account, not what a UPN begins with: the two may be the names of two people. */
const accountGrammar = /^[A-Za-z0-9_.$+-]{1,64}$/;

function chooseLogon(question: PersonQuestion): Identity | undefined {
  const { policy, profile, person, refuse } = question;
  const { upn: upnAttribute, sid: sidAttribute, realm, upnSuffixes } = profile.logon;
  const [upn, ...others] = person.attributes.get(upnAttribute) ?? [];
  const isUpn = upn !== undefined && others.length === 0 && upn.length <= longestUpn && upnGrammar.test(upn);
  const sids = sidAttribute === undefined ? [] : (person.attributes.get(sidAttribute) ?? []);
  if (!isUpn) refuse('policy.no_upn', `Your directory entry has no usable ${upnAttribute}: one name@domain.`);
  if (sidAttribute !== undefined && (sids.length !== 1 || !sidGrammar.test(sids[0] ?? '')))
    refuse('policy.no_sid', `Your directory entry has no usable ${sidAttribute}.`);
  if (realm !== undefined && !accountGrammar.test(person.login))
    refuse(
      'policy.no_account',
      `“${printable(person.login, 40)}” cannot be the name of a Kerberos principal.`,
    );
  if (!isUpn) return undefined;
  const [name = '', suffix = ''] = upn.split('@');
  if (upnSuffixes.length > 0 && !upnSuffixes.includes(suffix.toLowerCase()))
    refuse(
      'policy.name_not_allowed',
      `The profile “${profile.name}” gives no names @${printable(suffix, 80)}.`,
    );
  for (const account of new Set([name, person.login]))
    if (policy.protectedPrincipals.has(account.toLowerCase()))
      refuse('policy.principal_protected', `The name ${printable(account, 40)} comes to nobody.`);
  const principals = realm === undefined ? [] : [`${person.login}@${realm}`];
  // A KDC may look at either name, and some at no case: neither may ever have been somebody else's.
  const personal = [...new Set([upn, ...principals].map((one) => one.toLowerCase() as Principal))];
  for (const one of personal) isTaken(one, question);
  return {
    commonName: upn.slice(0, 64),
    names: [
      { kind: 'upn', value: upn },
      ...principals.map((value) => ({ kind: 'kerberos' as const, value })),
    ],
    sid: sids[0],
    personal,
  };
}

/**
 * Whether a profile would still give a server these names: what a renewal asks, without a person. @returns the grant, or why not
 */
export function decideTlsRenewal(policy: Policy, request: Omit<TlsRequest, 'reason'>): TlsDecision {
  const refusals: PolicyRefusal[] = [];
  const refuse: Refuse = (code, message) => void refusals.push({ code, message });
  const profile = policy.tlsProfiles.get(request.profile);
  if (profile?.kind !== 'tls-server') {
    refuse(
      'policy.not_renewable',
      `The profile “${printable(request.profile, 64)}” renews nothing by key: ask anew, as the person.`,
    );
    return { outcome: 'refused', refusals };
  }
  checkTlsKey(profile, request, refuse);
  const identity = chooseServer(profile, serverNames(request), refuse);
  if (refusals.length > 0 || identity === undefined) return { outcome: 'refused', refusals };
  const ttlSeconds = Math.min(
    request.ttlSeconds ?? profile.lifetime.defaultSeconds,
    profile.lifetime.maxSeconds,
  );
  return granted(policy, profile, identity, { atMs: request.atMs, ttlSeconds });
}

function granted(
  { policyVersion }: Policy,
  { name, rule, kind, usages }: TlsProfile,
  identity: Identity,
  { atMs, ttlSeconds }: { readonly atMs: number; readonly ttlSeconds: number },
): TlsDecision {
  const now = BigInt(Math.floor(atMs / 1000));
  const validity = { notBefore: now - backdateSeconds, notAfter: now + BigInt(ttlSeconds) };
  return {
    outcome: 'granted',
    grant: { profile: name, rule, policyVersion, kind, usages, ...identity, ...validity },
  };
}
