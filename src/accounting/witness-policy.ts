import { isUtf8 } from 'node:buffer';
import { CodedError, decodeBase64, isCodedError, printable, sha256 } from '../kernel/index.ts';
import { parseOrigin } from './checkpoint.ts';
import { type CosignerKey, parseCosignerKey } from './cosignature.ts';

/** A witness that a policy names. */
export interface PolicyWitness {
  /** Its name within the policy: what the quorum speaks of. */
  readonly name: string;
  readonly key: CosignerKey;
  /** Where it takes checkpoints; undefined when the policy does not say. */
  readonly url: string | undefined;
}

interface Group {
  readonly name: string;
  readonly threshold: number;
  readonly members: readonly string[];
}

/** Whose cosignatures make a checkpoint good. */
export interface WitnessPolicy {
  /** Verifier keys of the logs it is for; none: any. */
  readonly logs: readonly string[];
  readonly witnesses: readonly PolicyWitness[];
  /** Each names witnesses and groups before it only. */
  readonly groups: readonly Group[];
  /** A witness, a group, or `none`. */
  readonly quorum: string;
}

const maxPolicyBytes = 256 * 1024;
/** C2SP tlog-policy asks for at least 32 of each. */
const mostOfAKind = 128;
const noQuorum = 'none';

/**
 * Reads a policy file (C2SP tlog-policy), strictly: a line that means nothing refuses the file.
 * @param file its name, for messages. @throws CodedError `accounting.bad_witness_policy` naming file and line
 */
export function parseWitnessPolicy(bytes: Uint8Array, file: string): WitnessPolicy {
  const reading = new Reading(file);
  if (bytes.length > maxPolicyBytes) throw reading.refuse(`it is longer than ${maxPolicyBytes} bytes`);
  if (!isUtf8(bytes)) throw reading.refuse('it is not UTF-8');
  const lines = Buffer.from(bytes).toString('utf8').split('\n');
  // Each line ends in LF. A file cut off within a name would otherwise speak of another one.
  const rest = lines.pop();
  for (const line of lines) reading.line(line);
  if (rest !== '') throw reading.refuse('its last line does not end');
  return reading.finish();
}

/** True when those that cosigned are enough. @param cosigned names of witnesses within the policy */
export function meetsQuorum({ groups, quorum }: WitnessPolicy, cosigned: ReadonlySet<string>): boolean {
  const witnessed = new Set(cosigned);
  for (const { name, threshold, members } of groups) {
    if (members.filter((member) => witnessed.has(member)).length >= threshold) witnessed.add(name);
  }
  return quorum === noQuorum || witnessed.has(quorum);
}

/** True when the policy asks for at least one cosignature. */
export function asksForWitness({ quorum }: WitnessPolicy): boolean {
  return quorum !== noQuorum;
}

/** The file so far. */
class Reading {
  readonly #file: string;
  #line = 0;
  readonly #logs = new Map<string, string>();
  readonly #witnesses = new Map<string, PolicyWitness>();
  readonly #witnessKeys = new Set<string>();
  readonly #groups = new Map<string, Group>();
  readonly #members = new Set<string>();
  #quorum: string | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  line(text: string): void {
    this.#line += 1;
    for (const char of text)
      if ((char < ' ' && char !== '\t') || char === '\u007f')
        throw this.refuse('it has a control character; lines end in LF alone');
    const [keyword, ...items] = text.split(/[ \t]+/).filter((item) => item !== '');
    if (keyword === undefined || keyword.startsWith('#')) return;
    switch (keyword) {
      case 'log':
        return this.#log(items);
      case 'witness':
        return this.#witness(items);
      case 'group':
        return this.#group(items);
      case 'quorum':
        return this.#setQuorum(items);
      default:
        throw this.refuse(
          `“${printable(keyword, 40)}” is none of log, witness, group, quorum, or # for a comment`,
        );
    }
  }

  finish(): WitnessPolicy {
    if (this.#quorum === undefined)
      throw this.refuse('it has no quorum line; `quorum none` asks for no witness');
    return {
      logs: [...this.#logs.values()],
      witnesses: [...this.#witnesses.values()],
      groups: [...this.#groups.values()],
      quorum: this.#quorum,
    };
  }

  refuse(why: string): CodedError {
    const place = this.#line === 0 ? this.#file : `${this.#file}:${this.#line}`;
    return new CodedError('accounting.bad_witness_policy', `${place}: ${why}.`, {
      next: 'Correct the file; docs/operations/witness.md shows one.',
    });
  }

  #log([key = '', , ...more]: readonly string[]): void {
    if (key === '' || more.length > 0) throw this.refuse('it is not of the form: log KEY [URL]');
    const [, name = '', id, encoded = ''] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})$/.exec(key) ?? [];
    const typed = decodeBase64(encoded);
    const named = sha256(`${name}\n`, typed ?? '').toString('hex', 0, 4);
    if (!isOrigin(name) || typed?.[0] !== 1 || named !== id)
      throw this.refuse('the key is not the verifier key of a log (Ed25519, type 0x01)');
    if (this.#logs.has(encoded)) throw this.refuse('the log’s key was given before');
    this.#logs.set(encoded, key);
    this.#bound(this.#logs.size, 'logs');
  }

  #witness([name, vkey, url, ...more]: readonly string[]): void {
    if (name === undefined || vkey === undefined || more.length > 0)
      throw this.refuse('it is not of the form: witness NAME KEY [URL]');
    this.#define(name);
    const key = this.#cosignerKey(vkey);
    const raw = key.raw.toString('base64');
    if (this.#witnessKeys.has(raw)) throw this.refuse('another witness has the same key');
    this.#witnessKeys.add(raw);
    this.#witnesses.set(name, { name, key, url });
    this.#bound(this.#witnesses.size, 'witnesses');
  }

  #group([name, count, ...members]: readonly string[]): void {
    if (name === undefined || count === undefined || members.length === 0)
      throw this.refuse('it is not of the form: group NAME all|any|NUMBER MEMBER…');
    this.#define(name);
    for (const member of members) {
      this.#mustBeKnown(member);
      // So that no witness counts twice.
      if (this.#members.has(member))
        throw this.refuse(`“${printable(member, 60)}” is a member of a group already`);
      this.#members.add(member);
    }
    const threshold = count === 'any' ? 1 : count === 'all' ? members.length : decimal(count);
    if (threshold < 1 || threshold > members.length)
      throw this.refuse(`it must ask for all, any, or 1 to ${members.length} of its members`);
    this.#groups.set(name, { name, threshold, members });
    this.#bound(this.#groups.size, 'groups');
  }

  #setQuorum([name, ...more]: readonly string[]): void {
    if (name === undefined || more.length > 0) throw this.refuse('it is not of the form: quorum NAME');
    if (this.#quorum !== undefined) throw this.refuse('there is a quorum line already');
    if (name !== noQuorum) this.#mustBeKnown(name);
    this.#quorum = name;
  }

  #define(name: string): void {
    if (name === noQuorum || this.#witnesses.has(name) || this.#groups.has(name))
      throw this.refuse(`the name “${printable(name, 60)}” is taken`);
  }

  #mustBeKnown(name: string): void {
    if (!this.#witnesses.has(name) && !this.#groups.has(name))
      throw this.refuse(`no line above defines “${printable(name, 60)}”`);
  }

  #bound(count: number, what: string): void {
    if (count > mostOfAKind) throw this.refuse(`there are more than ${mostOfAKind} ${what}`);
  }

  #cosignerKey(text: string): CosignerKey {
    try {
      return parseCosignerKey(text);
    } catch (error) {
      if (isCodedError(error, 'accounting.bad_witness_key'))
        throw this.refuse(error.message.replace(/\.$/, ''));
      throw error;
    }
  }
}

function decimal(text: string): number {
  return /^[1-9]\d{0,5}$/.test(text) ? Number(text) : 0;
}

function isOrigin(name: string): boolean {
  try {
    return parseOrigin(name) !== '';
  } catch (error) {
    if (isCodedError(error, 'accounting.bad_origin')) return false;
    throw error;
  }
}
