import type { EntryDraft } from '../accounting/index.ts';
import { CodedError, toRfc3339 } from '../kernel/index.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import type { ProbedHost, ProbedPort } from './probed-ports.ts';
import type { Rooms, SignedIn } from './rooms.ts';

/** What somebody's probe saw of a host: ports that are open, and what is to be said of the host as a whole. */
export interface ProbeReport {
  readonly host: string;
  readonly ports: readonly ProbedPort[];
  readonly findings: readonly string[];
}

/** So many are kept and shown to whoever reads the metrics. */
export const maxProbedPorts = 20_000;
/** What nobody looked at for so long is not said any more. */
const forgetAfterMs = 90 * 86_400_000;

/**
 * Records what the probe of a signed-in person saw: one entry for each host, and the ports for the metrics. The broker looks at
 * nothing itself: it says who said so, and when.
 * @throws CodedError `probe.too_many_ports`
 */
export async function recordProbe(
  rooms: Rooms,
  reports: readonly ProbeReport[],
  caller: SignedIn,
): Promise<{ readonly recordedMs: number }> {
  const nowMs = rooms.clock.nowMs();
  const names = reports.map(({ host }) => host);
  const ports = reports.reduce((sum, report) => sum + report.ports.length, 0);
  return rooms.store.transact(async (reads) => {
    if ((await reads.probedPortsBeside(names)) + ports > maxProbedPorts) {
      throw new CodedError('probe.too_many_ports', `More than ${maxProbedPorts} ports cannot be kept.`, {
        next: 'Probe fewer hosts with --log, or fewer ports of each; those that nobody looks at are forgotten after 90 days.',
      });
    }
    const hosts = reports.map(({ host, ports: seen }): ProbedHost => ({
      host,
      probedMs: nowMs,
      ports: seen,
    }));
    const change = {
      guard: stillSignedIn(caller),
      probed: { hosts, forgetBeforeMs: nowMs - forgetAfterMs },
      entries: reports.map((report) => probeEntry(report, nowMs, caller)),
    };
    return { change, result: { recordedMs: nowMs } };
  });
}

function probeEntry({ host, ports, findings }: ProbeReport, timeMs: number, caller: SignedIn): EntryDraft {
  return entryBy(caller, {
    type: 'probe.report',
    timeMs,
    fields: {
      target: { kind: 'host', name: host },
      probe: {
        findings,
        ports: ports.map(({ port, service, state, notAfterMs, findings: codes }) => ({
          port,
          service,
          state,
          ...(notAfterMs === undefined ? {} : { not_after: toRfc3339(notAfterMs) }),
          findings: codes,
        })),
      },
    },
  });
}
