/**
 * hosts: what a host and the broker say to each other: the names that a host may claim, the signed requests that it sends, the
 * answers it reads with a shell, the trust bundle; and what it reports back, with the issued credential that explains a login seen
 * there. It parses, encodes and judges; it knows nothing of stores or HTTP, holds no key, decides nothing about who may enrol, and
 * believes no word of a host but what it could check.
 * Specification: docs/formats/host-protocol.md, docs/formats/trust-bundle.md.
 */
export * from './answer.ts';
export * from './bundle.ts';
export * from './document.ts';
export * from './host-id.ts';
export * from './names.ts';
export * from './proofs.ts';
export * from './request.ts';
export { parseLoginLine, maxLoginLineChars } from './seen-login.ts';
export type { SeenCertificate, SeenCredential, SeenLogin } from './seen-login.ts';
export { mostReportedEvents, parseReportedEvents } from './report.ts';
export type { ReportedEvent } from './report.ts';
export { judgeLogin } from './login-verdict.ts';
export type { IssuedCertificate, LoginFacts, LoginVerdict } from './login-verdict.ts';
