/**
 * broker: one file for each thing a person asks for, read from top to bottom: log in, get a certificate, revoke, explain, read
 * the log. It owns the order of the steps and the interface of the store (`unit-of-work.ts`); it knows nothing of HTTP, of SQL
 * or of wire formats, and no credential leaves it before its entry is durable.
 */
export * from './approve-host.ts';
export * from './decide-response.ts';
export * from './deliver-log.ts';
export * from './decide-departures.ts';
export type { DepartureLimits } from './departure-breaker.ts';
export type * from './departures.ts';
export * from './cosign-checkpoint.ts';
export * from './enrol-host.ts';
export * from './erase-personal.ts';
export * from './explain-certificate.ts';
export * from './explain-line.ts';
export * from './explain-policy.ts';
export * from './export-log.ts';
export * from './find-person.ts';
export { DirectoryFollower } from './follow-departures.ts';
export type { FollowOptions, FollowState } from './follow-departures.ts';
/** What the door reads and writes of hosts. */
export { encodeHostAnswer, encodeHostRefusal, parseHostRequest } from '../hosts/index.ts';
export * from './host-rooms.ts';
export * from './host-rows.ts';
export * from './host-token.ts';
export * from './hourly-quota.ts';
export * from './issue-ssh-user.ts';
export * from './judge-logins.ts';
export * from './kept-checkpoint.ts';
export * from './list-hosts.ts';
export * from './list-issued.ts';
export * from './list-logins.ts';
export * from './lock-person.ts';
export * from './log-in.ts';
export type * from './new-log.ts';
export * from './open-session.ts';
export * from './opened-values.ts';
export * from './people-watch.ts';
export type * from './probed-ports.ts';
export * from './publish-krl.ts';
export * from './publish-trust.ts';
export * from './read-log.ts';
export * from './record-probe.ts';
export * from './recover-log.ts';
export * from './release-principal.ts';
export * from './renew-host.ts';
export * from './report-logins.ts';
export type * from './reported-login.ts';
export * from './require-role.ts';
export * from './resolve-host.ts';
export * from './retire-host.ts';
export * from './respond-to-logins.ts';
export type * from './response-row.ts';
export * from './revoke.ts';
export * from './rooms.ts';
export * from './serial-source.ts';
export type { Tell } from './sink-loop.ts';
export * from './show-person.ts';
export * from './start-up.ts';
export * from './sync-host.ts';
export * from './trust-bundles.ts';
export * from './unit-of-work.ts';
export * from './waiting-hosts.ts';
export * from './who-could.ts';
export { voidOwed } from './void-serial.ts';
