import { createPublicKey, type KeyObject } from 'node:crypto';
import { generatePrivateKey } from '../keys/index.ts';
import { CodedError } from '../kernel/index.ts';
import type { AskedName } from '../policy/index.ts';
import { fingerprint, publicKeyFromKeyObject } from '../ssh/index.ts';
import { parseServerName, parseSigningRequest } from '../x509/index.ts';

/** A key that somebody wants certified for TLS, and the names that came with it. */
export interface TlsSubject {
  readonly publicKey: KeyObject;
  /** Only of a pair that was made here. */
  readonly privateKey?: KeyObject;
  readonly facts: { readonly type: string; readonly bits: number };
  /** `SHA256:…` of the plain key, as for SSH: one revoked key is revoked for both. */
  readonly fingerprint: string;
  /** Of a CSR: a wish like the others where servers are named, and of no account for a person. */
  readonly commonName?: AskedName;
  readonly names: readonly AskedName[];
}

export const newKeyTypes = ['rsa-2048', 'rsa-3072', 'ecdsa-p256', 'ecdsa-p384'] as const;
export type NewKeyType = (typeof newKeyTypes)[number];

/**
 * Reads a CSR: its key, after its proof, and its names, the common name among them: all of them pass the same gate.
 * @throws CodedError `x509.…` as `parseSigningRequest`
 */
export function readTlsSubject(csr: string | Buffer, further: readonly string[]): TlsSubject {
  const request = parseSigningRequest(csr);
  const wished: AskedName[] = [
    ...further.map(parseServerName),
    ...request.names.map((name) =>
      name.kind === 'dns' || name.kind === 'ip' ? asServerName(name.value, name.kind) : name,
    ),
    ...(request.asksForSid ? [{ kind: 'sid', value: '' }] : []),
  ];
  const { commonName } = request;
  return {
    ...subjectOf(request.publicKey),
    ...(commonName === undefined ? {} : { commonName: commonNameAsName(commonName) }),
    names: wished,
  };
}

/** Names that come without a CSR. @throws CodedError `x509.bad_name` */
export function parseServerNames(names: readonly string[]): readonly AskedName[] {
  return names.map(parseServerName);
}

/** A fresh pair for somebody who has none: made in the thread pool, handed over once, kept nowhere. */
export async function makeTlsSubject(type: NewKeyType): Promise<TlsSubject> {
  const privateKey = await generatePrivateKey(type);
  return { ...subjectOf(createPublicKey(privateKey)), privateKey, names: [] };
}

function subjectOf(publicKey: KeyObject): Omit<TlsSubject, 'names' | 'privateKey' | 'commonName'> {
  const key = publicKeyFromKeyObject(publicKey);
  const isRsa = publicKey.asymmetricKeyType === 'rsa';
  return {
    publicKey,
    facts: { type: isRsa ? 'rsa' : `ecdsa-p${key.bits}`, bits: key.bits },
    fingerprint: fingerprint(key.blob),
  };
}

function asServerName(value: string, kind: 'dns' | 'ip'): AskedName {
  // A wildcard is no name to us; policy refuses it by what it is.
  if (value.includes('*')) return { kind: 'wildcard', value };
  const name = parseServerName(value);
  return name.kind === kind ? name : { kind: `address as ${kind}`, value };
}

/** What is no host name is a wish that no server profile grants. */
function commonNameAsName(value: string): AskedName {
  try {
    return value.includes('*') ? { kind: 'wildcard', value } : parseServerName(value);
  } catch (error) {
    if (error instanceof CodedError) return { kind: 'common name', value };
    throw error;
  }
}
