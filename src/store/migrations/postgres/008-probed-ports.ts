/** PostgreSQL. What the probe last saw of each port; findings is a JSON list of codes. */
export const probedPorts = `
CREATE TABLE probed_port (
  host text NOT NULL, port int NOT NULL, service text NOT NULL, application text NOT NULL, state text NOT NULL,
  not_after_ms bigint, findings text NOT NULL, probed_ms bigint NOT NULL, PRIMARY KEY (host, port)
);
`;
