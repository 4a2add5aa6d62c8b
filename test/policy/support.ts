import type { Group, Person } from '../../src/identity/index.ts';
import { isCodedError, parsePersonId } from '../../src/kernel/index.ts';
import { decideUserCertificate, parsePolicy } from '../../src/policy/index.ts';
import type {
  OwnerOf,
  Policy,
  UserCertificateRequest,
  UserDecision,
  UserGrant,
} from '../../src/policy/index.ts';

/** A Friday, 2027-01-15T08:00:00Z. */
export const atMs = 1_800_000_000_000;

export interface PersonParts {
  readonly id?: string;
  readonly directory?: string;
  readonly login?: string;
  readonly groups?: readonly Group[];
  readonly attributes?: Readonly<Record<string, readonly string[]>>;
}

/** Alice of the built-in directory, in the group users, unless said otherwise. */
export function makePerson(parts: PersonParts = {}): Person {
  const login = parts.login ?? 'alice';
  const directory = parts.directory ?? 'builtin';
  return {
    id: parsePersonId(parts.id ?? `${directory}:id-${login}`),
    directory,
    login,
    attributes: new Map(Object.entries(parts.attributes ?? { uid: [login] })),
    groups: parts.groups ?? [{ name: 'users' }],
  };
}

/** An Ed25519 key from 192.0.2.7, asking for whatever policy gives, unless said otherwise. */
export function makeRequest(parts: Partial<UserCertificateRequest> = {}): UserCertificateRequest {
  return { key: { type: 'ssh-ed25519', bits: 256 }, sourceAddress: '192.0.2.7', atMs, ...parts };
}

/** A policy with one profile `p` for builtin:users, whose further lines are given without indentation. */
export function onePolicy(...lines: readonly string[]): Policy {
  const has = (key: string): boolean => lines.some((line) => line.startsWith(`${key}:`));
  const body = [
    ...(has('who') ? [] : ['who: {groups: [builtin:users]}']),
    ...(has('principals') ? [] : ['principals: {from: [{attribute: uid}]}']),
    ...lines,
  ];
  return parsePolicy(
    ['version: 1', 'profiles:', '  p:', ...body.map((line) => `    ${line}`)].join('\n'),
    'policy.yaml',
  );
}

export const nobodyOwns: OwnerOf = () => undefined;

export function decide(
  policy: Policy,
  person?: PersonParts,
  request?: Partial<UserCertificateRequest>,
): UserDecision {
  return decideUserCertificate(policy, makePerson(person), makeRequest(request), nobodyOwns);
}

/** The grant of a decision that must be one. */
export function granted(decision: UserDecision): UserGrant {
  if (decision.outcome === 'granted') return decision.grant;
  throw new Error(`refused: ${decision.refusals.map(({ message }) => message).join(' ')}`);
}

/** Codes of a decision's refusals; none when it was granted. */
export function codesOf(decision: UserDecision): string[] {
  return decision.outcome === 'granted' ? [] : decision.refusals.map(({ code }) => code);
}

/** The problems that parsing reports, a line each; none when the text is a policy. */
export function problemsOf(text: string | Uint8Array, options?: Parameters<typeof parsePolicy>[2]): string[] {
  try {
    parsePolicy(text, 'policy.yaml', options);
    return [];
  } catch (error) {
    if (!isCodedError(error, 'policy.invalid')) throw error;
    return error.message.split('\n').slice(1);
  }
}

/** A profile `p` with the lines given, from line 4 on, indented by four. */
export function profile(...lines: readonly string[]): string {
  return ['version: 1', 'profiles:', '  p:', ...lines.map((line) => `    ${line}`)].join('\n');
}

export const who = 'who: {groups: [builtin:users]}';
export const names = 'principals: {explicit: [deploy]}';
export const complete = [who, names];
