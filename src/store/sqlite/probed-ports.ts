import type { SQLInputValue } from 'node:sqlite';
import type { ProbedHosts, ProbedPortReads } from '../../broker/index.ts';
import { toProbedPort } from '../probed-port-row.ts';
import type { Row } from '../rows.ts';

/** Replaces the ports of hosts of which no later look is there. */
export function applyProbedPorts(
  run: (sql: string, ...values: SQLInputValue[]) => number,
  { hosts, forgetBeforeMs }: ProbedHosts,
): void {
  run('DELETE FROM probed_port WHERE probed_ms < ?', forgetBeforeMs);
  for (const { host, probedMs, ports } of hosts) {
    run('DELETE FROM probed_port WHERE host = ? AND probed_ms <= ?', host, probedMs);
    for (const { port, service, application, state, notAfterMs, findings } of ports)
      run(
        `INSERT INTO probed_port SELECT ?, ?, ?, ?, ?, ?, ?, ?
         WHERE NOT EXISTS (SELECT 1 FROM probed_port WHERE host = ? AND probed_ms > ?)`,
        host,
        port,
        service,
        application,
        state,
        notAfterMs ?? null,
        JSON.stringify(findings),
        probedMs,
        host,
        probedMs,
      );
  }
}

export function createProbedPortReads(
  all: (sql: string, ...values: SQLInputValue[]) => Row[],
): ProbedPortReads {
  return {
    probedPorts: async () => all('SELECT * FROM probed_port ORDER BY host, port').map(toProbedPort),
    async probedPortsBeside(hosts) {
      const sql = 'SELECT count(*) AS n FROM probed_port WHERE host NOT IN (SELECT value FROM json_each(?))';
      return Number(all(sql, JSON.stringify(hosts))[0]?.['n']);
    },
  };
}
