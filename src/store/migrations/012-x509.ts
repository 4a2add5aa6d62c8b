/** SQLite. X.509 certificates: serials are 20 random octets in hex; `act` is the count of revocations that the revocation was. */
export const x509 = `
CREATE TABLE x509_ca (fingerprint TEXT PRIMARY KEY, name TEXT NOT NULL, since_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE x509_credential (
  id INTEGER PRIMARY KEY, serial TEXT NOT NULL UNIQUE, ca_fp TEXT NOT NULL, kind TEXT NOT NULL, person_id TEXT NOT NULL, subject_id TEXT,
  login TEXT NOT NULL, profile TEXT NOT NULL, common_name TEXT NOT NULL, names TEXT NOT NULL, key_type TEXT NOT NULL, key_fp TEXT NOT NULL,
  not_before INTEGER NOT NULL, not_after INTEGER NOT NULL, issued_ms INTEGER NOT NULL, renews TEXT,
  revoked_ms INTEGER, revoked_reason TEXT, revoked_code TEXT, act INTEGER
) STRICT;
CREATE INDEX x509_credential_person ON x509_credential (person_id);
CREATE INDEX x509_credential_subject ON x509_credential (subject_id) WHERE subject_id IS NOT NULL;
CREATE INDEX x509_credential_key ON x509_credential (key_fp);
CREATE INDEX x509_credential_end ON x509_credential (not_after);
CREATE INDEX x509_credential_act ON x509_credential (ca_fp, act) WHERE act IS NOT NULL;
CREATE TABLE x509_revocation_count (id INTEGER PRIMARY KEY CHECK (id = 1), acts INTEGER NOT NULL) STRICT;
INSERT INTO x509_revocation_count VALUES (1, 0);
CREATE TABLE crl (
  ca_fp TEXT PRIMARY KEY, number INTEGER NOT NULL, published_ms INTEGER NOT NULL, next_update_ms INTEGER NOT NULL, acts INTEGER NOT NULL,
  base_number INTEGER NOT NULL, base_acts INTEGER NOT NULL, base_ms INTEGER NOT NULL,
  next_base_number INTEGER NOT NULL, next_base_acts INTEGER NOT NULL, next_base_ms INTEGER NOT NULL, delta_list BLOB NOT NULL, full_list BLOB NOT NULL
) STRICT;
`;
