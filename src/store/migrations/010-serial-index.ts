/** SQLite. What was issued is listed newest first, of all CAs: without it every row is sorted for each page. */
export const serialIndex = `
CREATE INDEX credential_serial ON credential (serial);
`;
