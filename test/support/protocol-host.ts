import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { hostRequestNamespace, systemClock, toRfc3339, type Clock } from '../../src/kernel/index.ts';
import {
  encodeSignature,
  encodeSshsig,
  encodeSshsigToBeSigned,
  fingerprint,
  formatPublicKey,
  publicKeyFromKeyObject,
  type PublicKey,
} from '../../src/ssh/index.ts';
import { ask, type HttpAnswer } from '../doors/http/support.ts';
import type { BrokerFolder } from './broker.ts';

type Where = Pick<BrokerFolder, 'caFile' | 'url' | 'port'>;
type Lines = readonly string[];

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: PublicKey;
  readonly line: string;
  readonly fingerprint: string;
}

export function newKeyPair(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const key = publicKeyFromKeyObject(publicKey);
  return { privateKey, publicKey: key, line: formatPublicKey(key, ''), fingerprint: fingerprint(key.blob) };
}

/** An armoured block as `ssh-keygen -Y sign` makes it. */
export function signWith(
  { privateKey, publicKey }: KeyPair,
  text: string,
  namespace = hostRequestNamespace,
): string {
  const raw = sign(null, encodeSshsigToBeSigned(namespace, Buffer.from(text)), privateKey);
  return encodeSshsig(publicKey, namespace, encodeSignature('ed25519', raw));
}

/** The answer of a broker to a host, word by word. */
export interface HostAnswer {
  readonly status: number;
  readonly text: string;
  one(word: string): string;
  all(word: string): Lines;
}

/** A host that speaks the host protocol as the script does, with keys in memory. */
export interface ProtocolHost {
  readonly identity: KeyPair;
  readonly hostKeys: readonly KeyPair[];
  id: string;
  step: bigint;
  /** Whole requests, as they are sent. */
  enrolment(token: string | undefined, names: Lines, more?: Lines): string;
  renewal(keys?: readonly KeyPair[]): string;
  syncing(asked?: SyncAsked): string;
  /** @param events as they stand in a report, e.g. `login 1 2026-11-30T08:00:00Z Accepted …` */
  reporting(seq: bigint, events: Lines): string;
  enrol(where: Where, token: string | undefined, names: Lines, more?: Lines): Promise<HostAnswer>;
  renew(where: Where, keys?: readonly KeyPair[]): Promise<HostAnswer>;
  sync(where: Where, asked?: SyncAsked): Promise<HostAnswer>;
  report(where: Where, seq: bigint, events: Lines): Promise<HostAnswer>;
}

interface SyncAsked {
  readonly have?: bigint;
  readonly waitSeconds?: number;
  readonly machine?: string;
  readonly lines?: Lines;
}

export interface ProtocolHostOptions {
  readonly identity?: KeyPair;
  readonly hostKeys?: readonly KeyPair[];
  readonly machine?: string;
  readonly clock?: Clock;
}

export function newProtocolHost(options: ProtocolHostOptions = {}): ProtocolHost {
  const {
    identity = newKeyPair(),
    hostKeys = [newKeyPair()],
    machine = randomBytes(16).toString('hex'),
    clock = systemClock,
  } = options;
  const always = (action: string): string[] => [
    'sallyport-host-request 1',
    `action ${action}`,
    `time ${toRfc3339(clock.nowMs())}`,
    `nonce ${randomBytes(16).toString('hex')}`,
  ];
  const made: ProtocolHost = {
    identity,
    hostKeys,
    id: '',
    step: 0n,
    enrolment(token, names, more = []) {
      const lines = [
        ...always('enrol'),
        ...(token === undefined ? [] : [`token ${token}`]),
        `identity ${identity.line}`,
        ...names.map((name) => `name ${name}`),
        ...hostKeys.map(({ line }) => `hostkey ${line}`),
        'platform linux',
        'sshd OpenSSH_9.2p1',
        `machine ${machine}`,
        ...more,
      ];
      return signed(lines, [identity, ...hostKeys]);
    },
    renewal(keys = hostKeys) {
      const lines = [...always('renew'), `host ${made.id}`, ...keys.map(({ line }) => `hostkey ${line}`)];
      return signed(lines, [identity, ...keys]);
    },
    syncing({ have = 0n, waitSeconds = 0, machine: other = machine, lines = [] } = {}) {
      made.step += 1n;
      const text = [
        ...always('sync'),
        `host ${made.id}`,
        `machine ${other}`,
        `have ${have}`,
        `step ${made.step}`,
        `wait ${waitSeconds}`,
        'check ok',
        `installed ${have}`,
        'sshd OpenSSH_9.2p1',
        ...lines,
      ];
      return signed(text, [identity]);
    },
    reporting(seq, events) {
      const text = [...always('report'), `host ${made.id}`, 'boot b1', `seq ${seq}`, ...events];
      return signed(text, [identity]);
    },
    async enrol(where, ...asked) {
      const answer = await post(where, 'enrol', made.enrolment(...asked));
      if (answer.status === 200) made.id = answer.one('host');
      return answer;
    },
    renew: (where, keys) => post(where, 'renew', made.renewal(keys)),
    sync: (where, asked) => post(where, 'sync', made.syncing(asked)),
    report: (where, ...asked) => post(where, 'report', made.reporting(...asked)),
  };
  return made;
}

/** Lines with the signatures of these keys below, as a request is sent. */
export function signed(lines: Lines, keys: readonly KeyPair[]): string {
  const text = `${lines.join('\n')}\n`;
  return text + keys.map((key) => signWith(key, text)).join('');
}

export async function post(where: Where, action: string, body: string | Buffer): Promise<HostAnswer> {
  const headers = { 'content-type': 'text/plain', accept: 'text/plain' };
  return hostAnswer(await ask(where, { method: 'POST', path: `/v1/hosts/${action}`, headers, body }));
}

function hostAnswer({ status, body }: HttpAnswer): HostAnswer {
  const text = body.toString('utf8');
  const all = (word: string): Lines =>
    text.split('\n').flatMap((line) => (line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []));
  return { status, text, all, one: (word) => all(word)[0] ?? '' };
}
