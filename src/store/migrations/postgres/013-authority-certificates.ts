/** PostgreSQL. Which certificate of an authority was last seen: one that was renewed has another, for the same key. */
export const authorityCertificates = `
ALTER TABLE x509_ca ADD COLUMN certificate text NOT NULL DEFAULT '';
`;
