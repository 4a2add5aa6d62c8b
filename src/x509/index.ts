/**
 * x509: certificates written by our own DER writer. Today only what the broker's own TLS needs (a small CA and a server
 * certificate, ECDSA P-256); the authority for other machines comes with its own profiles.
 * Specification: RFC 5280, RFC 5758, X.690.
 */
export { createCertificate, type CertificateRequest } from './certificate.ts';
export { encodeCertificateBundle } from './pkcs7.ts';
export { encodeTrustStore, type TrustedCertificate } from './trust-store.ts';
