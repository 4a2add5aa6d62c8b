/**
 * PostgreSQL 13 and newer. Times ending in `_ms` are milliseconds since the epoch, `valid_*` are seconds. Every text is compared
 * byte by byte (COLLATE "C"): names sort the same on every server, and no upgrade of a locale breaks an index.
 */
export const first = `
CREATE TABLE log_head (
  id int PRIMARY KEY CHECK (id = 1),
  origin text NOT NULL, size bigint NOT NULL, root bytea NOT NULL, frontier bytea NOT NULL, checkpoint text NOT NULL
) WITH (fillfactor = 10);
CREATE TABLE log_entry (idx bigint PRIMARY KEY, leaf_hash bytea NOT NULL, entry bytea NOT NULL);
CREATE TABLE log_opening (idx bigint PRIMARY KEY, openings text NOT NULL);
-- Hashes of whole subtrees of 256^level entries, level 1 and up: what tiles above level 0 hold.
CREATE TABLE log_tile_hash (level int NOT NULL, idx bigint NOT NULL, hash bytea NOT NULL, PRIMARY KEY (level, idx));
CREATE TABLE sink_position (sink text COLLATE "C" PRIMARY KEY, next_idx bigint NOT NULL);
-- Behind the privileges: they bind the brokers, this also whoever owns the tables, until it is dropped.
CREATE FUNCTION log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the log is append-only'; END $$;
CREATE TRIGGER log_entry_never_changes BEFORE UPDATE OR DELETE OR TRUNCATE ON log_entry
  FOR EACH STATEMENT EXECUTE FUNCTION log_is_append_only();

-- Built behind the log, from the entries alone: may be emptied, and is filled again.
CREATE TABLE log_search (idx bigint PRIMARY KEY, time_ms bigint NOT NULL);
-- A term is the beginning of a hash (search-terms.ts): eight bytes for whatever can be asked for.
CREATE TABLE log_term (term bigint NOT NULL, idx bigint NOT NULL, PRIMARY KEY (term, idx));
-- Clear words, for as long as their opening is kept.
CREATE TABLE log_reason (idx bigint PRIMARY KEY, reason text COLLATE "C" NOT NULL);

CREATE TABLE person (
  person_id text COLLATE "C" PRIMARY KEY, directory text NOT NULL, login text COLLATE "C" NOT NULL, first_seen_ms bigint NOT NULL,
  epoch int NOT NULL DEFAULT 0, expelled_ms bigint, locked_ms bigint, lock_reason text
) WITH (fillfactor = 80);
CREATE INDEX person_login ON person (lower(login));
CREATE TABLE principal (name text COLLATE "C" NOT NULL, person_id text NOT NULL, since_ms bigint NOT NULL);
-- Without case: on IBM i and Windows Alice and alice are one account.
CREATE UNIQUE INDEX principal_name ON principal (lower(name));

CREATE TABLE session (
  token_hash bytea PRIMARY KEY, id text COLLATE "C" NOT NULL UNIQUE, person_id text COLLATE "C" NOT NULL, login text NOT NULL,
  directory text NOT NULL, key_thumbprint text NOT NULL, created_ms bigint NOT NULL, expires_ms bigint NOT NULL
);
CREATE INDEX session_person ON session (person_id);
CREATE INDEX session_expiry ON session (expires_ms);
CREATE TABLE throttle (key text COLLATE "C" PRIMARY KEY, state text NOT NULL, forget_ms bigint NOT NULL);
CREATE INDEX throttle_forget ON throttle (forget_ms);
-- Not worth a write-ahead log: after a crash they are empty, proof_memory with them, and proofs from before it are refused.
CREATE UNLOGGED TABLE used_proof (name bytea PRIMARY KEY, until_s bigint NOT NULL);
CREATE INDEX used_proof_until ON used_proof (until_s);
CREATE UNLOGGED TABLE proof_memory (id int PRIMARY KEY CHECK (id = 1), born_s bigint NOT NULL);

-- One row for each running broker, renewed every few seconds by the time of the database.
CREATE TABLE broker_lease (owner text COLLATE "C" PRIMARY KEY, seen_at timestamptz NOT NULL) WITH (fillfactor = 50);
CREATE TABLE ca (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, fingerprint text COLLATE "C" NOT NULL UNIQUE, next_serial bigint NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE serial_block (
  ca_id int NOT NULL REFERENCES ca, first bigint NOT NULL, last bigint NOT NULL, owner text COLLATE "C" NOT NULL, PRIMARY KEY (ca_id, first)
);
CREATE TABLE credential (
  ca_id int NOT NULL REFERENCES ca, serial bigint NOT NULL, key_id text COLLATE "C" NOT NULL, person_id text COLLATE "C" NOT NULL, login text NOT NULL,
  profile text NOT NULL, key_type text NOT NULL, key_fp text COLLATE "C" NOT NULL, principals text[] COLLATE "C" NOT NULL,
  -- Without case, for looking them up.
  folded_principals text[] COLLATE "C" NOT NULL,
  valid_after bigint NOT NULL, valid_before bigint NOT NULL, issued_ms bigint NOT NULL, revoked_ms bigint, revoked_reason text,
  PRIMARY KEY (ca_id, serial)
);
CREATE INDEX credential_person ON credential (person_id, serial);
CREATE INDEX credential_key ON credential (key_fp);
CREATE INDEX credential_key_id ON credential (key_id);
CREATE INDEX credential_principals ON credential USING gin (folded_principals);
CREATE INDEX credential_revoked ON credential (ca_id, valid_before) WHERE revoked_ms IS NOT NULL;

CREATE TABLE revoked_key (fingerprint text COLLATE "C" PRIMARY KEY, revoked_ms bigint NOT NULL, reason text NOT NULL);
CREATE TABLE revoked_key_id (
  ca_fp text COLLATE "C" NOT NULL, key_id text COLLATE "C" NOT NULL, valid_before bigint NOT NULL, PRIMARY KEY (ca_fp, key_id)
);
CREATE TABLE revocation_count (id int PRIMARY KEY CHECK (id = 1), acts bigint NOT NULL) WITH (fillfactor = 10);
INSERT INTO revocation_count VALUES (1, 0);
CREATE TABLE publication (
  kind text COLLATE "C" PRIMARY KEY, version bigint NOT NULL, published_ms bigint NOT NULL, bytes bytea NOT NULL, signature text NOT NULL,
  sha256 text NOT NULL, revocations bigint NOT NULL
);
`;
