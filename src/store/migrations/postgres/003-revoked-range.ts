/** PostgreSQL. Comes with a copy from SQLite: whole ranges of serials that a list must hold although no row knows them. */
export const revokedRange = `
-- Both ends included; until is in seconds, like credential.valid_before.
CREATE TABLE revoked_range (
  ca_id int NOT NULL REFERENCES ca, first bigint NOT NULL, last bigint NOT NULL, until bigint NOT NULL, PRIMARY KEY (ca_id, first, last)
);
`;
