/** PostgreSQL. Hosts, the tokens that enrol them, their certificates, and what they said last. */
export const hosts = `
CREATE TABLE host (
  id text COLLATE "C" PRIMARY KEY, host_group text COLLATE "C" NOT NULL, state text NOT NULL, names text[] NOT NULL, addresses text[] NOT NULL,
  identity_key text NOT NULL, identity_fp text COLLATE "C" NOT NULL UNIQUE, host_keys text[] NOT NULL, platform text NOT NULL,
  machine text NOT NULL, token_id text, created_ms bigint NOT NULL, changed_ms bigint NOT NULL, conflict text, conflict_with text
);
-- What one host alone may hold: name:…, address:…, key:SHA256:….
CREATE TABLE host_claim (what text COLLATE "C" PRIMARY KEY, host_id text COLLATE "C" NOT NULL);
CREATE INDEX host_claim_host ON host_claim (host_id);
CREATE TABLE host_contact (
  host_id text COLLATE "C" PRIMARY KEY, step bigint NOT NULL, contact_ms bigint NOT NULL, installed bigint NOT NULL,
  installed_ms bigint NOT NULL, checks text[] NOT NULL, sshd text NOT NULL, last_login_ms bigint
) WITH (fillfactor = 70);
CREATE TABLE host_token (
  id text COLLATE "C" PRIMARY KEY, hash bytea NOT NULL UNIQUE, host_group text NOT NULL, names text[] NOT NULL, addresses text[] NOT NULL,
  max_uses int NOT NULL, used int NOT NULL, created_ms bigint NOT NULL, expires_ms bigint NOT NULL, created_by text NOT NULL, dropped_ms bigint
);
CREATE TABLE host_certificate (
  ca_id int NOT NULL REFERENCES ca, serial bigint NOT NULL, key_id text COLLATE "C" NOT NULL, host_id text COLLATE "C" NOT NULL,
  key_type text NOT NULL, key_fp text COLLATE "C" NOT NULL, principals text[] NOT NULL, valid_after bigint NOT NULL,
  valid_before bigint NOT NULL, issued_ms bigint NOT NULL, revoked_ms bigint, revoked_reason text, PRIMARY KEY (ca_id, serial)
);
CREATE INDEX host_certificate_host ON host_certificate (host_id);
CREATE TABLE trust_digest (id int PRIMARY KEY CHECK (id = 1), digest text NOT NULL);
`;
