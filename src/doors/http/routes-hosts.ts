import {
  approveHost,
  dropHostToken,
  encodeHostAnswer,
  enrolHost,
  listHosts,
  listHostTokens,
  moveHost,
  newHostToken,
  parseHostRequest,
  renewHost,
  reportLogins,
  resolveHost,
  retireHost,
  showHost,
  syncHost,
  type EnrolledHost,
  type Rooms,
} from '../../broker/index.ts';
import { CodedError, parseHostId } from '../../kernel/index.ts';
import { route, type BytesAnswer, type Route } from './route.ts';
import * as schema from './schemas-hosts.ts';
import { viewChangedHost, viewHost, viewHostCertificate, viewHostToken } from './views-hosts.ts';

const text = { maxBytes: 64 * 1024 };
const plain = 'text/plain; charset=utf-8';

/** What hosts ask, in text that they sign, and what admins do with them. */
export const hostRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/v1/hosts/enrol.sh',
    permission: 'public',
    summary: 'The script that enrols a host, with the address and the keys of this broker in it.',
    answers: { status: 200, contentType: 'text/plain' },
    async handle({ rooms }) {
      const bytes = rooms.hosts.script();
      if (bytes !== undefined) return { contentType: plain, bytes };
      throw new CodedError('hosts.no_script', 'This broker has no host script to give.', {
        next: 'Install a version of Sallyport that brings host/sallyport-host.sh.',
      });
    },
  }),
  route({
    method: 'post',
    path: '/v1/hosts/enrol',
    permission: 'public',
    summary:
      'A machine becomes a host, by a token or for an admin to approve (docs/formats/host-protocol.md).',
    text,
    answers: { status: 200, contentType: 'text/plain' },
    async handle({ rooms, text: body }, caller) {
      return hostAnswer(rooms, await enrolHost(rooms, parseHostRequest(body, 'enrol'), caller));
    },
  }),
  route({
    method: 'post',
    path: '/v1/hosts/renew',
    permission: 'public',
    summary: 'New host certificates, by proof of possession of the host keys.',
    text,
    answers: { status: 200, contentType: 'text/plain' },
    async handle({ rooms, text: body }, caller) {
      return hostAnswer(rooms, await renewHost(rooms, parseHostRequest(body, 'renew'), caller));
    },
  }),
  route({
    method: 'post',
    path: '/v1/hosts/sync',
    permission: 'public',
    summary:
      'The signed trust bundle of a host when there is a newer one, at once or after a wait; 204 when there is none.',
    text,
    answers: { status: 200, others: [204], contentType: 'text/plain' },
    async handle({ rooms, text: body, gone }, caller) {
      const bytes = await syncHost(rooms, parseHostRequest(body, 'sync'), { ...caller, gone: gone() });
      return bytes === undefined ? 'nothing' : { contentType: plain, bytes };
    },
  }),
  route({
    method: 'post',
    path: '/v1/hosts/report',
    permission: 'public',
    summary:
      'Logins and ended sessions that a host saw, each at least once; what is durable is not asked for again.',
    text: { maxBytes: 256 * 1024 },
    answers: { status: 200, contentType: 'text/plain' },
    async handle({ rooms, text: body }) {
      const next = await reportLogins(rooms, parseHostRequest(body, 'report'));
      return { contentType: plain, bytes: encodeHostAnswer([['next', String(next)]]) };
    },
  }),
  route({
    method: 'post',
    path: '/v1/admin/hosts/tokens',
    permission: 'admin',
    summary: 'A token that enrols hosts of these names; it is shown this once.',
    body: schema.hostTokenBody,
    answers: { status: 201, json: schema.newHostTokenAnswer },
    async handle({ rooms, body }, caller) {
      const { secret, token } = await newHostToken(rooms, body, caller);
      return { json: { token: secret, ...viewHostToken(token, rooms.clock.nowMs()) } };
    },
  }),
  route({
    method: 'get',
    path: '/v1/admin/hosts/tokens',
    permission: 'admin-or-auditor',
    summary: 'Tokens that enrol hosts, newest first, without their secrets.',
    answers: { status: 200, json: schema.hostTokensAnswer },
    async handle({ rooms }) {
      const nowMs = rooms.clock.nowMs();
      return { json: { tokens: (await listHostTokens(rooms)).map((token) => viewHostToken(token, nowMs)) } };
    },
  }),
  route({
    method: 'post',
    path: '/v1/admin/hosts/tokens/drop',
    permission: 'admin',
    summary: 'Nobody enrols with this token any more.',
    body: schema.dropHostTokenBody,
    answers: { status: 200, json: schema.hostTokenAnswer },
    async handle({ rooms, body }, caller) {
      return { json: viewHostToken(await dropHostToken(rooms, body, caller), rooms.clock.nowMs()) };
    },
  }),
  route({
    method: 'get',
    path: '/v1/admin/hosts',
    permission: 'admin-or-auditor',
    summary: 'Hosts with the bundle each has, its last contact and what it found wrong, by id.',
    query: schema.hostsQuery,
    answers: { status: 200, json: schema.hostsAnswer },
    async handle({ rooms, query }) {
      const { state, group, after, limit } = query;
      const { hosts, next } = await listHosts(rooms, {
        limit,
        ...(state === undefined ? {} : { state }),
        ...(group === undefined ? {} : { group }),
        ...(after === undefined ? {} : { after: parseHostId(after) }),
      });
      return {
        json: {
          hosts: hosts.map(viewHost),
          current: currentVersion(rooms),
          ...(next === undefined ? {} : { next }),
        },
      };
    },
  }),
  route({
    method: 'get',
    path: '/v1/admin/hosts/one',
    permission: 'admin-or-auditor',
    summary: 'One host, by id or name, with its live certificates.',
    query: schema.hostQuery,
    answers: { status: 200, json: schema.hostAnswer },
    async handle({ rooms, query }) {
      const shown = await showHost(rooms, query.host);
      const certificates = shown.certificates.map(viewHostCertificate);
      return { json: { ...viewHost(shown), certificates, current: currentVersion(rooms) } };
    },
  }),
  route({
    method: 'post',
    path: '/v1/admin/hosts/approve',
    permission: 'admin',
    summary: 'Let in a host that waits; the fingerprint is the one that the host itself showed.',
    body: schema.approveHostBody,
    answers: { status: 200, json: schema.changedHostAnswer },
    async handle({ rooms, body }, caller) {
      return { json: viewChangedHost(await approveHost(rooms, body, caller)) };
    },
  }),
  route({
    method: 'post',
    path: '/v1/admin/hosts/retire',
    permission: 'admin',
    summary: 'End a host: its certificates are revoked; rehearses unless `apply` is true.',
    body: schema.retireHostBody,
    answers: { status: 200, json: schema.changedHostAnswer },
    async handle({ rooms, body }, caller) {
      const { host, applied, certificates } = await retireHost(rooms, body, caller);
      return { json: viewChangedHost(host, { applied, certificates }) };
    },
  }),
  route({
    method: 'post',
    path: '/v1/admin/hosts/move',
    permission: 'admin',
    summary: 'A host goes over to another group of the policy; its next bundle follows the rules there.',
    body: schema.moveHostBody,
    answers: { status: 200, json: schema.changedHostAnswer },
    async handle({ rooms, body }, caller) {
      return { json: viewChangedHost(await moveHost(rooms, body, caller)) };
    },
  }),
  route({
    method: 'post',
    path: '/v1/admin/hosts/resolve',
    permission: 'admin',
    summary: 'Of two machines that present one key, this one is right; the other is retired.',
    body: schema.resolveHostBody,
    answers: { status: 200, json: schema.changedHostAnswer },
    async handle({ rooms, body }, caller) {
      const { host, retired } = await resolveHost(rooms, body, caller);
      return {
        json: { ...viewChangedHost(host), ...(retired === undefined ? {} : { retired: retired.id }) },
      };
    },
  }),
];

function currentVersion(rooms: Rooms): string {
  return String(rooms.krl.current?.version ?? 0n);
}

function hostAnswer(rooms: Rooms, { host, certificates }: EnrolledHost): BytesAnswer {
  return {
    contentType: plain,
    bytes: encodeHostAnswer([
      ['status', host.state],
      ['host', host.id],
      ['group', host.group],
      ['bundle-key', rooms.hosts.bundles.bundleKey],
      ['fingerprint', host.identityFingerprint],
      ...host.names.map((name) => ['name', name] as const),
      ...host.addresses.map((address) => ['address', address] as const),
      ...certificates.map((certificate) => ['certificate', certificate] as const),
    ]),
  };
}
