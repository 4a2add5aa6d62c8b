/** SQLite. What rules asked for because of logins that nothing explains, and who decided. */
export const responses = `
CREATE TABLE response_request (
  id TEXT PRIMARY KEY, host_id TEXT NOT NULL, host_name TEXT NOT NULL, quarantine TEXT NOT NULL, verdict TEXT NOT NULL,
  entry_idx INTEGER NOT NULL, state TEXT NOT NULL, created_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL, approvals TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX response_request_created ON response_request (created_ms);
`;
