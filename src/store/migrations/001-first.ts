/** SQLite. Times ending in `_ms` are milliseconds since the epoch, `valid_*` are seconds; serials are INTEGER (dense from 1). */
export const first = `
CREATE TABLE log_head (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  origin TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, frontier BLOB NOT NULL, checkpoint TEXT NOT NULL
) STRICT;
CREATE TABLE log_entry (idx INTEGER PRIMARY KEY, leaf_hash BLOB NOT NULL, entry BLOB NOT NULL) STRICT;
CREATE TABLE log_opening (idx INTEGER PRIMARY KEY, openings TEXT NOT NULL) STRICT;
CREATE TRIGGER log_entry_never_changes BEFORE UPDATE ON log_entry BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
-- INSERT OR REPLACE deletes without telling the trigger for deletion.
CREATE TRIGGER log_entry_never_replaced BEFORE INSERT ON log_entry
  WHEN EXISTS (SELECT 1 FROM log_entry WHERE idx = NEW.idx) BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER log_entry_never_goes BEFORE DELETE ON log_entry BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

-- Built behind the log, from the entries alone: may be dropped and made again.
CREATE TABLE log_search (
  idx INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, type TEXT NOT NULL, outcome TEXT NOT NULL, ca_fp TEXT, serial TEXT, key_fp TEXT
) STRICT;
CREATE TABLE log_search_person (person_id TEXT NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (person_id, idx)) STRICT, WITHOUT ROWID;
CREATE INDEX log_search_time ON log_search (time_ms);
CREATE INDEX log_search_type ON log_search (type, idx);
CREATE INDEX log_search_serial ON log_search (serial) WHERE serial IS NOT NULL;
CREATE INDEX log_search_key ON log_search (key_fp) WHERE key_fp IS NOT NULL;

CREATE TABLE person (
  person_id TEXT PRIMARY KEY, directory TEXT NOT NULL, login TEXT NOT NULL, first_seen_ms INTEGER NOT NULL,
  epoch INTEGER NOT NULL DEFAULT 0, expelled_ms INTEGER, locked_ms INTEGER, lock_reason TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX person_login ON person (login COLLATE NOCASE);
-- Without case: on IBM i and Windows Alice and alice are one account.
CREATE TABLE principal (name TEXT PRIMARY KEY COLLATE NOCASE, person_id TEXT NOT NULL, since_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE session (
  token_hash BLOB PRIMARY KEY, id TEXT NOT NULL UNIQUE, person_id TEXT NOT NULL, login TEXT NOT NULL, directory TEXT NOT NULL,
  key_thumbprint TEXT NOT NULL, created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_person ON session (person_id);
CREATE INDEX session_expiry ON session (expires_ms);
CREATE TABLE throttle (key TEXT PRIMARY KEY, state TEXT NOT NULL, forget_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE ca (id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE, next_serial INTEGER NOT NULL) STRICT;
CREATE TABLE serial_block (
  ca_id INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (ca_id, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE credential (
  id INTEGER PRIMARY KEY, ca_id INTEGER NOT NULL, serial INTEGER NOT NULL, key_id TEXT NOT NULL, person_id TEXT NOT NULL, login TEXT NOT NULL,
  profile TEXT NOT NULL, key_type TEXT NOT NULL, key_fp TEXT NOT NULL, principals TEXT NOT NULL,
  valid_after INTEGER NOT NULL, valid_before INTEGER NOT NULL, issued_ms INTEGER NOT NULL, revoked_ms INTEGER, revoked_reason TEXT,
  UNIQUE (ca_id, serial)
) STRICT;
-- Built behind the credentials, from them alone: by person, key fingerprint and key id, which are asked for seldom and would
-- spread every issuance over many pages. credential_indexed says how far it reaches.
CREATE TABLE credential_by (
  what TEXT NOT NULL, credential_id INTEGER NOT NULL, PRIMARY KEY (what, credential_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE credential_indexed (id INTEGER PRIMARY KEY CHECK (id = 1), up_to INTEGER NOT NULL) STRICT;
INSERT INTO credential_indexed VALUES (1, 0);
CREATE INDEX credential_revoked ON credential (ca_id, valid_before) WHERE revoked_ms IS NOT NULL;

CREATE TABLE revoked_key (fingerprint TEXT PRIMARY KEY, revoked_ms INTEGER NOT NULL, reason TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE revoked_key_id (
  ca_fp TEXT NOT NULL, key_id TEXT NOT NULL, valid_before INTEGER NOT NULL, PRIMARY KEY (ca_fp, key_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE revocation_count (id INTEGER PRIMARY KEY CHECK (id = 1), acts INTEGER NOT NULL) STRICT;
INSERT INTO revocation_count VALUES (1, 0);
CREATE TABLE publication (
  kind TEXT PRIMARY KEY, version INTEGER NOT NULL, published_ms INTEGER NOT NULL, bytes BLOB NOT NULL, signature TEXT NOT NULL,
  sha256 TEXT NOT NULL, revocations INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`;
