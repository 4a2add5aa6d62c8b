/** PostgreSQL. Unlogged: what a crash of the server forgets is at most one more hour's worth, as after the restart of a broker. */
export const hourlyQuota = `
CREATE UNLOGGED TABLE hourly_quota (
  -- SHA-256 of what is counted and for whom.
  key bytea PRIMARY KEY, tokens double precision NOT NULL, filled_ms bigint NOT NULL,
  -- What the newest question got, and how many have been refused since one was granted.
  granted int NOT NULL, refusals bigint NOT NULL
) WITH (fillfactor = 50);
`;
