/**
 * keys: the private keys of the house behind one Signer: made, sealed in files, opened, used. It never logs, exports or
 * returns a private key, and knows nothing of certificates: format rooms wrap its raw signatures.
 */
export { generatePrivateKey, keyAlgorithms, type KeyAlgorithm } from './generate.ts';
export { createKeyFile, openKeyFile, type KeyPurpose } from './key-file.ts';
export {
  checkPrivateFolder,
  checkTrustedFolder,
  createPrivateFile,
  readPrivateFile,
  readPrivateLine,
  readTrustedFile,
  replaceFile,
  syncFolder,
} from './private-file.ts';
export { openSealedStream, sealStream } from './sealed-stream.ts';
export { createSigner, type SignatureAlgorithm, type Signer } from './signer.ts';
