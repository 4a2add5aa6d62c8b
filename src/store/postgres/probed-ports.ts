import type { ProbedHosts, ProbedPortReads } from '../../broker/index.ts';
import { toProbedPort } from '../probed-port-row.ts';
import type { Row } from '../rows.ts';
import type { Send } from './apply-change.ts';

/** Replaces the ports of hosts of which no later look is there. */
export function sendProbedPorts(send: Send, { hosts, forgetBeforeMs }: ProbedHosts): void {
  send('DELETE FROM probed_port WHERE probed_ms < $1', [forgetBeforeMs]);
  for (const { host, probedMs, ports } of hosts) {
    send('DELETE FROM probed_port WHERE host = $1 AND probed_ms <= $2', [host, probedMs]);
    send(
      `INSERT INTO probed_port
       SELECT $1, seen.port, seen.service, seen.application, seen.state, seen.not_after_ms, seen.findings, $2
       FROM unnest($3::int[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[])
         AS seen (port, service, application, state, not_after_ms, findings)
       WHERE NOT EXISTS (SELECT 1 FROM probed_port WHERE host = $1 AND probed_ms > $2)
       ON CONFLICT DO NOTHING`,
      [
        host,
        probedMs,
        ports.map(({ port }) => port),
        ports.map(({ service }) => service),
        ports.map(({ application }) => application),
        ports.map(({ state }) => state),
        ports.map(({ notAfterMs }) => notAfterMs ?? null),
        ports.map(({ findings }) => JSON.stringify(findings)),
      ],
    );
  }
}

export function createProbedPortReads(
  all: (sql: string, ...values: readonly unknown[]) => Promise<readonly Row[]>,
): ProbedPortReads {
  return {
    async probedPorts() {
      // As SQLite orders: by bytes, whatever the collation of the database.
      const rows = await all('SELECT * FROM probed_port ORDER BY host COLLATE "C", port');
      return rows.map(toProbedPort);
    },
    async probedPortsBeside(hosts) {
      const [row] = await all('SELECT count(*) AS n FROM probed_port WHERE host <> ALL ($1)', hosts);
      return Number(row?.['n']);
    },
  };
}
