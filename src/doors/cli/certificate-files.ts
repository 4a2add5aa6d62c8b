import type { KeyObject } from 'node:crypto';
import { generateKeyPairSync } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { BrokerClient, CertificateNote, HomeFiles, SignAnswer, SignRequest } from '../client/index.ts';
import { readSmallFile, removeNote, saveNote, writeByRename } from '../client/index.ts';
import { CodedError } from '../../kernel/index.ts';
import type { Certificate, PublicKey } from '../../ssh/index.ts';
import {
  fingerprint,
  formatOpensshPrivateKey,
  formatPublicKey,
  parseCertificate,
  parseOpensshPrivateKey,
  publicKeyFromKeyObject,
  verifySignature,
} from '../../ssh/index.ts';
import type { Terminal } from './terminal.ts';
import { secondsToMs } from './times.ts';

/** A certificate that was asked for and is what was asked for. */
export interface Obtained {
  readonly request: SignRequest;
  readonly answer: SignAnswer;
  readonly certificate: Certificate;
  /** Its receipt from the log, where that was asked for. */
  readonly proof?: string;
}

/**
 * Asks for a certificate and looks at what came before anybody uses it: it must be for this key, a user's, signed by the
 * named authority, alive, and with no other principals and extensions than those asked for.
 * @param asked `proof`: its receipt too.
 * @throws CodedError `cli.bad_certificate` naming what is wrong, and the broker's refusals.
 */
export async function obtainCertificate(
  terminal: Terminal,
  client: BrokerClient,
  key: PublicKey,
  { request, proof }: { readonly request: SignRequest; readonly proof: boolean },
): Promise<Obtained> {
  const answer = await client.sign(formatPublicKey(key), request);
  const obtained = { request, answer, certificate: parseCertificate(answer.certificate) };
  const wrong = findFault(obtained, key, terminal.clock.nowMs());
  if (wrong === undefined)
    return proof ? { ...obtained, proof: await client.proof(String(answer.serial)) } : obtained;
  throw new CodedError('cli.bad_certificate', `The broker gave a certificate that ${wrong}.`, {
    next: 'Do not use this broker until its operator has looked at it.',
  });
}

function findFault(
  { request, answer, certificate }: Obtained,
  key: PublicKey,
  nowMs: number,
): string | undefined {
  if (!certificate.key.blob.equals(key.blob)) return 'is for another key';
  if (certificate.kind !== 'user') return 'is not for a user';
  if (certificate.serial !== answer.serial) return 'has another serial than the broker says';
  if (certificate.principals.length === 0) return 'names no principal';
  if (isBeyond(request.principals, certificate.principals)) return 'names principals that were not asked for';
  if (isBeyond(request.extensions, [...certificate.extensions.keys()]))
    return 'has extensions that were not asked for';
  if (secondsToMs(certificate.validBefore) <= nowMs) return 'has expired by this computer’s clock';
  if (fingerprint(certificate.caKey.blob) !== answer.caFingerprint)
    return 'comes from another authority than the broker says';
  return verifySignature(certificate.caKey, certificate.signature, certificate.toBeSigned)
    ? undefined
    : 'has a wrong signature';
}

function isBeyond(asked: readonly string[] | undefined, given: readonly string[]): boolean {
  return asked !== undefined && given.some((name) => !asked.includes(name));
}

/** A fresh Ed25519 key; it is nowhere but in memory until `writeKeySet`. */
export function generateUserKey(): { readonly privateKey: KeyObject; readonly publicKey: PublicKey } {
  const { privateKey } = generateKeyPairSync('ed25519');
  return { privateKey, publicKey: publicKeyOf(privateKey) };
}

/** The public half, in the form that SSH has for it. */
export function publicKeyOf(privateKey: KeyObject): PublicKey {
  return publicKeyFromKeyObject(privateKey);
}

/** Names our key in files and in the agent. */
export function keyComment(login: string): string {
  return `sallyport:${login}`;
}

/** What belongs together on disk and in the agent. */
export interface KeySet {
  readonly privateKey: KeyObject;
  readonly comment: string;
  readonly obtained: Obtained;
  readonly agent: boolean;
}

/** Writes a new key with its certificate: the old certificate goes first, so that the two never stand side by side wrongly. */
export function writeKeySet(terminal: Terminal, files: HomeFiles, set: KeySet): void {
  const { random } = terminal;
  removeNote(files);
  for (const path of [files.certificate, files.proof]) rmSync(path, { force: true });
  writeByRename(files.key, formatOpensshPrivateKey(set.privateKey, set.comment, random), random);
  const publicLine = formatPublicKey(set.obtained.certificate.key, set.comment);
  writeByRename(files.publicKey, `${publicLine}\n`, random, 0o644);
  writeCertificate(terminal, files, set);
}

/** Writes a certificate for the key that is there, and after it the note that `ssh` goes by. */
export function writeCertificate(
  terminal: Terminal,
  files: HomeFiles,
  set: Omit<KeySet, 'privateKey' | 'comment'>,
): void {
  writeByRename(files.certificate, `${set.obtained.answer.certificate}\n`, terminal.random, 0o644);
  const { proof } = set.obtained;
  if (proof !== undefined) writeByRename(files.proof, proof, terminal.random, 0o644);
  saveNote(files, noteOf(set), terminal.random);
}

function noteOf({ obtained, agent }: Pick<KeySet, 'obtained' | 'agent'>): CertificateNote {
  const { request, answer, certificate } = obtained;
  return {
    serial: certificate.serial.toString(),
    keyId: certificate.keyId,
    profile: answer.profile,
    principals: certificate.principals,
    validAfterMs: secondsToMs(certificate.validAfter),
    validBeforeMs: secondsToMs(certificate.validBefore),
    request,
    agent,
    proof: obtained.proof !== undefined,
  };
}

/** The certificate that login left; a damaged one counts as missing. @throws CodedError `client.cannot_read` */
export function readCertificate(files: HomeFiles): Certificate | undefined {
  const text = readSmallFile(files.certificate);
  return text === undefined ? undefined : attempt(() => parseCertificate(text.trimEnd()));
}

/**
 * The private key that login left; a damaged one counts as missing.
 * @throws CodedError `client.loose_permissions`, `client.cannot_read`
 */
export function readPrivateKey(files: HomeFiles): KeyObject | undefined {
  const text = readSmallFile(files.key, { secret: true });
  return text === undefined ? undefined : attempt(() => parseOpensshPrivateKey(text));
}

function attempt<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof CodedError) return undefined;
    throw error;
  }
}

/**
 * Removes key, certificate and note, the note first, so that no `ssh` goes by what is half gone. Missing files are no fault.
 */
export function removeKeySet(files: HomeFiles): void {
  removeNote(files);
  for (const path of [files.certificate, files.proof, files.key, files.publicKey])
    rmSync(path, { force: true });
}
