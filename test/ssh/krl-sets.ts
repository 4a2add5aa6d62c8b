import type { SshBlob } from '../../src/kernel/index.ts';
import type { Krl } from '../../src/ssh/krl.ts';
import { sha256 } from '../../src/kernel/index.ts';
import { krlWith, subsectionsOf } from './krl-fixtures.ts';

const max = 2n ** 64n - 1n;

/** What a random list revokes, as plain sets: the oracle that the KRL must agree with. */
export interface RevocationSet {
  /** Hex of the CA key to its serials and key ids; the empty name stands for every CA. */
  readonly authorities: ReadonlyMap<string, { readonly serials: Set<bigint>; readonly keyIds: Set<string> }>;
  readonly keys: Set<string>;
  readonly hashedKeys: Set<string>;
}

export interface Subject {
  readonly key: SshBlob;
  readonly caKey: SshBlob;
  readonly serial: bigint;
  readonly keyId: string;
}

const hexNames = new WeakMap<Buffer, string>();

/** Hex of a key, remembered: the oracle is asked millions of times. */
export function nameOf(key: SshBlob): string {
  const known = hexNames.get(key);
  if (known !== undefined) return known;
  const name = key.toString('hex');
  hexNames.set(key, name);
  return name;
}

type Random = () => number;

export function pick<Item>(random: Random, items: readonly [Item, ...Item[]]): Item {
  return items[Math.floor(random() * items.length)] ?? items[0];
}

function upTo(random: Random, most: number): number {
  return 1 + Math.floor(random() * most);
}

function anySerial(random: Random): bigint {
  const bits = upTo(random, 64);
  const value = (BigInt(Math.floor(random() * 2 ** 32)) << 32n) | BigInt(Math.floor(random() * 2 ** 32));
  return BigInt.asUintN(bits, value) || 1n;
}

/** Where runs tend to go wrong: the start, the 32-bit and 53-bit borders, the end, and anywhere. */
function anyStart(random: Random): bigint {
  const near = BigInt(Math.floor(random() * 300));
  return pick(random, [
    1n + near,
    2n ** 32n - near,
    2n ** 53n - near,
    2n ** 63n - near,
    max - near,
    anySerial(random),
  ]);
}

/** One stretch: a run, a bitmap-like cluster of some density, or far-apart serials. */
function addStretch(random: Random, serials: Set<bigint>): void {
  const start = anyStart(random);
  const kind = random();
  const add = (serial: bigint) => {
    if (serial >= 1n && serial <= max) serials.add(serial);
  };
  if (kind < 0.4) {
    const length = random() < 0.002 ? 17_000 : upTo(random, 40);
    for (let i = 0; i < length; i += 1) add(start + BigInt(i));
  } else if (kind < 0.75) {
    const width = random() < 0.002 ? 33_000 : upTo(random, 150);
    const density = random();
    for (let i = 0; i < width; i += 1) if (random() < density) add(start + BigInt(i));
  } else {
    for (let i = upTo(random, 20); i > 0; i -= 1) add(anySerial(random));
  }
}

function someOf<Item>(random: Random, items: readonly Item[], chance: number): Item[] {
  return items.filter(() => random() < chance);
}

/** A random set over these CAs and keys. Key ids are `id-0` to `id-9`. */
export function randomSet(
  random: Random,
  caKeys: readonly SshBlob[],
  keys: readonly SshBlob[],
): RevocationSet {
  const authorities = new Map<string, { serials: Set<bigint>; keyIds: Set<string> }>();
  const names = [
    ...someOf(random, caKeys, 0.6).map((key) => key.toString('hex')),
    ...someOf(random, [''], 0.2),
  ];
  for (const name of names) {
    const serials = new Set<bigint>();
    for (let i = Math.floor(random() * 5); i > 0; i -= 1) addStretch(random, serials);
    const ids = Array.from({ length: 10 }, (_, i) => `id-${i}`);
    authorities.set(name, { serials, keyIds: new Set(someOf(random, ids, random() < 0.3 ? 0.3 : 0)) });
  }
  const some = (chance: number) => new Set(someOf(random, keys, chance).map((key) => key.toString('hex')));
  return { authorities, keys: some(0.08), hashedKeys: some(0.08) };
}

/** The same set as our writer takes it, serials in no particular order. */
export function toKrl(set: RevocationSet): Krl {
  return krlWith({
    certificates: [...set.authorities].map(([name, { serials, keyIds }]) => ({
      caKey: name === '' ? undefined : (Buffer.from(name, 'hex') as SshBlob),
      serials: BigUint64Array.from(serials),
      keyIds: [...keyIds],
    })),
    keys: [...set.keys].map((hex) => Buffer.from(hex, 'hex') as SshBlob),
    sha256: [...set.hashedKeys].map((hex) => sha256(Buffer.from(hex, 'hex'))),
  });
}

/** The oracle's answer. */
export function isInSet(set: RevocationSet, { key, caKey, serial, keyId }: Subject): boolean {
  const [name, caName] = [nameOf(key), nameOf(caKey)];
  if (set.keys.has(name) || set.hashedKeys.has(name)) return true;
  if (set.keys.has(caName) || set.hashedKeys.has(caName)) return true;
  return [caName, ''].some((authorityName) => {
    const authority = set.authorities.get(authorityName);
    return authority !== undefined && (authority.serials.has(serial) || authority.keyIds.has(keyId));
  });
}

/** Every serial that a written KRL holds for each CA (hex), expanded by hand from PROTOCOL.krl. */
export function expandSerials(krl: Buffer): Map<string, Set<bigint>> {
  const found = new Map<string, Set<bigint>>();
  for (const { type, body, ca } of subsectionsOf(krl)) {
    const name = ca.toString('hex');
    const serials = found.get(name) ?? new Set<bigint>();
    found.set(name, serials);
    if (type === 0x20) for (let at = 0; at < body.length; at += 8) serials.add(body.readBigUInt64BE(at));
    if (type === 0x21)
      for (let serial = body.readBigUInt64BE(0); serial <= body.readBigUInt64BE(8); serial += 1n)
        serials.add(serial);
    if (type === 0x22) {
      const bits = BigInt(`0x${body.subarray(12).toString('hex')}`).toString(2);
      for (let i = 0; i < bits.length; i += 1)
        if (bits[bits.length - 1 - i] === '1') serials.add(body.readBigUInt64BE(0) + BigInt(i));
    }
  }
  return found;
}
