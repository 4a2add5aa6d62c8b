import { cosignatureState, parseWitnessKey, type PinnedWitness } from './cosignature.ts';
import { parsePinnedKey } from './note.ts';
import type { Finding } from './verdict.ts';

/** Something that may have witnessed a checkpoint: a witness, or a number of others. */
type Voter =
  | { readonly kind: 'witness'; readonly label: string; readonly witness: PinnedWitness }
  | { readonly kind: 'group'; readonly needed: number; readonly members: readonly Voter[] };

/** A policy file as the auditor holds it (C2SP tlog-policy). */
export interface PinnedPolicy {
  /** Keys of the logs that it is for, as text; empty: for any. */
  readonly logs: readonly string[];
  readonly witnesses: readonly Extract<Voter, { kind: 'witness' }>[];
  /** Undefined: `quorum none`. */
  readonly quorum: Voter | undefined;
}

const maxChars = 256 * 1024;
const maxVoters = 256;

/** Reads a policy file. @returns what is wrong with it, and on which line, when it is none */
export function parsePinnedPolicy(text: string): PinnedPolicy | string {
  if (text.length > maxChars) return 'the policy is too long';
  if (!text.endsWith('\n')) return 'the last line of the policy does not end';
  const voters = new Map<string, Voter>();
  const grouped = new Set<string>();
  const logs = new Map<string, string>();
  const identities = new Set<string>();
  let quorum: { readonly voter: Voter | undefined } | undefined;
  for (const [nth, line] of text.slice(0, -1).split('\n').entries()) {
    const fault = read(line);
    if (fault !== undefined) return `line ${nth + 1} of the policy ${fault}`;
  }
  if (quorum === undefined) return 'the policy has no quorum line';
  const witnesses = [...voters.values()].filter((voter) => voter.kind === 'witness');
  return { logs: [...logs.values()], witnesses, quorum: quorum.voter };

  function read(line: string): string | undefined {
    if (!isPlain(line)) return 'has a control character';
    const words = line.match(/[^ \t]+/g) ?? [];
    const [keyword = '#', first = '', second = '', ...others] = words;
    if (keyword.startsWith('#')) return undefined;
    if (keyword === 'log') return words.length > 3 ? 'has too many words' : readLog(first);
    if (keyword === 'witness') return words.length > 4 ? 'has too many words' : readWitness(first, second);
    if (keyword === 'group') return readGroup(first, second, others);
    if (keyword === 'quorum') return words.length === 2 ? readQuorum(first) : 'names no quorum, or several';
    return 'begins with none of log, witness, group and quorum';
  }

  function readLog(key: string): string | undefined {
    if (parsePinnedKey(key) === undefined) return 'does not hold the verifier key of a log';
    const identity = key.split('+').slice(2).join('+');
    if (logs.has(identity)) return 'repeats a log';
    logs.set(identity, key);
    return logs.size > maxVoters ? 'is one log too many' : undefined;
  }

  function readWitness(label: string, key: string): string | undefined {
    const witness = parseWitnessKey(key);
    if (witness === undefined) return 'does not hold the verifier key of a witness (type 0x04)';
    if (identities.has(witness.identity)) return 'repeats the key of a witness';
    identities.add(witness.identity);
    return define(label, { kind: 'witness', label, witness });
  }

  function readGroup(label: string, count: string, names: readonly string[]): string | undefined {
    const members: Voter[] = [];
    for (const name of names) {
      const voter = voters.get(name);
      if (voter === undefined) return 'names a member that no line above it defines';
      if (grouped.has(name)) return 'names a member that belongs to a group already';
      grouped.add(name);
      members.push(voter);
    }
    if (members.length === 0) return 'is a group without members';
    const needed = count === 'all' ? members.length : count === 'any' ? 1 : decimal(count);
    if (needed === undefined || needed > members.length)
      return 'asks for a number of members that is not there';
    return define(label, { kind: 'group', needed, members });
  }

  function readQuorum(name: string): string | undefined {
    if (quorum !== undefined) return 'is a second quorum line';
    const voter = voters.get(name);
    if (voter === undefined && name !== 'none') return 'names a quorum that no line above it defines';
    quorum = { voter };
    return undefined;
  }

  function define(label: string, voter: Voter): string | undefined {
    if (label === 'none' || voters.has(label)) return 'defines a name a second time';
    voters.set(label, voter);
    return voters.size > maxVoters ? 'is one witness or group too many' : undefined;
  }
}

/** Reads a policy file for one log. @returns what is wrong with it when it is none, or is for other logs alone */
export function policyFor(text: string, verifierKey: string): PinnedPolicy | string {
  const policy = parsePinnedPolicy(text);
  if (typeof policy === 'string' || policy.logs.length === 0 || policy.logs.includes(verifierKey))
    return policy;
  return 'the policy lists other logs, and not this one';
}

/**
 * Judges the signature lines of a checkpoint. A listed witness whose line is wrong makes it `failed`: nobody but a forger has a
 * reason to write one. Too few: `incomplete`. Lines of keys that are not listed count for nothing.
 */
export function judgeWitnesses(text: string, lines: readonly string[], policy: PinnedPolicy): Finding {
  const valid = new Set<PinnedWitness>();
  for (const { label, witness } of policy.witnesses) {
    const state = cosignatureState(text, lines, witness);
    if (state === 'broken')
      return { state: 'failed', detail: `The cosignature of ${printed(label)} is wrong.` };
    if (state === 'valid') valid.add(witness);
  }
  const names = policy.witnesses
    .filter(({ witness }) => valid.has(witness))
    .map(({ label }) => printed(label));
  const count = `${valid.size} of ${policy.witnesses.length} witnesses cosigned it`;
  const said = names.length === 0 ? count : `${count} (${names.join(', ')})`;
  if (policy.quorum === undefined)
    return { state: 'not_checked', detail: `${said}, and the policy asks for none.` };
  return counts(policy.quorum, valid)
    ? { state: 'verified', detail: `${said}, which is the quorum.` }
    : { state: 'incomplete', detail: `${said}, which is not the quorum.` };
}

function counts(voter: Voter, valid: ReadonlySet<PinnedWitness>): boolean {
  if (voter.kind === 'witness') return valid.has(voter.witness);
  return voter.members.filter((member) => counts(member, valid)).length >= voter.needed;
}

function decimal(text: string): number | undefined {
  return /^[1-9]\d{0,5}$/.test(text) ? Number(text) : undefined;
}

/** TAB is the one control character that a line may hold; octets from 0x80 on mean nothing here. */
function isPlain(line: string): boolean {
  return Array.from(line).every((char) => char === '\t' || (char >= ' ' && char !== '\u007f'));
}

/** Names come from a file: nothing but printable ASCII of them reaches a terminal. */
function printed(name: string): string {
  return name.replaceAll(/[^!-~]/gu, '?').slice(0, 60);
}
