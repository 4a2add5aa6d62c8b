import { createHash, hash, timingSafeEqual } from 'node:crypto';

/** SHA-256 of the concatenation of the parts, 32 bytes. */
export function sha256(...parts: readonly (Uint8Array | string)[]): Buffer {
  const [only, ...others] = parts;
  // One call costs half of what a hash object does, and every request hashes several times.
  if (only !== undefined && others.length === 0) return hash('sha256', only, 'buffer');
  const together = createHash('sha256');
  for (const part of parts) together.update(part);
  return together.digest();
}

/** Compares without telling by time where the first difference is; different lengths are unequal. */
export function equalConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Strict base64 (RFC 4648 section 4, padded, no white space). @returns undefined when the text is anything else. */
export function decodeBase64(text: string): Buffer | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

/** Strict base64url without padding (RFC 4648 section 5). @returns undefined when the text is anything else. */
export function decodeBase64Url(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}
