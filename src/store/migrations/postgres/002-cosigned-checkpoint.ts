/** PostgreSQL. */
export const cosignedCheckpoint = `
CREATE TABLE cosigned_checkpoint (id int PRIMARY KEY CHECK (id = 1), size bigint NOT NULL, note text NOT NULL);
`;
