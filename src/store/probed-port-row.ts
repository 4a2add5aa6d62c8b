import type { ProbedPortReads } from '../broker/index.ts';
import type { Row } from './rows.ts';

/** A row of `probed_port`, of either database. */
export function toProbedPort(row: Row): Awaited<ReturnType<ProbedPortReads['probedPorts']>>[number] {
  const notAfter = row['not_after_ms'];
  return {
    host: row['host'] as string,
    port: Number(row['port']),
    service: row['service'] as string,
    application: row['application'] as string,
    state: row['state'] as string,
    notAfterMs: notAfter === null ? undefined : Number(notAfter),
    findings: JSON.parse(row['findings'] as string) as string[],
    probedMs: Number(row['probed_ms']),
  };
}
