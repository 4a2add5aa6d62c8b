/** PostgreSQL. Whoever runs as a broker can revoke, and cannot take a revocation back. The evidence is the log, which lists are held against. */
export const revokedStays = `
CREATE FUNCTION revoked_stays_revoked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'what is revoked stays revoked'; END $$;
CREATE TRIGGER credential_stays_revoked BEFORE UPDATE ON credential FOR EACH ROW
  WHEN (OLD.revoked_ms IS NOT NULL AND NEW.revoked_ms IS DISTINCT FROM OLD.revoked_ms) EXECUTE FUNCTION revoked_stays_revoked();
`;
