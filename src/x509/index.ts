/**
 * x509: names, certificates, requests and revocation lists as bytes. What is signed here is written by our own DER writer; what comes
 * from outside is read by our own bounded reader. It holds no key and decides nothing: who may have what is policy's, and signatures
 * come from a Signer.
 * Specification: RFC 5280, RFC 2986, RFC 5758, RFC 7093, X.690.
 */
export { createCertificate, type CertificateRequest } from './certificate.ts';
export { encodeCertificateBundle } from './pkcs7.ts';
export { encodeTrustStore, type TrustedCertificate } from './trust-store.ts';
export * from './crl.ts';
export * from './extensions.ts';
export * from './name-constraints.ts';
export * from './ldif.ts';
export * from './names.ts';
export { oid } from './oids.ts';
export * from './pem.ts';
export * from './read-certificate.ts';
export * from './signature.ts';
export * from './signing-request.ts';
export * from './to-be-signed.ts';
export * from './pkcs12.ts';
export * from './ocsp.ts';
export * from './der.ts';
export { listAddressesOf } from './list-addresses.ts';
