/**
 * revocation: what is no longer good, as lists that hosts and TLS clients can read: the OpenSSH KRL with its signature, CRLs, OCSP answers. It decides
 * nothing about who is revoked and stores nothing. No list leaves it that our own parser did not read back.
 * Specification: OpenSSH PROTOCOL.krl, PROTOCOL.sshsig; RFC 5280 section 5, RFC 6960.
 */
export * from './crl-publication.ts';
export * from './krl-losses.ts';
export * from './krl-publication.ts';
export * from './ocsp-answers.ts';
export { ListWorker } from './list-worker.ts';
