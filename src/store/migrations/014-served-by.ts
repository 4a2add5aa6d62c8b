/** SQLite. Which applications are to serve a certificate, and its label in their store: JSON, or nothing was said. */
export const servedBy = `
ALTER TABLE x509_credential ADD COLUMN served_by TEXT;
`;
