import { toRfc3339 } from '../../kernel/index.ts';
import type { ProbedHostReport } from '../client/index.ts';
import type { HostLook } from '../probe/index.ts';
import { withSession } from './command.ts';
import { withProgress } from './progress.ts';
import type { Terminal } from './terminal.ts';

/** Both below what the broker takes in one question. */
const maxHosts = 50;
const maxChars = 48_000;

/** Tells the broker what was seen, in as many questions as it takes. Ports that are closed are left out. */
export async function recordProbe(looks: readonly HostLook[], terminal: Terminal): Promise<void> {
  const batches = inBatches(looks.map(reportOf));
  await withSession(terminal, async ({ client }) => {
    const work = async (): Promise<void> => {
      for (const batch of batches) await client.recordProbe(batch);
    };
    await withProgress(terminal, 'Telling the broker', work());
  });
}

/** Refuses, before anything is probed, what would be refused at the end. @throws CodedError `client.not_logged_in`, `client.session_ended` */
export async function checkSession(terminal: Terminal): Promise<void> {
  await withSession(terminal, ({ client }) => client.session());
}

function reportOf({ host, ports, findings }: HostLook): ProbedHostReport {
  return {
    host,
    findings: findings.map(({ code }) => code),
    ports: ports
      .filter(({ state }) => state !== 'closed' && state !== 'no_answer')
      .map(({ port, service, application, state, tls, findings: found }) => {
        const [leaf] = tls?.chain ?? [];
        return {
          port,
          service,
          application,
          state,
          ...(leaf === undefined ? {} : { notAfter: toRfc3339(leaf.notAfterMs) }),
          findings: found.map(({ code }) => code),
        };
      }),
  };
}

function inBatches(reports: readonly ProbedHostReport[]): readonly (readonly ProbedHostReport[])[] {
  const batches: ProbedHostReport[][] = [];
  let chars = maxChars;
  for (const report of reports) {
    const size = JSON.stringify(report).length;
    const last = batches.at(-1);
    if (last === undefined || last.length === maxHosts || chars + size > maxChars) {
      batches.push([report]);
      chars = size;
    } else {
      last.push(report);
      chars += size;
    }
  }
  return batches;
}
