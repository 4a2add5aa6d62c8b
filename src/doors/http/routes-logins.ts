import {
  decideResponse,
  explainLine,
  listLogins,
  listResponses,
  type ResponseRequest,
} from '../../broker/index.ts';
import { toRfc3339 } from '../../kernel/index.ts';
import { route, toUint64, type Route } from './route.ts';
import * as schema from './schemas-logins.ts';
import { viewEntry, viewExplained } from './views.ts';

const mostResponses = 200;

/** What hosts saw, and what is done about it. */
export const loginRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/v1/audit/logins',
    permission: 'admin-or-auditor',
    summary:
      'Logins that hosts reported, newest first, each with its verdict; and how much of the estate reports.',
    query: schema.loginsQuery,
    answers: { status: 200, json: schema.loginsAnswer },
    async handle({ rooms, query }, caller) {
      const { unexplained, person, host, account, from, to, after, limit } = query;
      const asked = {
        unexplained: unexplained === 'true',
        limit,
        ...(person === undefined ? {} : { person }),
        ...(host === undefined ? {} : { host }),
        ...(account === undefined ? {} : { account }),
        ...(from === undefined ? {} : { fromMs: Date.parse(from) }),
        ...(to === undefined ? {} : { toMs: Date.parse(to) }),
        ...(after === undefined ? {} : { before: toUint64(after) }),
      };
      const { entries, next, coverage } = await listLogins(rooms, asked, caller);
      const page = next === undefined ? {} : { next: String(next) };
      return { json: { entries: entries.map(viewEntry), ...page, coverage } };
    },
  }),
  route({
    method: 'post',
    path: '/v1/audit/explain-line',
    permission: 'admin-or-auditor',
    summary: 'Which issued certificate explains a line by which sshd let somebody in.',
    body: schema.explainLineBody,
    answers: { status: 200, json: schema.explainLineAnswer },
    async handle({ rooms, body }, caller) {
      const { line, host, at } = body;
      const asked = { line, atMs: Date.parse(at), ...(host === undefined ? {} : { host }) };
      const { verdict, seen, certificate } = await explainLine(rooms, asked, caller);
      const serial = seen?.credential.kind === 'certificate' ? seen.credential.certificate.serial : 0n;
      return {
        json: {
          verdict,
          account: seen?.account ?? '',
          address: seen?.address ?? '',
          ...(certificate === undefined ? {} : { certificate: viewExplained(serial, certificate) }),
        },
      };
    },
  }),
  route({
    method: 'get',
    path: '/v1/admin/responses',
    permission: 'admin-or-auditor',
    summary:
      'What rules asked for because of logins that nothing explains, of the last thirty days, newest first.',
    answers: { status: 200, json: schema.responsesAnswer },
    async handle({ rooms }) {
      const responses = await listResponses(rooms, mostResponses);
      return { json: { responses: responses.map(viewResponse) } };
    },
  }),
  route({
    method: 'post',
    path: '/v1/admin/responses/decide',
    permission: 'admin',
    summary: 'Approves or rejects one; the second administrator who approves sets it off.',
    body: schema.decideResponseBody,
    answers: { status: 200, json: schema.responseAnswer },
    async handle({ rooms, body }, caller) {
      return { json: viewResponse(await decideResponse(rooms, body, caller)) };
    },
  }),
];

function viewResponse(request: ResponseRequest): object {
  const { id, hostId, hostName, quarantine, verdict, entryIndex, state, createdMs, changedMs, approvals } =
    request;
  return {
    id,
    host: { id: hostId, name: hostName },
    quarantine,
    verdict,
    loginIndex: String(entryIndex),
    state,
    createdAt: toRfc3339(createdMs),
    changedAt: toRfc3339(changedMs),
    approvals,
  };
}
