/** SQLite. What the probe last saw of each port; findings is a JSON list of codes. */
export const probedPorts = `
CREATE TABLE probed_port (
  host TEXT NOT NULL, port INTEGER NOT NULL, service TEXT NOT NULL, application TEXT NOT NULL, state TEXT NOT NULL,
  not_after_ms INTEGER, findings TEXT NOT NULL, probed_ms INTEGER NOT NULL, PRIMARY KEY (host, port)
) STRICT, WITHOUT ROWID;
`;
