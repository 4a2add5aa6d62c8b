import { type Entry, isRecord, type Json, parseEntry } from './entry.ts';
import { checkpointText, decodeBase64, openCheckpoint, parsePinnedKey } from './note.ts';
import { leafHash, rootFromPath } from './tree.ts';
import { exitCodeOf, type Finding } from './verdict.ts';
import { judgeWitnesses, policyFor } from './witnesses.ts';

/** First line of a receipt, by which it is told from a bundle. */
export const proofHeader = 'c2sp.org/tlog-proof@v1';
/** No receipt is longer: an entry, 64 hashes, and a checkpoint with all its signature lines. */
export const maxProofBytes = 256 * 1024;

/** The certificate that somebody holds, and wants to see in the log. */
export interface HeldCertificate {
  readonly serial: bigint;
  /** `SHA256:…` of the CA key and of the certified key. */
  readonly caFingerprint: string;
  readonly keyFingerprint: string;
  readonly kind: 'user' | 'host';
  readonly keyId: string;
  readonly principals: readonly string[];
  /** Seconds since the epoch; valid when after <= now < before. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  /** Name to value; an entry holds the values of critical options, and the names of extensions. */
  readonly criticalOptions: ReadonlyMap<string, string>;
  readonly extensions: ReadonlyMap<string, string>;
}

/** The same of one for TLS. */
export interface HeldTlsCertificate {
  readonly kind: 'tls';
  /** 40 hex digits in lower case. */
  readonly serial: string;
  /** `SHA256:…` of the key of its issuer and of its own. */
  readonly caFingerprint: string;
  readonly keyFingerprint: string;
  /** The common name and the names, in any order. */
  readonly principals: readonly string[];
  /** Seconds since the epoch; valid from the first to the second, both included. */
  readonly notBefore: bigint;
  readonly notAfter: bigint;
}

export interface ProofOptions {
  /** The log's key that the reader pinned: `name+hash+base64` (C2SP signed-note). */
  readonly verifierKey: string;
  /** Text of the reader's witness policy (C2SP tlog-policy); undefined: witnesses are not looked at. */
  readonly witnessPolicy?: string;
  /** The receipt must be that of the issue of this certificate. */
  readonly certificate?: HeldCertificate | HeldTlsCertificate;
}

/** What a verified receipt says. */
export interface ProofFacts {
  readonly origin: string;
  readonly size: bigint;
  readonly index: bigint;
  readonly entry: Entry;
}

export interface ProofVerdict {
  /** Is this entry in the log, and is it the one that was asked about? */
  readonly integrity: Finding;
  /** Did enough witnesses cosign its checkpoint? Only when a policy was given. */
  readonly witnesses?: Finding;
  /** 0 verified, 1 not, 2 the question was wrong, 3 the file ends early or witnesses are missing. */
  readonly exitCode: 0 | 1 | 2 | 3;
  /** Only when verified. */
  readonly facts?: ProofFacts;
}

/** Judges a receipt by docs/formats/proof.md. Never throws, whatever the text holds. */
export function verifyProof(text: string, options: ProofOptions): ProofVerdict {
  const pinned = parsePinnedKey(options.verifierKey);
  if (pinned === undefined)
    return verdict(2, 'not_checked', 'The pinned key is not a verifier key (name+hash+base64).');
  const policy =
    options.witnessPolicy === undefined ? undefined : policyFor(options.witnessPolicy, options.verifierKey);
  if (typeof policy === 'string')
    return verdict(2, 'not_checked', `The witness policy cannot be used: ${policy}.`);
  const parts = parseProof(text);
  if (parts === 'cut') return verdict(3, 'incomplete', 'The receipt ends early.');
  if (typeof parts === 'string') return verdict(1, 'failed', `This is no receipt: ${parts}.`);

  const checkpoint = openCheckpoint(parts.checkpoint, pinned);
  if (typeof checkpoint === 'string')
    return verdict(1, 'failed', `Its checkpoint cannot be relied on: ${checkpoint}.`);
  const { origin, size, root } = checkpoint;
  const { index } = parts;
  if (rootFromPath(index, size, leafHash(parts.entry), parts.path)?.equals(root) !== true)
    return verdict(1, 'failed', `Its entry is not entry ${index} of the ${size} that ${origin} signed.`);
  const entry = parseEntry(parts.entry);
  if (typeof entry === 'string') return verdict(1, 'failed', `Entry ${index} is malformed: ${entry}.`);
  const other = options.certificate && differs(entry, options.certificate);
  if (other !== undefined)
    return verdict(
      1,
      'failed',
      `Entry ${index} is in the log, but it is not about this certificate: ${other}.`,
    );
  const signatures = parts.checkpoint.split('\n').slice(4, -1);
  const witnesses = policy && judgeWitnesses(checkpointText(checkpoint), signatures, policy);
  const integrity: Finding = {
    state: 'verified',
    detail: `Entry ${index} is in the tree of ${size} entries that ${origin} signed.`,
    index,
  };
  return {
    integrity,
    ...(witnesses && { witnesses }),
    exitCode: exitCodeOf(integrity, ...(witnesses ? [witnesses] : [])),
    facts: { origin, size, index, entry },
  };
}

interface ProofParts {
  readonly index: bigint;
  readonly entry: Buffer;
  readonly path: readonly Buffer[];
  readonly checkpoint: string;
}

/** @returns what is wrong, `cut` when the text is the beginning of one */
function parseProof(text: string): ProofParts | string {
  if (text.length > maxProofBytes) return `it is longer than ${maxProofBytes} bytes`;
  const [header = '', extra, index, ...rest] = text.split('\n');
  if (header !== proofHeader)
    return proofHeader.startsWith(header) && !text.includes('\n')
      ? 'cut'
      : 'its first line is not that of one';
  const entry = decodeBase64(/^extra ([A-Za-z0-9+/]+={0,2})$/.exec(extra ?? '')?.[1] ?? '');
  const decimal = /^index (0|[1-9]\d{0,14})$/.exec(index ?? '')?.[1];
  const empty = rest.indexOf('');
  // Whatever is complete must be right, and the end is an end of line behind a signature.
  if (rest.length === 0 || empty === -1 || empty === rest.length - 1) return 'cut';
  if (entry === undefined || entry.length === 0) return 'its second line does not hold an entry';
  if (decimal === undefined) return 'its third line does not hold an index';
  const path = rest.slice(0, empty).map(decodeBase64);
  if (path.length > 64 || !path.every((hash) => hash?.length === 32)) return 'its hashes are malformed';
  const checkpoint = rest.slice(empty + 1).join('\n');
  if (!checkpoint.endsWith('\n') || !checkpoint.includes('\n\n— ')) return 'cut';
  return { index: BigInt(decimal), entry, path: path.filter((hash) => hash !== undefined), checkpoint };
}

/** What the entry says of another certificate, in words; undefined when it is the issue of this very one. */
function differs(
  { type, outcome, fields }: Entry,
  held: HeldCertificate | HeldTlsCertificate,
): string | undefined {
  if (type !== 'cred.issue' || outcome !== 'success') return `it is a ${type}`;
  const cred: Json = fields['cred'] ?? null;
  if (!isRecord(cred)) return 'it names none';
  if (held.kind === 'tls') return differsInTls(cred, held);
  const { critical, extensions }: Readonly<Record<string, Json>> = isRecord(cred['options'])
    ? cred['options']
    : {};
  const compared: readonly (readonly [string, boolean])[] = [
    ['serial', cred['serial'] === String(held.serial)],
    ['CA', cred['ca_fp'] === held.caFingerprint],
    ['key', cred['key_fp'] === held.keyFingerprint],
    ['kind', cred['kind'] === `ssh-${held.kind}`],
    ['key id', cred['key_id'] === held.keyId],
    ['list of principals', sameList(cred['principals'], held.principals)],
    ['beginning', cred['not_before'] === timeOf(held.validAfter)],
    ['end', cred['not_after'] === timeOf(held.validBefore)],
    ['list of critical options', sameOptions(critical, held.criticalOptions)],
    ['list of extensions', sameList(sorted(extensions), [...held.extensions.keys()].toSorted())],
  ];
  const other = compared.find(([, isSame]) => !isSame);
  return other === undefined ? undefined : `another ${other[0]}`;
}

function differsInTls(cred: Readonly<Record<string, Json>>, held: HeldTlsCertificate): string | undefined {
  const kinds: readonly unknown[] = ['tls-server', 'tls-client'];
  const compared: readonly (readonly [string, boolean])[] = [
    ['serial', cred['serial'] === held.serial],
    ['CA', cred['ca_fp'] === held.caFingerprint],
    ['key', cred['key_fp'] === held.keyFingerprint],
    ['kind', kinds.includes(cred['kind'])],
    ['list of names', sameList(sorted(cred['principals']), held.principals.toSorted())],
    ['beginning', cred['not_before'] === timeOf(held.notBefore)],
    ['end', cred['not_after'] === timeOf(held.notAfter)],
  ];
  const other = compared.find(([, isSame]) => !isSame);
  return other === undefined ? undefined : `another ${other[0]}`;
}

function sameList(said: Json | undefined, held: readonly string[]): boolean {
  return (
    Array.isArray(said) && said.length === held.length && held.every((value, nth) => said[nth] === value)
  );
}

/** A certificate has its extensions in the order of their names, an entry in any. */
function sorted(said: Json | undefined): Json | undefined {
  return Array.isArray(said) && said.every((name) => typeof name === 'string') ? said.toSorted() : said;
}

function sameOptions(said: Json | undefined, held: ReadonlyMap<string, string>): boolean {
  return (
    isRecord(said) &&
    Object.keys(said).length === held.size &&
    [...held].every(([name, value]) => Object.hasOwn(said, name) && said[name] === value)
  );
}

/** As an entry writes it; undefined for what no entry can say, such as for ever. */
function timeOf(seconds: bigint): string | undefined {
  return seconds < 253_402_300_800n ? new Date(Number(seconds) * 1000).toISOString() : undefined;
}

function verdict(exitCode: 1 | 2 | 3, state: Finding['state'], detail: string): ProofVerdict {
  return { integrity: { state, detail }, exitCode };
}
