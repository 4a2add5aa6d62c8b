/** SQLite. Hosts, the tokens that enrol them, their certificates, and what they said last. */
export const hosts = `
CREATE TABLE host (
  id TEXT PRIMARY KEY, host_group TEXT NOT NULL, state TEXT NOT NULL, names TEXT NOT NULL, addresses TEXT NOT NULL,
  identity_key TEXT NOT NULL, identity_fp TEXT NOT NULL UNIQUE, host_keys TEXT NOT NULL, platform TEXT NOT NULL, machine TEXT NOT NULL,
  token_id TEXT, created_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL, conflict TEXT, conflict_with TEXT
) STRICT, WITHOUT ROWID;
-- What one host alone may hold: name:…, address:…, key:SHA256:….
CREATE TABLE host_claim (what TEXT PRIMARY KEY, host_id TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX host_claim_host ON host_claim (host_id);
CREATE TABLE host_contact (
  host_id TEXT PRIMARY KEY, step INTEGER NOT NULL, contact_ms INTEGER NOT NULL, installed INTEGER NOT NULL, installed_ms INTEGER NOT NULL,
  checks TEXT NOT NULL, sshd TEXT NOT NULL, last_login_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE host_token (
  id TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, host_group TEXT NOT NULL, names TEXT NOT NULL, addresses TEXT NOT NULL,
  max_uses INTEGER NOT NULL, used INTEGER NOT NULL, created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, created_by TEXT NOT NULL,
  dropped_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE host_certificate (
  ca_id INTEGER NOT NULL, serial INTEGER NOT NULL, key_id TEXT NOT NULL, host_id TEXT NOT NULL, key_type TEXT NOT NULL, key_fp TEXT NOT NULL,
  principals TEXT NOT NULL, valid_after INTEGER NOT NULL, valid_before INTEGER NOT NULL, issued_ms INTEGER NOT NULL, revoked_ms INTEGER,
  revoked_reason TEXT, PRIMARY KEY (ca_id, serial)
) STRICT, WITHOUT ROWID;
CREATE INDEX host_certificate_host ON host_certificate (host_id);
CREATE TABLE trust_digest (id INTEGER PRIMARY KEY CHECK (id = 1), digest TEXT NOT NULL) STRICT;
`;
