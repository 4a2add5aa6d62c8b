import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** A secret that must be found nowhere but in the places that are its own. */
export interface Canary {
  readonly what: string;
  /** Text as it was typed, or bytes. */
  readonly secret: string | Buffer;
  /** Names of places (see `everyFileBelow`) that exist to hold it. */
  readonly kept?: readonly string[];
}

/** What was left behind, by name. */
export type Places = ReadonlyMap<string, Buffer>;

/** Every file below the folder, as `prefix/path`. */
export function everyFileBelow(folder: string, prefix: string): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, name);
    if (statSync(path).isFile()) found.set(`${prefix}/${name}`, readFileSync(path));
  }
  return found;
}

/** Where each canary sits that it should not: `what in place`. */
export function leaksIn(places: Places, canaries: readonly Canary[]): string[] {
  // PEM and its kin break their base64 into lines.
  const looks = [...places].map(([place, bytes]) => ({
    place,
    forms: [bytes, Buffer.from(bytes.toString('latin1').replaceAll(/\r?\n/g, ''), 'latin1')],
  }));
  return canaries.flatMap(({ what, secret, kept = [] }) => {
    const spellings = spellingsOf(secret);
    return looks
      .filter(({ place }) => !kept.includes(place))
      .filter(({ forms }) => spellings.some((spelt) => forms.some((bytes) => bytes.includes(spelt))))
      .map(({ place }) => `${what} in ${place}`);
  });
}

/** Plain, as UTF-16, in hexadecimal, and in base64 wherever in a longer text it may begin. */
export function spellingsOf(secret: string | Buffer): Buffer[] {
  const bytes = Buffer.from(secret);
  const hex = bytes.toString('hex');
  const base64 = [0, 1, 2].flatMap((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    // Only characters that the neighbours have no part in.
    const own = text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
    return [own, own.replaceAll('+', '-').replaceAll('/', '_')];
  });
  const spellings = [
    bytes,
    ...(typeof secret === 'string' ? [Buffer.from(secret, 'utf16le')] : []),
    ...[hex, hex.toUpperCase(), ...base64].map((text) => Buffer.from(text, 'latin1')),
  ];
  return [...new Map(spellings.map((spelt) => [spelt.toString('latin1'), spelt])).values()];
}
