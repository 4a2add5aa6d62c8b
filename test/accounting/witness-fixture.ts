import { generateKeyPairSync, sign } from 'node:crypto';
import { cosign, cosignerKey, type LogSigner } from '../../src/accounting/index.ts';

export interface TestWitness {
  readonly name: string;
  readonly vkey: string;
  readonly signer: LogSigner;
  /** The signature line of this witness on a checkpoint, with its LF. */
  cosign(note: string, seconds?: bigint): string;
}

/** A witness in memory, which cosigns whatever it is given. */
export function makeWitness(name: string): TestWitness {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const signer: LogSigner = { publicKey, sign: (message) => sign(null, message, privateKey) };
  return {
    name,
    vkey: cosignerKey(name, publicKey),
    signer,
    cosign: (note, seconds = 1_790_000_000n) => cosign(textOf(note), { name, signer, seconds }),
  };
}

/** What of a note is signed. */
export function textOf(note: string): string {
  return note.slice(0, note.indexOf('\n\n') + 1);
}

/** A policy file in which these, and that many of them, make a quorum. */
export function policyOf(
  needed: number,
  witnesses: readonly TestWitness[],
  urls: readonly string[] = [],
): string {
  const lines = witnesses.map(({ name, vkey }, nth) => `witness ${name} ${vkey} ${urls[nth] ?? ''}`.trim());
  return [
    ...lines,
    `group all-of-them ${needed} ${witnesses.map(({ name }) => name).join(' ')}`,
    'quorum all-of-them',
    '',
  ].join('\n');
}
