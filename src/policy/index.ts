/**
 * policy: a person and a request go in, a complete Grant or the reasons for refusal come out.
 * It never signs, never asks a directory, never reads a file or a clock, and never parses a key: whatever it needs comes in
 * as arguments, and the same arguments give the same decision. What the file does not give is refused; a request can
 * only narrow what the file gives.
 * Specification: docs/operations/policy.md (the file), sshd(8) and PROTOCOL.certkeys (principals, options).
 */
export * from './grant.ts';
export type { HostGroup } from './host-group.ts';
export { decideUserCertificate, explainUserCertificate } from './decide.ts';
export { defaultPolicyYaml } from './default-policy.ts';
export type { DefaultPolicyOptions } from './default-policy.ts';
export { parsePolicy } from './parse-policy.ts';
export type { ParsePolicyOptions } from './parse-policy.ts';
export type { Policy } from './policy.ts';
export type { OwnerOf, UserCertificateQuestion } from './question.ts';
export { attributesUsed, protectedPrincipals, rolesOf } from './roles.ts';
export * from './still-grants.ts';
export * from './tls.ts';
