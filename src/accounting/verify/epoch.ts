import { type Entry, isRecord, type Json } from './entry.ts';

/** What the first entry of a log says that goes on from another one (docs/formats/log.md, section 7). */
export interface Epoch {
  /** Of the log before. */
  readonly origin: string;
  /** How many entries of it there were. */
  readonly size: bigint;
  /** By `ca_fp`: the first serial that belongs to this log. */
  readonly firstSerials: ReadonlyMap<string, bigint>;
  /** Versions of this log's lists are larger; 0 when it does not say. */
  readonly listVersion: bigint;
}

const maxSerial = (1n << 64n) - 1n;
const maxAuthorities = 10_000;

/** Reads `epoch` of a `log.epoch` entry. @returns undefined when it does not say what a replay needs */
export function readEpoch({ fields }: Entry): Epoch | undefined {
  const { epoch } = fields;
  if (!isRecord(epoch)) return undefined;
  const { origin, size, authorities, list_version: version, checkpoint } = epoch;
  if (typeof origin !== 'string' || !/^[A-Za-z0-9._:/-]{1,200}$/.test(origin)) return undefined;
  if (typeof size !== 'string' || !/^(?:0|[1-9]\d{0,14})$/.test(size)) return undefined;
  // What it quotes must be of the log and the size that it names.
  const isQuoted = typeof checkpoint === 'string' && checkpoint.startsWith(`${origin}\n${size}\n`);
  if (checkpoint !== undefined && !isQuoted) return undefined;
  if (!Array.isArray(authorities) || authorities.length > maxAuthorities) return undefined;
  const firstSerials = new Map<string, bigint>();
  for (const authority of authorities as readonly Json[]) {
    const { ca_fp: name, next } = isRecord(authority) ? authority : {};
    const first = readSerial(next);
    if (!isAuthorityName(name) || first === undefined || firstSerials.has(name)) return undefined;
    firstSerials.set(name, first);
  }
  const listVersion = version === undefined ? 0n : readSerial(version);
  return listVersion === undefined ? undefined : { origin, size: BigInt(size), firstSerials, listVersion };
}

/** A serial or list version: decimal string from 1 to 2^64-1, never a JSON number. */
export function readSerial(value: Json | undefined): bigint | undefined {
  if (typeof value !== 'string' || !/^[1-9]\d{0,19}$/.test(value)) return undefined;
  const serial = BigInt(value);
  return serial <= maxSerial ? serial : undefined;
}

/** What may stand in `ca_fp`. */
export function isAuthorityName(value: Json | undefined): value is string {
  return typeof value === 'string' && /^[!-~]{1,100}$/.test(value);
}
