/**
 * issuance: turns a Grant into a credential: adds serial, key id and nonce, lints the finished bytes against the promises of
 * the house, and signs. It decides nothing about who may have what, and stores nothing.
 */
export * from './ssh-host.ts';
export * from './ssh-user.ts';
export * from './subject-key.ts';
export { fingerprint as sshFingerprint, formatCertificate } from '../ssh/index.ts';
export * from './pkcs12.ts';
export * from './renewal.ts';
export * from './tls.ts';
export * from './tls-authority.ts';
export * from './tls-request.ts';
