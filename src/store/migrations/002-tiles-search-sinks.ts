/** SQLite. Tiles are filled in by the store that finds them behind the leaves, searches and `credential_by` as ever. */
export const tilesSearchSinks = `
-- Hashes of whole subtrees of 256^level entries, level 1 and up: what tiles above level 0 hold.
CREATE TABLE log_tile_hash (level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, idx)) STRICT, WITHOUT ROWID;
CREATE TABLE sink_position (sink TEXT PRIMARY KEY, next_idx INTEGER NOT NULL) STRICT, WITHOUT ROWID;

DROP TABLE log_search;
DROP TABLE log_search_person;
CREATE TABLE log_search (idx INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL) STRICT;
-- A term is the beginning of a hash (search-terms.ts): eight bytes for whatever can be asked for.
CREATE TABLE log_term (term INTEGER NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (term, idx)) STRICT, WITHOUT ROWID;
-- Clear words, for as long as their opening is kept.
CREATE TABLE log_reason (idx INTEGER PRIMARY KEY, reason TEXT NOT NULL) STRICT;

DELETE FROM credential_by;
UPDATE credential_indexed SET up_to = 0;
`;
