import type { KeyFacts } from '../policy/index.ts';
import { fingerprint, parsePublicKey, type PublicKey } from '../ssh/index.ts';

/** A public key that somebody wants certified, with what policy and the log need to know of it. */
export interface SubjectKey {
  readonly key: PublicKey;
  readonly facts: KeyFacts;
  /** `SHA256:…` */
  readonly fingerprint: string;
}

/** Reads a public key in any format that people have. @throws CodedError `ssh.…` as `parsePublicKey` */
export function readSubjectKey(text: string): SubjectKey {
  const key = parsePublicKey(text);
  return { key, facts: { type: key.type, bits: key.bits }, fingerprint: fingerprint(key.blob) };
}
