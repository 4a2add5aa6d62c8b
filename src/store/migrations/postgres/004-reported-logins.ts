/** PostgreSQL. Logins that hosts reported: how far each host is in, and what is not judged yet. */
export const reportedLogins = `
CREATE TABLE report_position (host_id text NOT NULL, boot text NOT NULL, next_seq bigint NOT NULL, reported_ms bigint NOT NULL, PRIMARY KEY (host_id, boot));
CREATE INDEX report_position_reported ON report_position (reported_ms, host_id);
CREATE TABLE waiting_login (
  host_id text NOT NULL, boot text NOT NULL, seq bigint NOT NULL, at_ms bigint NOT NULL, line text NOT NULL, due_ms bigint NOT NULL,
  PRIMARY KEY (host_id, boot, seq)
);
CREATE INDEX waiting_login_due ON waiting_login (due_ms);
`;
