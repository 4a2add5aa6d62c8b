import type { KeyObject } from 'node:crypto';
import {
  decodeBase64,
  isCodedError,
  parseHostId,
  parsePrincipal,
  parseRfc3339,
  sha256,
  toRfc3339,
  trustBundleNamespace,
  type HostId,
} from '../kernel/index.ts';
import {
  encodeSignature,
  encodeSshsig,
  encodeSshsigToBeSigned,
  parsePublicKey,
  publicKeyFromKeyObject,
  type PublicKey,
  type SignatureAlgorithm,
} from '../ssh/index.ts';
import { malformed, parseDocument } from './document.ts';

const format = 'sallyport-bundle 1';
const columns = 76;

/** Role principals of one account: who bears one of these names in a certificate may log in to it. */
export interface RolePrincipals {
  readonly account: string;
  readonly names: readonly string[];
}

/** What a host does with the bundle; the same for all hosts of a group. */
export interface BundleRules {
  readonly whenStale: 'warn' | 'close';
  readonly endSessions: 'off' | 'report' | 'on';
  /** Empty: the host goes by the principals of the certificate alone. */
  readonly principals: readonly RolePrincipals[];
}

/** A revocation list as it stands in a bundle. */
export interface BundledList {
  readonly version: bigint;
  readonly bytes: Buffer;
}

export interface TrustBundle extends BundleRules {
  readonly brokerUrl: string;
  readonly host: HostId;
  readonly group: string;
  /** Rises with every bundle of the estate. */
  readonly version: bigint;
  readonly issuedMs: number;
  readonly freshUntilMs: number;
  /** Lines as in TrustedUserCAKeys. */
  readonly userCas: readonly string[];
  readonly hostCas: readonly string[];
  readonly krl: BundledList;
}

/** The list's own part, the same for every host that gets it: made once. */
export interface EncodedList {
  readonly text: string;
}

export function encodeBundledList({ version, bytes }: BundledList): EncodedList {
  const hash = sha256(bytes).toString('hex');
  const base64 = bytes.toString('base64').replaceAll(new RegExp(`.{${columns}}(?=.)`, 'g'), '$&\n');
  return { text: `krl ${version} ${bytes.length} ${hash}\n${base64}\nend-krl\n` };
}

/** The bytes that are signed, to the line `end`. */
export function encodeBundle(bundle: Omit<TrustBundle, 'krl'>, list: EncodedList): Buffer {
  const lines = [
    format,
    `broker ${bundle.brokerUrl}`,
    `host ${bundle.host}`,
    `group ${bundle.group}`,
    `version ${bundle.version}`,
    `issued ${toRfc3339(bundle.issuedMs)}`,
    `fresh-until ${toRfc3339(bundle.freshUntilMs)}`,
    `when-stale ${bundle.whenStale}`,
    `end-sessions ${bundle.endSessions}`,
    ...bundle.userCas.map((key) => `userca ${key}`),
    ...bundle.hostCas.map((key) => `hostca ${key}`),
    ...bundle.principals.flatMap(({ account, names }) => names.map((name) => `principal ${account} ${name}`)),
  ];
  return Buffer.from(`${lines.join('\n')}\n${list.text}end\n`);
}

/** What signs bundles; as `Signer` of keys. */
export interface BundleSigner {
  readonly algorithm: SignatureAlgorithm;
  readonly publicKey: KeyObject;
  sign(message: Uint8Array): Buffer | Promise<Buffer>;
}

/** Gives a bundle its signature block below, as a host takes it: one signature for each host, because each bundle names its own. */
export type SignBundle = (bundle: Buffer) => Promise<Buffer>;

/** Made once for thousands of bundles: taking the public key apart costs more than a signature. */
export function createSignBundle(signer: BundleSigner): SignBundle {
  const key = publicKeyFromKeyObject(signer.publicKey);
  return async (bundle) => {
    const raw = await signer.sign(encodeSshsigToBeSigned(trustBundleNamespace, bundle));
    const block = encodeSshsig(key, trustBundleNamespace, encodeSignature(signer.algorithm, raw));
    return Buffer.concat([bundle, Buffer.from(block)]);
  };
}

/**
 * Reads a bundle without its signature, as strictly as a host should: what `encodeBundle` would not write is refused.
 * @throws CodedError `hosts.malformed`
 */
export function parseBundle(bytes: Buffer): TrustBundle {
  const text = bytes.toString('latin1');
  const at = text.indexOf('\nkrl ');
  if (at < 0 || !text.endsWith('\nend-krl\nend\n')) throw malformed('it has no whole list');
  const document = parseDocument(bytes.subarray(0, at + 1), format, {
    broker: 'one',
    host: 'one',
    group: 'one',
    version: 'one',
    issued: 'one',
    'fresh-until': 'one',
    'when-stale': 'one',
    'end-sessions': 'one',
    userca: 'any',
    hostca: 'any',
    principal: 'any',
  });
  const time = (word: string): number => {
    const timeMs = parseRfc3339(document.one(word));
    if (timeMs === undefined) throw malformed(`its “${word}” is no time`);
    return timeMs;
  };
  const host = coded(() => parseHostId(document.one('host')), 'its host is none');
  const userCas = document.all('userca');
  if (userCas.length === 0) throw malformed('it names no user CA');
  for (const line of [...userCas, ...document.all('hostca')])
    coded(() => keyLine(line), 'it has a CA key that is none');
  return {
    brokerUrl: document.one('broker'),
    host,
    group: document.one('group'),
    version: integer(document.one('version')),
    issuedMs: time('issued'),
    freshUntilMs: time('fresh-until'),
    whenStale: word(document.one('when-stale'), ['warn', 'close']),
    endSessions: word(document.one('end-sessions'), ['off', 'report', 'on']),
    userCas,
    hostCas: document.all('hostca'),
    principals: readPrincipals(document.all('principal')),
    krl: readList(text.slice(at + 1, -'end\n'.length)),
  };
}

function readList(text: string): BundledList {
  const [, version = '', size = '', hash = '', base64 = ''] =
    /^krl (\d{1,18}) (\d{1,9}) ([0-9a-f]{64})\n([A-Za-z0-9+/=\n]*)\nend-krl\n$/.exec(text) ?? [];
  const bytes = decodeBase64(base64.replaceAll('\n', ''));
  if (version === '' || bytes === undefined) throw malformed('its list is not of the right form');
  if (bytes.length !== Number(size) || sha256(bytes).toString('hex') !== hash)
    throw malformed('its list does not have the size and hash that it names');
  const list = { version: integer(version), bytes };
  if (encodeBundledList(list).text !== text) throw malformed('its list is not written as it should be');
  return list;
}

function readPrincipals(lines: readonly string[]): readonly RolePrincipals[] {
  const names = new Map<string, string[]>();
  for (const line of lines) {
    const [account = '', name = '', ...more] = line.split(' ');
    if (more.length > 0) throw malformed('it has a principal that is none');
    coded(() => [parsePrincipal(account), parsePrincipal(name)], 'it has a principal that is none');
    names.set(account, [...(names.get(account) ?? []), name]);
  }
  return [...names].map(([account, all]) => ({ account, names: all }));
}

function keyLine(line: string): PublicKey {
  return parsePublicKey(line);
}

function integer(text: string): bigint {
  if (!/^(?:0|[1-9]\d{0,17})$/.test(text)) throw malformed('it has a version that is none');
  return BigInt(text);
}

function word<Word extends string>(text: string, words: readonly Word[]): Word {
  const found = words.find((known) => known === text);
  if (found === undefined)
    throw malformed(`it says “${text.slice(0, 40)}” where one of ${words.join(', ')} belongs`);
  return found;
}

function coded<Value>(read: () => Value, why: string): Value {
  try {
    return read();
  } catch (error) {
    if (isCodedError(error)) throw malformed(why);
    throw error;
  }
}
