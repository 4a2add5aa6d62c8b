import { CodedError, decodeBase64Url, sha256 } from '../kernel/index.ts';
import type { PersonId, RandomBytes } from '../kernel/index.ts';

const prefix = 'sp1_';
const tokenBytes = 32;

/** A login that stays good for a while, as the store keeps it: it holds no token, only the hash of one. */
export interface Session {
  /** SHA-256 of the token text, 32 bytes. A look-up key, useless to whoever steals the database. */
  readonly tokenHash: Buffer;
  /** Public name for logs and answers; drawn apart from the token, so it says nothing of it. */
  readonly id: string;
  readonly personId: PersonId;
  readonly login: string;
  readonly directory: string;
  /** RFC 7638 thumbprint of the client's DPoP key, base64url: the token is worth nothing without that key. */
  readonly keyThumbprint: string;
  readonly createdMs: number;
  /** Dead at this instant. */
  readonly expiresMs: number;
}

export interface NewSessionToken {
  /** `sp1_` and 43 characters of base64url (32 random bytes). Goes to the client once and is kept nowhere. */
  readonly token: string;
  readonly tokenHash: Buffer;
  /** `s-` and 16 characters of base64url, for `Session.id`. */
  readonly id: string;
}

/** Draws a session token and, from other bytes, the session's public id. */
export function newSessionToken(random: RandomBytes): NewSessionToken {
  const token = prefix + random(tokenBytes).toString('base64url');
  return { token, tokenHash: sha256(token), id: `s-${random(12).toString('base64url')}` };
}

/** @returns the 32-byte look-up key of a token, or undefined when the text cannot be one of our tokens. */
export function hashSessionToken(text: string): Buffer | undefined {
  if (text.length !== prefix.length + 43 || !text.startsWith(prefix)) return undefined;
  const bytes = decodeBase64Url(text.slice(prefix.length));
  return bytes?.length === tokenBytes ? sha256(text) : undefined;
}

export type SessionVerdict =
  | { readonly outcome: 'valid'; readonly session: Session }
  | { readonly outcome: 'refused'; readonly error: CodedError };

const loginAgain = (code: `identity.${string}`, message: string): CodedError =>
  new CodedError(code, message, { next: 'Log in again with `sallyport login`.' });

/** CodedError `identity.session_unknown`, for a token that cannot be one of ours or whose session is not found. */
export const unknownSession = (): CodedError =>
  loginAgain('identity.session_unknown', 'The broker does not know this session: it ended or was revoked.');

const refused = (error: CodedError): SessionVerdict => ({ outcome: 'refused', error });

/**
 * Whether a session that was looked up may be used now by the holder of this key. Revocation is the store's part: a revoked
 * session is one that is no longer found. The error's code is `identity.session_unknown`, `identity.session_wrong_key` or
 * `identity.session_expired`; the key is checked before the time, so that a thief does not learn how long a token lives.
 */
export function sessionVerdict(
  session: Session | undefined,
  nowMs: number,
  keyThumbprint: string,
): SessionVerdict {
  if (session === undefined) return refused(unknownSession());
  if (keyThumbprint === '' || session.keyThumbprint !== keyThumbprint)
    return refused(
      loginAgain(
        'identity.session_wrong_key',
        'This session belongs to another key than the one that signed.',
      ),
    );
  // Written so that a time that is not a number counts as expired.
  if (!(nowMs < session.expiresMs))
    return refused(loginAgain('identity.session_expired', 'Your session has expired.'));
  return { outcome: 'valid', session };
}
