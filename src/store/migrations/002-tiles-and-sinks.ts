/** SQLite. Filled in from the leaves by the store that finds it behind them. */
export const tilesAndSinks = `
-- Hashes of whole subtrees of 256^level entries, level 1 and up: what tiles above level 0 hold.
CREATE TABLE log_tile_hash (level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, idx)) STRICT, WITHOUT ROWID;
CREATE TABLE sink_position (sink TEXT PRIMARY KEY, next_idx INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;
