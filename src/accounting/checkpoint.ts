import { hash, type KeyObject } from 'node:crypto';
import { CodedError, decodeBase64 } from '../kernel/index.ts';

/** The log's own Ed25519 key: never a CA key. `sign` gives the 64 raw bytes of RFC 8032. */
export interface LogSigner {
  readonly publicKey: KeyObject;
  sign(message: Uint8Array): Buffer;
}

/** What a checkpoint says, its signature not looked at. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: bigint;
  readonly root: Buffer;
}

const ed25519 = 0x01;
const nameGrammar = /^[A-Za-z0-9._:/-]{1,200}$/;
const maxNoteChars = 64 * 1024;

/**
 * Origins and key names: scheme-less URL such as `broker.example.com/accounting/1`, 1 to 200 of `A-Z a-z 0-9 . _ : / -`.
 * @throws CodedError `accounting.bad_origin`
 */
export function parseOrigin(text: string): string {
  if (!nameGrammar.test(text)) {
    throw new CodedError(
      'accounting.bad_origin',
      'The name of the accounting log is not a scheme-less URL.',
      {
        next: 'Use a name such as broker.example.com/accounting/1.',
      },
    );
  }
  return text;
}

/** The 32 bytes of an Ed25519 public key (RFC 8032). @throws CodedError `accounting.bad_key` for any other key. */
function rawPublicKey(key: KeyObject): Buffer {
  const { x } = key.asymmetricKeyType === 'ed25519' ? key.export({ format: 'jwk' }) : {};
  if (x === undefined) throw new CodedError('accounting.bad_key', 'The log signs with Ed25519 keys only.');
  return Buffer.from(x, 'base64url');
}

/** C2SP signed-note: SHA-256(name || 0x0A || 0x01 || public key), first 4 bytes. */
function keyHash(keyName: string, publicKey: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(`${keyName}\n`), Buffer.of(ed25519), publicKey]);
  return hash('sha256', named, 'buffer').subarray(0, 4);
}

/** `name+hash+base64(0x01 || public key)`: what an auditor pins (C2SP signed-note, "vkey" of golang.org/x/mod/sumdb/note). */
export function verifierKey(keyName: string, publicKey: KeyObject): string {
  const raw = rawPublicKey(publicKey);
  const encoded = Buffer.concat([Buffer.of(ed25519), raw]).toString('base64');
  return `${parseOrigin(keyName)}+${keyHash(keyName, raw).toString('hex')}+${encoded}`;
}

/** Signature line of a C2SP signed note over `text`, with its newline: `— name base64(keyhash4 || signature)`. */
export type SignText = (text: string) => string;

/** Prepares a key for signing many texts under one name. @throws CodedError `accounting.bad_key`, `accounting.bad_origin` */
export function signatureLines(keyName: string, signer: LogSigner): SignText {
  const id = keyHash(parseOrigin(keyName), rawPublicKey(signer.publicKey));
  return (text) => {
    const signature = signer.sign(Buffer.from(text));
    return `— ${keyName} ${Buffer.concat([id, signature]).toString('base64')}\n`;
  };
}

/** The signed note of a head (C2SP tlog-checkpoint): origin, decimal size, base64 root, blank line, one signature line. */
export function encodeCheckpoint(head: Checkpoint, sign: SignText): string {
  const text = `${head.origin}\n${head.size}\n${head.root.toString('base64')}\n`;
  return `${text}\n${sign(text)}`;
}

/** The checkpoint of any state of the log, signed with its key: always the same for the same state (RFC 8032 is deterministic). */
export function checkpointOf(state: Checkpoint, signer: LogSigner): string {
  return encodeCheckpoint(state, signatureLines(state.origin, signer));
}

/**
 * Reads a checkpoint of our own store without verifying it, which is the work of verify/. Extension lines are refused: this log
 * never writes any.
 * @throws CodedError `accounting.bad_checkpoint`, `accounting.bad_origin`
 */
export function parseCheckpoint(note: string): Checkpoint {
  const match =
    /^([^\n]+)\n(0|[1-9]\d{0,14})\n([A-Za-z0-9+/]{43}=)\n\n(?:— [^\n ]+ [A-Za-z0-9+/=]+\n){1,32}$/.exec(
      note.length > maxNoteChars ? '' : note,
    );
  const root = decodeBase64(match?.[3] ?? '');
  if (match?.[1] === undefined || match[2] === undefined || root?.length !== 32) {
    throw new CodedError('accounting.bad_checkpoint', 'This is not a checkpoint of an accounting log.', {
      next: 'A checkpoint has a name, a size, a root, an empty line and at least one signature line.',
    });
  }
  return { origin: parseOrigin(match[1]), size: BigInt(match[2]), root };
}
