import {
  CodedError,
  parseAddress,
  parseHostId,
  parseRfc3339,
  isCodedError,
  type HostId,
} from '../kernel/index.ts';
import { parsePublicKey, type PublicKey } from '../ssh/index.ts';
import { malformed, parseDocument, type Document, type Occurrence } from './document.ts';
import { parseHostName } from './names.ts';
import { parseReportedEvents, type ReportedEvent } from './report.ts';

const format = 'sallyport-host-request 1';
const armourBegin = '-----BEGIN SSH SIGNATURE-----\n';
const armourEnd = '-----END SSH SIGNATURE-----\n';
const mostHostKeys = 8;
const mostNames = 32;
const mostChecks = 32;

export const hostPlatforms = ['linux', 'aix', 'ibmi', 'windows', 'other'] as const;
export type HostPlatform = (typeof hostPlatforms)[number];

/** What every request has: it was said at that time, once, and these signatures stand below the bytes. */
interface Signed {
  readonly timeMs: number;
  /** 32 hex digits. */
  readonly nonce: string;
  /** The exact bytes that every signature is over. */
  readonly signedBytes: Buffer;
  /** Armoured SSHSIG blocks: the identity key's, then one of each host key, in their order. */
  readonly signatures: readonly string[];
}

export interface EnrolRequest extends Signed {
  readonly action: 'enrol';
  readonly token: string | undefined;
  readonly identity: PublicKey;
  /** In lower case, as claimed: nothing is granted by that. */
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  readonly hostKeys: readonly PublicKey[];
  readonly platform: HostPlatform;
  readonly sshd: string;
  readonly machine: string;
}

export interface RenewRequest extends Signed {
  readonly action: 'renew';
  readonly host: HostId;
  readonly hostKeys: readonly PublicKey[];
}

export interface SyncRequest extends Signed {
  readonly action: 'sync';
  readonly host: HostId;
  readonly machine: string;
  /** Version of the bundle that the host has; 0: none. */
  readonly have: bigint;
  /** Counts the requests of this identity. */
  readonly step: bigint;
  readonly waitSeconds: number;
  /** What `check` found on the host: `ok`, or a word for each thing that is not as it should be. */
  readonly checks: readonly string[];
  /** Version of the bundle that is in force there. */
  readonly installed: bigint;
  readonly sshd: string;
  readonly lastLoginMs: number | undefined;
}

export interface ReportRequest extends Signed {
  readonly action: 'report';
  readonly host: HostId;
  /** Which start of the host: its numbers begin anew with each. */
  readonly boot: string;
  /** In the order of their numbers, without a hole. */
  readonly events: readonly ReportedEvent[];
}

export type HostRequest = EnrolRequest | RenewRequest | SyncRequest | ReportRequest;

const always = { action: 'one', time: 'one', nonce: 'one' } as const;
const wordsOf: Readonly<Record<HostRequest['action'], Readonly<Record<string, Occurrence>>>> = {
  enrol: {
    ...always,
    token: 'optional',
    identity: 'one',
    name: 'any',
    address: 'any',
    hostkey: 'any',
    platform: 'one',
    sshd: 'one',
    machine: 'one',
  },
  renew: { ...always, host: 'one', hostkey: 'any' },
  sync: {
    ...always,
    host: 'one',
    machine: 'one',
    have: 'one',
    step: 'one',
    wait: 'one',
    check: 'any',
    installed: 'one',
    sshd: 'one',
    'last-login': 'optional',
  },
  report: {
    ...always,
    host: 'one',
    boot: 'one',
    seq: 'one',
    login: 'any',
    session: 'any',
    alert: 'any',
    gap: 'any',
  },
};

/**
 * Reads a request and takes its signatures off; nothing is believed yet: see `verifyProofs`.
 * @throws CodedError `hosts.malformed`, and `ssh.…`, `hosts.bad_name` for a key or a name in it
 */
export function parseHostRequest<Action extends HostRequest['action']>(
  bytes: Buffer,
  action: Action,
): Extract<HostRequest, { action: Action }> {
  const { signedBytes, signatures } = splitSignatures(bytes);
  const document = parseDocument(signedBytes, format, wordsOf[action]);
  if (document.one('action') !== action) throw malformed(`its action is not “${action}”`);
  const signed: Signed = {
    timeMs: timeOf(document.one('time'), 'time'),
    nonce: matching(document, 'nonce', /^[0-9a-f]{32}$/),
    signedBytes,
    signatures,
  };
  const request = readers[action](document, signed);
  const wanted = 1 + ('hostKeys' in request ? request.hostKeys.length : 0);
  if (signatures.length !== wanted)
    throw malformed(`it has ${signatures.length} signatures and needs ${wanted}`);
  return request as Extract<HostRequest, { action: Action }>;
}

const readers: Readonly<Record<HostRequest['action'], (document: Document, signed: Signed) => HostRequest>> =
  {
    enrol: (document, signed) => ({
      ...signed,
      action: 'enrol',
      token: document.optional('token') === undefined ? undefined : matching(document, 'token', tokenGrammar),
      identity: identityKey(document.one('identity')),
      names: each(document, 'name', mostNames, parseHostName),
      addresses: each(document, 'address', mostNames, (text) => {
        if (parseAddress(text) === undefined) throw malformed('it has an address that is none');
        return text.toLowerCase();
      }),
      hostKeys: hostKeys(document),
      platform: platformOf(document.one('platform')),
      sshd: matching(document, 'sshd', versionGrammar),
      machine: matching(document, 'machine', machineGrammar),
    }),
    renew: (document, signed) => ({
      ...signed,
      action: 'renew',
      host: hostOf(document),
      hostKeys: hostKeys(document),
    }),
    sync: (document, signed) => ({
      ...signed,
      action: 'sync',
      host: hostOf(document),
      machine: matching(document, 'machine', machineGrammar),
      have: versionOf(document, 'have'),
      step: versionOf(document, 'step'),
      waitSeconds: Number(matching(document, 'wait', /^(?:[0-9]|[1-9][0-9]|[12][0-9]{2}|300)$/)),
      checks: each(document, 'check', mostChecks, (text) => {
        if (!/^[a-z0-9][a-z0-9_-]{0,63}$/.test(text)) throw malformed('it has a check that is no word');
        return text;
      }),
      installed: versionOf(document, 'installed'),
      sshd: matching(document, 'sshd', versionGrammar),
      lastLoginMs:
        document.optional('last-login') === undefined
          ? undefined
          : timeOf(document.one('last-login'), 'last-login'),
    }),
    report: (document, signed) => ({
      ...signed,
      action: 'report',
      host: hostOf(document),
      boot: matching(document, 'boot', /^[A-Za-z0-9-]{1,64}$/),
      events: eventsOf(document),
    }),
  };

const reportedWords = ['login', 'session', 'alert', 'gap'] as const;

/** They stand in any order of their words; their numbers say in which they happened. */
function eventsOf(document: Document): readonly ReportedEvent[] {
  const lines = reportedWords.flatMap((word) => document.all(word).map((rest) => `${word} ${rest}`));
  const seqOf = (text: string): number => Number(text.split(' ', 2)[1]);
  return parseReportedEvents(
    lines.toSorted((a, b) => seqOf(a) - seqOf(b)),
    versionOf(document, 'seq'),
  );
}

const tokenGrammar = /^[A-Za-z0-9_-]{16,128}$/;
const machineGrammar = /^[0-9a-f]{16,128}$/;
/** E.g. `OpenSSH_9.2p1`; some systems put words of their own behind it. */
const versionGrammar = /^[ -~]{1,128}$/;

/** Cuts the document where the first signature begins; nothing else may follow than signatures. */
function splitSignatures(bytes: Buffer): { signedBytes: Buffer; signatures: readonly string[] } {
  const at = bytes.indexOf(`\n${armourBegin}`);
  if (at < 0) throw malformed('it is not signed');
  const signatures: string[] = [];
  let rest = bytes.toString('latin1', at + 1);
  while (rest !== '') {
    const end = rest.indexOf(armourEnd);
    if (!rest.startsWith(armourBegin) || end < 0)
      throw malformed('something else than a signature stands at its end');
    signatures.push(rest.slice(0, end + armourEnd.length));
    if (signatures.length > mostHostKeys + 1) throw malformed('it has too many signatures');
    rest = rest.slice(end + armourEnd.length);
  }
  return { signedBytes: bytes.subarray(0, at + 1), signatures };
}

function each<Value>(document: Document, word: string, most: number, read: (text: string) => Value): Value[] {
  const values = document.all(word);
  if (values.length > most) throw malformed(`it has more than ${most} lines “${word}”`);
  return values.map(read);
}

function matching(document: Document, word: string, grammar: RegExp): string {
  const value = document.one(word);
  if (!grammar.test(value)) throw malformed(`its “${word}” is not of the right form`);
  return value;
}

function timeOf(text: string, word: string): number {
  const timeMs = parseRfc3339(text);
  if (timeMs === undefined) throw malformed(`its “${word}” is not an RFC 3339 time`);
  return timeMs;
}

function hostOf(document: Document): HostId {
  try {
    return parseHostId(document.one('host'));
  } catch (error) {
    if (isCodedError(error)) throw malformed('its “host” is not the id of a host');
    throw error;
  }
}

/** Versions and steps are stored as signed 64-bit integers. */
function versionOf(document: Document, word: string): bigint {
  return BigInt(matching(document, word, /^(?:0|[1-9][0-9]{0,17})$/));
}

function platformOf(text: string): HostPlatform {
  const platform = hostPlatforms.find((known) => known === text);
  if (platform === undefined) throw malformed(`its platform is none of ${hostPlatforms.join(', ')}`);
  return platform;
}

function identityKey(text: string): PublicKey {
  const key = parsePublicKey(text);
  if (key.type === 'ssh-ed25519') return key;
  throw new CodedError('hosts.malformed', 'The identity key of a host must be Ed25519.', {
    next: 'Use the host script of this very broker: GET /v1/hosts/enrol.sh.',
  });
}

/** What sshd can hold as a host key; security keys cannot be one. */
function hostKeys(document: Document): readonly PublicKey[] {
  const keys = each(document, 'hostkey', mostHostKeys, parsePublicKey);
  if (keys.length === 0) throw malformed('it names no host key');
  const blobs = new Set(keys.map(({ blob }) => blob.toString('base64')));
  if (blobs.size !== keys.length) throw malformed('it names a host key twice');
  for (const { type, bits } of keys) {
    const isWeak = type === 'ssh-rsa' && bits < 2048;
    if (type.startsWith('sk-') || isWeak) throw malformed(`a ${type} key of ${bits} bits is no host key`);
  }
  return keys;
}
