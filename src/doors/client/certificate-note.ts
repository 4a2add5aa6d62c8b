import { rmSync } from 'node:fs';
import type { RandomBytes } from '../../kernel/index.ts';
import { toRfc3339 } from '../../kernel/index.ts';
import { Answer } from './answer.ts';
import type { SignRequest } from './contract.ts';
import { readSmallFile, writeByRename } from './files.ts';
import type { HomeFiles } from './home.ts';

/**
 * What `ssh` needs to know at each start without parsing a certificate: when it dies; and how to ask for the next one.
 * It lies beside the certificate and is written after it.
 */
export interface CertificateNote {
  readonly serial: string;
  readonly keyId: string;
  readonly profile: string;
  readonly principals: readonly string[];
  readonly validAfterMs: number;
  /** The certificate is dead at this instant, not after it. */
  readonly validBeforeMs: number;
  /** As it was asked for at login: the renewal asks for the same. */
  readonly request: SignRequest;
  /** Whether login was to put it into the running ssh-agent. */
  readonly agent: boolean;
  /** Whether each certificate's receipt from the log is kept beside it. */
  readonly proof: boolean;
}

/** Writes the note whole or not at all, mode 0600. @throws CodedError `client.cannot_write` */
export function saveNote(files: HomeFiles, note: CertificateNote, random: RandomBytes): void {
  const { validAfterMs, validBeforeMs, ...same } = note;
  const content = { ...same, validAfter: toRfc3339(validAfterMs), validBefore: toRfc3339(validBeforeMs) };
  writeByRename(files.note, `${JSON.stringify(content, undefined, 2)}\n`, random);
}

/** @returns undefined when there is none or it is damaged: then a certificate is simply asked for anew. */
export function loadNote(files: HomeFiles): CertificateNote | undefined {
  const text = readSmallFile(files.note);
  if (text === undefined) return undefined;
  try {
    const answer = new Answer(JSON.parse(text), 'certificate note');
    return {
      serial: answer.token('serial', /^\d{1,20}$/),
      keyId: answer.text('keyId', 100),
      profile: answer.text('profile', 100),
      principals: answer.texts('principals', 256, 200),
      validAfterMs: answer.time('validAfter'),
      validBeforeMs: answer.time('validBefore'),
      request: readRequest(answer.object('request')),
      agent: answer.flag('agent'),
      // Notes of earlier versions have no such word.
      proof: answer.has('proof') && answer.flag('proof'),
    };
  } catch {
    // Damaged: as good as none, see above.
    return undefined;
  }
}

function readRequest(answer: Answer): SignRequest {
  const profile = answer.optionalText('profile');
  const reason = answer.optionalText('reason', 10_000);
  return {
    ...(profile === undefined ? {} : { profile }),
    ...(reason === undefined ? {} : { reason }),
    ...(answer.has('principals') ? { principals: answer.texts('principals', 256, 200) } : {}),
    ...(answer.has('extensions') ? { extensions: answer.texts('extensions', 64, 64) } : {}),
    ...(answer.has('ttlSeconds') ? { ttlSeconds: answer.count('ttlSeconds') } : {}),
  };
}

/** From here on `ssh` finds no certificate of ours. A missing note is no fault. */
export function removeNote(files: HomeFiles): void {
  rmSync(files.note, { force: true });
}

/** Under this much life a login that starts now could come too late. */
const lastMomentMs = 5000;
const fiveMinutesMs = 300_000;

/**
 * - `fresh`: nothing to do;
 * - `due`: a fifth of its life is left, or five minutes (or half, when its whole life is under ten): renew, nobody waits;
 * - `dead`: whoever wants to log in must wait for a new one.
 */
export function noteState(note: CertificateNote, nowMs: number): 'fresh' | 'due' | 'dead' {
  const leftMs = note.validBeforeMs - nowMs;
  if (leftMs <= lastMomentMs) return 'dead';
  const lifeMs = note.validBeforeMs - note.validAfterMs;
  return leftMs <= Math.max(lifeMs / 5, Math.min(fiveMinutesMs, lifeMs / 2)) ? 'due' : 'fresh';
}
