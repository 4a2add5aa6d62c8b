/**
 * hosts: what is known of machines: what they report back, and which issued credential explains a login that was seen there. It
 * knows nothing of stores or HTTP, and believes no word of a host but what it could check.
 */
export { parseLoginLine, maxLoginLineChars } from './seen-login.ts';
export type { SeenCertificate, SeenCredential, SeenLogin } from './seen-login.ts';
export { mostReportedEvents, parseReportedEvents } from './report.ts';
export type { ReportedEvent } from './report.ts';
export { judgeLogin, verdictSeverity } from './login-verdict.ts';
export type { IssuedCertificate, LoginFacts, LoginVerdict } from './login-verdict.ts';
