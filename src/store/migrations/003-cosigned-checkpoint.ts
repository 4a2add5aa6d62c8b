/** SQLite. */
export const cosignedCheckpoint = `
CREATE TABLE cosigned_checkpoint (id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, note TEXT NOT NULL) STRICT;
`;
