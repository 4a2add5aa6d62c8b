import { scrypt } from 'node:crypto';
import { decodeBase64, equalConstantTime } from '../../kernel/index.ts';
import type { RandomBytes } from '../../kernel/index.ts';

/** Cost of scrypt (RFC 7914 section 2): memory is 128 * N * r bytes, work grows with N * r * p. */
export interface ScryptParameters {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** 32 MiB, the OWASP password storage recommendation for this much memory. */
export const defaultScrypt: ScryptParameters = { N: 2 ** 15, r: 8, p: 3 };

export interface PasswordHash extends ScryptParameters {
  readonly scheme: 'scrypt';
  readonly salt: Buffer;
  readonly hash: Buffer;
}

const minMemoryBytes = 16 * 2 ** 20;
const maxMemoryBytes = 256 * 2 ** 20;
const maxWork = 2 ** 23;

/** What a file may ask of us: not so cheap that it protects nothing, not so dear that one login stops the broker. */
export function withinScryptBounds({ N, r, p }: ScryptParameters): boolean {
  const memoryBytes = 128 * N * r;
  return (
    [N, r, p].every((value) => Number.isSafeInteger(value) && value >= 1) &&
    Number.isInteger(Math.log2(N)) &&
    memoryBytes >= minMemoryBytes &&
    memoryBytes <= maxMemoryBytes &&
    N * r * p <= maxWork
  );
}

function derive(password: string, salt: Buffer, sizeBytes: number, cost: ScryptParameters): Promise<Buffer> {
  const { N, r, p } = cost;
  // The same letters may be typed composed or decomposed, by keyboard and system: RFC 8265 section 4.2.2 compares in NFC.
  const bytes = Buffer.from(password.normalize('NFC'), 'utf8');
  return new Promise((resolve, reject) => {
    scrypt(bytes, salt, sizeBytes, { N, r, p, maxmem: 2 * maxMemoryBytes }, (error, hash) => {
      bytes.fill(0);
      if (error === null) resolve(hash);
      else reject(error);
    });
  });
}

/** Hashes in the thread pool with a fresh 16-byte salt; 32 bytes of hash. */
export async function hashPassword(
  password: string,
  random: RandomBytes,
  cost: ScryptParameters = defaultScrypt,
): Promise<PasswordHash> {
  const salt = random(16);
  const { N, r, p } = cost;
  return { scheme: 'scrypt', N, r, p, salt, hash: await derive(password, salt, 32, cost) };
}

/** Compares in constant time; runs in the thread pool. */
export async function matchesPassword(password: string, stored: PasswordHash): Promise<boolean> {
  const hash = await derive(password, stored.salt, stored.hash.length, stored);
  // HMAC pads short keys with NUL (RFC 2104 section 2), so scrypt takes "secret" and "secret\0" for the same password.
  return equalConstantTime(hash, stored.hash) && !password.includes('\0');
}

/** @returns undefined unless the value is a hash in the file's form, with salt, size and cost within bounds. */
export function parsePasswordHash(value: Readonly<Record<string, unknown>>): PasswordHash | undefined {
  const { scheme, N, r, p, salt, hash, ...rest } = value;
  if (scheme !== 'scrypt' || Object.keys(rest).length > 0) return undefined;
  if (typeof N !== 'number' || typeof r !== 'number' || typeof p !== 'number') return undefined;
  if (typeof salt !== 'string' || typeof hash !== 'string' || !withinScryptBounds({ N, r, p }))
    return undefined;
  const saltBytes = decodeBase64(salt);
  const hashBytes = decodeBase64(hash);
  if (saltBytes === undefined || saltBytes.length < 16 || saltBytes.length > 64) return undefined;
  if (hashBytes === undefined || hashBytes.length < 32 || hashBytes.length > 64) return undefined;
  return { scheme, N, r, p, salt: saltBytes, hash: hashBytes };
}

/** @returns the hash in the form that `parsePasswordHash` reads. */
export function encodePasswordHash(stored: PasswordHash): Record<string, string | number> {
  return {
    scheme: stored.scheme,
    N: stored.N,
    r: stored.r,
    p: stored.p,
    salt: stored.salt.toString('base64'),
    hash: stored.hash.toString('base64'),
  };
}
