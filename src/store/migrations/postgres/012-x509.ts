/** PostgreSQL. X.509 certificates: serials are 20 random octets in hex; `act` is the count of revocations that the revocation was. */
export const x509 = `
CREATE TABLE x509_ca (fingerprint text COLLATE "C" PRIMARY KEY, name text NOT NULL, since_ms bigint NOT NULL);
CREATE TABLE x509_credential (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, serial text COLLATE "C" NOT NULL UNIQUE, ca_fp text COLLATE "C" NOT NULL, kind text NOT NULL,
  person_id text COLLATE "C" NOT NULL, subject_id text COLLATE "C", login text NOT NULL, profile text NOT NULL, common_name text NOT NULL,
  names text NOT NULL, key_type text NOT NULL, key_fp text COLLATE "C" NOT NULL, not_before bigint NOT NULL, not_after bigint NOT NULL,
  issued_ms bigint NOT NULL, renews text, revoked_ms bigint, revoked_reason text, revoked_code text, act bigint
);
CREATE INDEX x509_credential_person ON x509_credential (person_id);
CREATE INDEX x509_credential_subject ON x509_credential (subject_id) WHERE subject_id IS NOT NULL;
CREATE INDEX x509_credential_key ON x509_credential (key_fp);
CREATE INDEX x509_credential_end ON x509_credential (not_after);
CREATE INDEX x509_credential_act ON x509_credential (ca_fp, act) WHERE act IS NOT NULL;
CREATE TABLE x509_revocation_count (id int PRIMARY KEY CHECK (id = 1), acts bigint NOT NULL) WITH (fillfactor = 10);
INSERT INTO x509_revocation_count VALUES (1, 0);
CREATE TABLE crl (
  ca_fp text COLLATE "C" PRIMARY KEY, number bigint NOT NULL, published_ms bigint NOT NULL, next_update_ms bigint NOT NULL, acts bigint NOT NULL,
  base_number bigint NOT NULL, base_acts bigint NOT NULL, base_ms bigint NOT NULL,
  next_base_number bigint NOT NULL, next_base_acts bigint NOT NULL, next_base_ms bigint NOT NULL, delta_list bytea NOT NULL, full_list bytea NOT NULL
);
`;
