/** PostgreSQL. How far directories were followed, departures that wait for an admin, and which broker follows. */
export const departures = `
CREATE TABLE followed_directory (directory text COLLATE "C" PRIMARY KEY, cursor text NOT NULL, moved_ms bigint NOT NULL);
-- facts is JSON: limit, atLarge, people.
CREATE TABLE departure_review (
  id text COLLATE "C" PRIMARY KEY, directory text COLLATE "C" NOT NULL, opened_ms bigint NOT NULL, state text NOT NULL, decided_ms bigint,
  facts text NOT NULL
);
CREATE INDEX departure_review_opened ON departure_review (opened_ms);
CREATE INDEX credential_live ON credential (valid_before) WHERE revoked_ms IS NULL;
CREATE TABLE work_lease (name text COLLATE "C" PRIMARY KEY, holder text COLLATE "C" NOT NULL, until timestamptz NOT NULL) WITH (fillfactor = 50);
`;
