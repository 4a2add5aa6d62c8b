/**
 * doors/client: talks to a broker over HTTPS for the person at this computer, and keeps what login gave: the session with
 * its proof key (RFC 9449), and beside the SSH certificate a small note of when it dies, so that `ssh` need not ask.
 * It never turns certificate checking off, never follows a redirect, never sends a session to another broker than the one
 * that gave it, and takes nothing in an answer on trust: sizes, kinds and grammars are checked before anything is used.
 * Specification: docs/operations/client.md; the API is the one at `/v1/openapi.json` of the broker.
 */
export * from './answer.ts';
export * from './broker-client.ts';
export * from './certificate-note.ts';
export * from './contract.ts';
export * from './contract-hosts.ts';
export * from './departures.ts';
export * from './failures.ts';
export * from './files.ts';
export type { Coverage, ExplainedLine, LoginCalls, LoginsAsked, ResponseSeen } from './login-calls.ts';
export * from './home.ts';
export * from './log-types.ts';
export type { HostCalls } from './host-calls.ts';
export * from './probe-calls.ts';
export * from './proof.ts';
export * from './renew-lock.ts';
export * from './session-file.ts';
export * from './settings.ts';
export * from './tls-client.ts';
