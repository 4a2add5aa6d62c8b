/** SQLite. A seat belt, not the evidence: the log says what was revoked, and lists are held against it. */
export const revokedStays = `
CREATE TRIGGER credential_stays_revoked BEFORE UPDATE ON credential
  WHEN OLD.revoked_ms IS NOT NULL AND NEW.revoked_ms IS NOT OLD.revoked_ms
  BEGIN SELECT RAISE(ABORT, 'what is revoked stays revoked'); END;
`;
