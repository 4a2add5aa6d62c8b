/** SQLite. How far directories were followed, and departures that wait for an admin. */
export const departures = `
CREATE TABLE followed_directory (directory TEXT PRIMARY KEY, cursor TEXT NOT NULL, moved_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- facts is JSON: limit, atLarge, people.
CREATE TABLE departure_review (
  id TEXT PRIMARY KEY, directory TEXT NOT NULL, opened_ms INTEGER NOT NULL, state TEXT NOT NULL, decided_ms INTEGER, facts TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX departure_review_opened ON departure_review (opened_ms);
-- New ones are put at its end: they expire last.
CREATE INDEX credential_live ON credential (valid_before) WHERE revoked_ms IS NULL;
`;
