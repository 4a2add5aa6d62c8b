/** SQLite. Logins that hosts reported: how far each host is in, and what is not judged yet. */
export const reportedLogins = `
CREATE TABLE report_position (host_id TEXT NOT NULL, boot TEXT NOT NULL, next_seq INTEGER NOT NULL, reported_ms INTEGER NOT NULL, PRIMARY KEY (host_id, boot)) STRICT, WITHOUT ROWID;
CREATE INDEX report_position_reported ON report_position (reported_ms, host_id);
CREATE TABLE waiting_login (
  host_id TEXT NOT NULL, boot TEXT NOT NULL, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL, line TEXT NOT NULL, due_ms INTEGER NOT NULL,
  PRIMARY KEY (host_id, boot, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX waiting_login_due ON waiting_login (due_ms);
`;
