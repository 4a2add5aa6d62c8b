/**
 * revocation: what is no longer good, as lists that hosts can read: today the OpenSSH KRL with its signature. It decides
 * nothing about who is revoked and stores nothing. No list leaves it that our own parser did not read back.
 * Specification: OpenSSH PROTOCOL.krl, PROTOCOL.sshsig.
 */
export * from './krl-publication.ts';
export { ListWorker } from './list-worker.ts';
