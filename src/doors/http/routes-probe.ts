import { recordProbe } from '../../broker/index.ts';
import { toRfc3339 } from '../../kernel/index.ts';
import { route, type Route } from './route.ts';
import * as schema from './schemas-probe.ts';

/** What probes saw comes in here; the broker itself looks at no host. */
export const probeRoutes: readonly Route[] = [
  route({
    method: 'post',
    path: '/v1/probes',
    permission: 'admin-or-auditor',
    summary: 'What a probe saw of hosts: one entry in the log for each, and days left for the metrics.',
    body: schema.probeBody,
    answers: { status: 201, json: schema.probeAnswer },
    async handle({ rooms, body }, caller) {
      const reports = body.hosts.map(({ host, ports, findings }) => ({
        host,
        findings,
        ports: ports.map(({ notAfter, ...port }) => ({
          ...port,
          notAfterMs: notAfter === undefined ? undefined : Date.parse(notAfter),
        })),
      }));
      const { recordedMs } = await recordProbe(rooms, reports, caller);
      return { json: { recordedAt: toRfc3339(recordedMs) } };
    },
  }),
];
