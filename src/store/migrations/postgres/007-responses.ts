/** PostgreSQL. What rules asked for because of logins that nothing explains, and who decided. */
export const responses = `
CREATE TABLE response_request (
  id text PRIMARY KEY, host_id text NOT NULL, host_name text NOT NULL, quarantine text NOT NULL, verdict text NOT NULL,
  entry_idx bigint NOT NULL, state text NOT NULL, created_ms bigint NOT NULL, changed_ms bigint NOT NULL, approvals text NOT NULL
);
CREATE INDEX response_request_created ON response_request (created_ms);
`;
