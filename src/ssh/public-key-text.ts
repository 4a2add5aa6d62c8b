import { createRequire } from 'node:module';
import { CodedError, decodeBase64, isCodedError, printable } from '../kernel/index.ts';
import { publicKeyToKeyObject } from './key-object.ts';
import { parsePublicKeyBlob } from './public-key.ts';
import type { PublicKey } from './public-key.ts';
import { SshReader } from './wire.ts';

/** The one function of sshpk that we use; the package brings no types. */
interface Sshpk {
  parseKey(text: string, format: 'pem'): { toBuffer(format: 'rfc4253'): Buffer };
}

const maxKeyTextChars = 32 * 1024;
/** No key file holds these; comments may be in any script. */
const strangeCharacter = /[^\P{Cc}\t\r\n]|[\p{Cs}\p{Zl}\p{Zp}]/u;

/**
 * One public key as people have it: an OpenSSH line, PEM (SPKI, PKCS#1), RFC 4716 (which PuTTY saves too), or a PuTTY file
 * without a private part. PEM is read by sshpk. The armours that carry an SSH blob are read here, because sshpk takes no sk-
 * keys, no continued header lines, and whatever trails the key. Strangers send these texts, so nothing here may take more than
 * linear time: no expression has two neighbours that match the same character, and what varies in length is cut by hand.
 * @throws CodedError `ssh.private_key_given`, `ssh.unreadable_key`, and as `parsePublicKeyBlob`
 */
export function parsePublicKey(text: string): PublicKey {
  if (text.length > maxKeyTextChars) throw unreadable('it is far too long');
  const trimmed = text.replace(/^\uFEFF/, '').trim();
  if (trimmed === '') throw unreadable('it is empty');
  if (strangeCharacter.test(trimmed)) throw unreadable('it holds control characters');
  if (/^(?:ssh|ecdsa|sk)-/.test(trimmed)) return readLine(trimmed);
  refusePrivate(trimmed);
  if (trimmed.startsWith('---- BEGIN SSH2 PUBLIC KEY ----')) return readRfc4716(trimmed);
  if (/^PuTTY-User-Key-File-\d+:/.test(trimmed)) return readPutty(trimmed);
  if (trimmed.startsWith('-----BEGIN ')) return readPem(trimmed);
  return readLine(trimmed); // to say what is wrong, or which type is not known
}

function refusePrivate(text: string): void {
  if (!/-BEGIN [A-Z0-9 ]*PRIVATE KEY-/.test(text) && !/^Private-Lines:/m.test(text)) return;
  throw new CodedError(
    'ssh.private_key_given',
    'This is a private key. It was not kept, but nobody else should ever see it.',
    {
      next: 'Give the public half, the file ending in “.pub”. If the private key has left your machine, make a new one.',
    },
  );
}

function readLine(text: string): PublicKey {
  const [type, behindType] = cutWord(text);
  const [base64, comment] = cutWord(behindType);
  const blob = decodeBase64(base64);
  if (/[\r\n]/.test(text) || blob === undefined || blob.length === 0) {
    refusePrivate(text);
    throw unreadable('it is not one line of type, base64 and comment');
  }
  return withComment(blob, comment, type);
}

/** The first word, and what follows the spaces behind it. */
function cutWord(text: string): readonly [word: string, rest: string] {
  const end = text.search(/[ \t]/);
  return end < 0 ? [text, ''] : [text.slice(0, end), text.slice(end).replace(/^[ \t]+/, '')];
}

/** RFC 4716: headers `Name: value`, continued after a backslash, then base64 lines. */
function readRfc4716(text: string): PublicKey {
  const lines = text.replaceAll(/\\\r?\n/g, '').split(/\r?\n|\r/);
  if (lines.pop()?.trim() !== '---- END SSH2 PUBLIC KEY ----') throw unreadable('its last line is missing');
  const headers = lines.filter((line) => line.includes(':'));
  const body = lines.slice(1 + headers.length);
  const comment = headers.find((line) => /^comment:/i.test(line))?.slice('comment:'.length);
  return withComment(decodeLines(body), comment && unquote(comment.trim()));
}

function unquote(text: string): string {
  const start = text.startsWith('"') ? 1 : 0;
  return text.slice(start, text.length > start && text.endsWith('"') ? -1 : undefined);
}

function readPutty(text: string): PublicKey {
  const lines = text.split(/\r?\n|\r/);
  const header = (name: string): string | undefined =>
    lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  const start = lines.findIndex((line) => line.startsWith('Public-Lines: ')) + 1;
  const count = header('Public-Lines') ?? '';
  const type = /^PuTTY-User-Key-File-[23]: (\S+)$/.exec(lines[0] ?? '')?.[1];
  if (type === undefined || !/^\d{1,3}$/.test(count) || lines.length !== start + Number(count))
    throw unreadable('it is not a complete PuTTY public key file');
  return withComment(decodeLines(lines.slice(start)), header('Comment'), type);
}

function decodeLines(lines: readonly string[]): Buffer {
  const blob = decodeBase64(lines.map((line) => line.trimEnd()).join(''));
  if (blob === undefined || blob.length === 0) throw unreadable('its base64 is damaged');
  return blob;
}

function withComment(blob: Buffer, comment: string | undefined, type?: string): PublicKey {
  if (type !== undefined && new SshReader(blob, 'public key').string(64).toString('latin1') !== type)
    throw unreadable('its first word and its content name different types');
  const key = parsePublicKeyBlob(blob);
  return comment === undefined || comment === '' ? key : { ...key, comment: printable(comment, 256) };
}

function readPem(text: string): PublicKey {
  const match = /^-----BEGIN ((?:RSA )?PUBLIC KEY)-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END \1-----$/.exec(
    text,
  );
  const der = decodeBase64((match?.[2] ?? '').replaceAll(/\s/g, ''));
  if (match === null || der === undefined)
    throw unreadable('its PEM armour is damaged, or is of another kind');
  const key = parsePublicKeyBlob(readThroughSshpk(text));
  // sshpk overlooks what trails the key: only the very bytes that the key encodes to are taken.
  const type = match[1] === 'PUBLIC KEY' ? 'spki' : 'pkcs1';
  if (!publicKeyToKeyObject(key).export({ format: 'der', type }).equals(der))
    throw unreadable('its content is not the one right encoding of a key');
  return key;
}

function readThroughSshpk(text: string): Buffer {
  try {
    // Loaded on first use: it costs more than everything else here, and the everyday OpenSSH line does without.
    const sshpk = createRequire(import.meta.url)('sshpk') as Sshpk;
    return sshpk.parseKey(text, 'pem').toBuffer('rfc4253');
  } catch (cause) {
    if (isCodedError(cause)) throw cause;
    // sshpk throws assertion and ASN.1 errors of its own; each of them means that it could not read the key.
    throw unreadable('it is damaged, or of a type that SSH does not use', cause);
  }
}

function unreadable(why: string, cause?: unknown): CodedError {
  return new CodedError('ssh.unreadable_key', `This is not a public key that can be read: ${why}.`, {
    next: 'Give one key, without options in front: the whole content of a “.pub” file, PEM, or what PuTTY exports.',
    ...(cause === undefined ? {} : { cause }),
  });
}
