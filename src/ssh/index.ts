/**
 * ssh: the wire formats of OpenSSH, read and written by our own code: public keys, certificates, revocation lists, SSHSIG
 * signatures, private key files and the agent protocol. It decides nothing about people or policy, signs nothing but a probe
 * of a key file that it reads, keeps no keys, and accepts no certificate where a key belongs. The only door to sshpk, which
 * reads PEM keys and nothing else here.
 * Specification: RFC 4251, 4253, 4716, 5656, 8332, 8709, 9987; draft-ietf-sshm-cert-01; OpenSSH PROTOCOL.krl, PROTOCOL.sshsig,
 * PROTOCOL.u2f. Where paper and OpenSSH differ, OpenSSH is right.
 */
export { connectAgent } from './agent.ts';
export type { Agent, AgentCertifiedKey, AgentIdentity, AgentKey, AgentOptions } from './agent.ts';
export { formatCertificate, parseCertificate } from './certificate.ts';
export type { Certificate, CertificateFields } from './certificate.ts';
export { createCertificateEncoder } from './certificate-encoder.ts';
export type { CertificateEncoder } from './certificate-encoder.ts';
export { verifyCertificate } from './certificate-verdict.ts';
export type { CertificateCheck, CertificateQuestion, CertificateVerdict } from './certificate-verdict.ts';
export { publicKeyFromKeyObject, publicKeyToKeyObject } from './key-object.ts';
export { formatOpensshPrivateKey, parseOpensshPrivateKey } from './private-key.ts';
export { krlLimit } from './krl.ts';
export type { Krl, KrlCertificates, KrlSubject, KrlVerdict, ParsedKrl } from './krl.ts';
export { encodeKrl } from './krl-encode.ts';
export { parseKrl } from './krl-parse.ts';
export { normalRuns, serialRuns } from './krl-serials.ts';
export type { SerialRuns } from './krl-serials.ts';
export { fingerprint, formatPublicKey, parsePublicKeyBlob } from './public-key.ts';
export type { PublicKey } from './public-key.ts';
export { parsePublicKey } from './public-key-text.ts';
export { encodeSignature, parseSignature, verifySignature } from './signature.ts';
export type { SignatureAlgorithm, SignatureFields } from './signature.ts';
export { matchesSourceAddress, parseSourceAddressList } from './source-address.ts';
export { encodeSshsig, encodeSshsigToBeSigned, parseSshsig, verifySshsig } from './sshsig.ts';
export type { Sshsig, SshsigCheck, SshsigHash, SshsigVerdict } from './sshsig.ts';
export { SshReader, SshWriter } from './wire.ts';
