/** SQLite. Whole ranges of serials that a list must hold although no row knows them: what may have been issued after a copy. */
export const revokedRange = `
-- Both ends included; until is in seconds, like credential.valid_before.
CREATE TABLE revoked_range (
  ca_id INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (ca_id, first, last)
) STRICT, WITHOUT ROWID;
`;
