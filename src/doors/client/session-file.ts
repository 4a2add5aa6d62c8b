import { rmSync } from 'node:fs';
import type { RandomBytes } from '../../kernel/index.ts';
import { CodedError, formatUtc, toRfc3339 } from '../../kernel/index.ts';
import { parseAnswer } from './answer.ts';
import type { SessionOwner } from './contract.ts';
import { readOwner, tokenGrammar } from './contract.ts';
import { readSmallFile, writeByRename } from './files.ts';
import type { HomeFiles } from './home.ts';
import type { ProofKey } from './proof.ts';
import { exportProofKey, parseProofKey } from './proof.ts';

/** A session as this computer keeps it. The token is useless without the proof key, and at any other broker. */
export interface StoredSession extends SessionOwner {
  readonly origin: string;
  readonly token: string;
  readonly expiresAtMs: number;
  readonly proofKey: ProofKey;
}

/** Writes token and proof key whole or not at all, mode 0600. @throws CodedError `client.cannot_write` */
export function saveSession(files: HomeFiles, session: StoredSession, random: RandomBytes): void {
  const content = {
    broker: session.origin,
    token: session.token,
    expiresAt: toRfc3339(session.expiresAtMs),
    person: session.person,
    roles: session.roles,
    proofKey: exportProofKey(session.proofKey),
  };
  writeByRename(files.session, `${JSON.stringify(content, undefined, 2)}\n`, random);
}

/**
 * @returns undefined when nobody is logged in here.
 * @throws CodedError `client.bad_session_file` when it is damaged, `client.loose_permissions` when others can read it.
 */
export function loadSession(files: HomeFiles): StoredSession | undefined {
  const text = readSmallFile(files.session, { secret: true });
  if (text === undefined) return undefined;
  try {
    const answer = parseAnswer(text, 'stored session');
    return {
      origin: answer.text('broker'),
      token: answer.token('token', tokenGrammar),
      expiresAtMs: answer.time('expiresAt'),
      ...readOwner(answer),
      proofKey: parseProofKey(answer.object('proofKey').raw),
    };
  } catch (error) {
    throw new CodedError('client.bad_session_file', `${files.session} is damaged.`, {
      next: 'Run `sallyport login`; it writes a new one.',
      cause: error,
    });
  }
}

/**
 * The session for one broker, still good by this computer's clock.
 * @throws CodedError `client.not_logged_in`, and those of `loadSession`.
 */
export function requireSession(files: HomeFiles, origin: string, nowMs: number): StoredSession {
  const session = loadSession(files);
  const next = 'Run `sallyport login`.';
  if (session === undefined) throw new CodedError('client.not_logged_in', 'You are not logged in.', { next });
  if (session.origin !== origin) {
    throw new CodedError(
      'client.not_logged_in',
      `You are logged in at ${session.origin}, not at ${origin}.`,
      {
        next: 'Run `sallyport login`, or set SALLYPORT_URL back, or give each broker its own SALLYPORT_HOME.',
      },
    );
  }
  if (session.expiresAtMs <= nowMs) {
    throw new CodedError('client.not_logged_in', `Your session ended at ${formatUtc(session.expiresAtMs)}.`, {
      next,
    });
  }
  return session;
}

/** Forgets the session here; the broker is not told. A missing file is no fault. */
export function removeSession(files: HomeFiles): void {
  rmSync(files.session, { force: true });
}
