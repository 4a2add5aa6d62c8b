import { createSigner, generatePrivateKey, type Signer } from '../keys/index.ts';
import { fingerprint, publicKeyFromKeyObject } from '../ssh/index.ts';
import {
  encodeOcspResponse,
  encodeOcspToBeSigned,
  subjectPublicKeyInfo,
  x509Algorithm,
  type OcspAnswerFields,
} from '../x509/index.ts';

export {
  encodeOcspFailure as ocspFailure,
  issuerHashes,
  parseOcspRequest,
  type OcspQuestion,
  type OcspStatus,
} from '../x509/index.ts';

/** What signs OCSP answers in the place of an authority. */
export interface OcspKey {
  readonly own: Signer;
  /** DER, issued by the authority. */
  readonly certificate: Buffer;
}

/** A fresh key of the same family as the authority's: who can check the one can check the other. */
export async function newOcspKey(
  authority: Signer['algorithm'],
): Promise<{ readonly own: Signer; readonly fingerprint: string }> {
  const key = await generatePrivateKey(authority.startsWith('rsa') ? 'rsa-2048' : 'ecdsa-p256');
  const own = createSigner(key, 'sha256');
  return { own, fingerprint: fingerprint(publicKeyFromKeyObject(own.publicKey).blob) };
}

/** A signed answer, DER, with the certificate of who signed it. */
export async function signOcsp(
  { own, certificate }: OcspKey,
  fields: Omit<OcspAnswerFields, 'signerKey'>,
): Promise<Buffer> {
  const toBeSigned = encodeOcspToBeSigned({ ...fields, signerKey: subjectPublicKeyInfo(own.publicKey) });
  return encodeOcspResponse(toBeSigned, x509Algorithm(own.algorithm), await own.sign(toBeSigned), [
    certificate,
  ]);
}
