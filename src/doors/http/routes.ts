import { toRfc3339 } from '../../kernel/index.ts';
import {
  explainPolicy,
  exportLog,
  issueSshUser,
  listIssued,
  lockPerson,
  logIn,
  logOut,
  releasePrincipal,
  revoke,
  explainCertificate,
  parseCertificateSerial,
  proveIssue,
  searchLog,
  whoCould,
} from '../../broker/index.ts';
import { CodedError } from '../../kernel/index.ts';
import { departureRoutes } from './routes-departures.ts';
import { hostRoutes } from './routes-hosts.ts';
import { route, toUint64, type Route } from './route.ts';
import { loginRoutes } from './routes-logins.ts';
import { probeRoutes } from './routes-probe.ts';
import { tlsRoutes } from './routes-tls.ts';
import { viewTls } from './views-tls.ts';
import * as schema from './schemas.ts';
import {
  viewCredential,
  viewEntry,
  viewExplained,
  viewExplanation,
  viewPerson,
  viewPublication,
  viewSink,
} from './views.ts';

/** Every route with its permission: the one table that the server, the OpenAPI document and the permission test read. */
export const routes: readonly Route[] = [
  ...hostRoutes,
  ...probeRoutes,
  ...tlsRoutes,
  route({
    method: 'post',
    path: '/v1/login',
    permission: 'public',
    summary: 'A directory password becomes a session bound to the key of the DPoP proof.',
    body: schema.loginBody,
    answers: { status: 201, json: schema.loginAnswer },
    async handle({ rooms, body, proof }, caller) {
      const { login, password, directory } = body;
      const done = await logIn(
        rooms,
        { login, password, proof, ...(directory === undefined ? {} : { directory }) },
        caller,
      );
      const { token, session, person, roles } = done;
      return {
        json: {
          token,
          expiresAt: toRfc3339(session.expiresMs),
          person: viewPerson(person),
          roles: [...roles],
        },
      };
    },
  }),
  route({
    method: 'get',
    path: '/v1/session',
    permission: 'session',
    summary: 'Who I am to this broker, and until when.',
    answers: { status: 200, json: schema.sessionAnswer },
    async handle(_asked, { person, roles, session }) {
      const { createdMs, expiresMs } = session;
      return {
        json: {
          person: viewPerson(person),
          roles: [...roles],
          createdAt: toRfc3339(createdMs),
          expiresAt: toRfc3339(expiresMs),
        },
      };
    },
  }),
  route({
    method: 'delete',
    path: '/v1/session',
    permission: 'session',
    summary: 'Log out.',
    answers: { status: 204 },
    async handle({ rooms }, caller) {
      await logOut(rooms, caller);
      return 'nothing';
    },
  }),
  route({
    method: 'post',
    path: '/v1/ssh/sign',
    permission: 'session',
    summary: 'An SSH user certificate for a public key, as far as policy grants it.',
    body: schema.signBody,
    answers: { status: 201, json: schema.signAnswer },
    async handle({ rooms, body }, caller) {
      const { certificate, credential, grant } = await issueSshUser(rooms, withoutUndefined(body), caller);
      return {
        json: {
          certificate,
          serial: String(credential.serial),
          keyId: credential.keyId,
          profile: credential.profile,
          principals: credential.principals,
          validAfter: toRfc3339(Number(credential.validAfter) * 1000),
          validBefore: toRfc3339(Number(credential.validBefore) * 1000),
          criticalOptions: Object.fromEntries(grant.criticalOptions),
          extensions: Object.fromEntries(grant.extensions),
          caFingerprint: credential.caFingerprint,
        },
      };
    },
  }),
  route({
    method: 'get',
    path: '/v1/ca',
    permission: 'public',
    summary: 'The public keys of this broker.',
    answers: { status: 200, json: schema.caAnswer },
    handle: async ({ rooms }) => ({ json: rooms.authority }),
  }),
  route({
    method: 'get',
    path: '/v1/krl',
    permission: 'public',
    summary: 'The key revocation list, for RevokedKeys of sshd.',
    answers: { status: 200, others: [304], contentType: 'application/octet-stream' },
    async handle({ rooms }) {
      const { bytes, sha256 } = currentKrl(rooms);
      return { contentType: 'application/octet-stream', bytes, etag: `"${sha256}"`, fileName: 'revoked.krl' };
    },
  }),
  route({
    method: 'get',
    path: '/v1/krl.sig',
    permission: 'public',
    summary: 'SSHSIG signature of the list, namespace sallyport-krl.',
    answers: { status: 200, others: [304], contentType: 'text/plain' },
    async handle({ rooms }) {
      const { signature, sha256 } = currentKrl(rooms);
      return {
        contentType: 'text/plain; charset=utf-8',
        bytes: Buffer.from(signature),
        etag: `"${sha256}-sig"`,
      };
    },
  }),
  route({
    method: 'get',
    path: '/v1/policy/explain',
    permission: 'session',
    summary: 'What somebody would get, and which rule gave or refused each part. Signs nothing.',
    query: schema.explainQuery,
    answers: { status: 200, json: schema.explainAnswer },
    async handle({ rooms, query }, caller) {
      const { at, ...request } = query;
      const explained = await explainPolicy(
        rooms,
        { ...withoutUndefined(request), ...(at === undefined ? {} : { atMs: Date.parse(at) }) },
        caller,
      );
      return { json: viewExplanation(explained) };
    },
  }),
  route({
    method: 'post',
    path: '/v1/admin/revoke',
    permission: 'admin',
    summary: 'Revoke by person, serial, key, key id or time; rehearses unless `apply` is true.',
    body: schema.revokeBody,
    answers: { status: 200, json: schema.revokeAnswer },
    async handle({ rooms, body: { reasonCode, ...body } }, caller) {
      const done = await revoke(rooms, { ...body, code: reasonCode }, caller);
      const nowMs = rooms.clock.nowMs();
      const { lockedPerson, published } = done;
      return {
        json: {
          applied: done.applied,
          credentials: done.credentials.map((credential) => viewCredential(credential, nowMs)),
          tlsCredentials: done.tlsCredentials.map((credential) => viewTls(credential, nowMs)),
          sessions: done.sessions,
          ...(lockedPerson === undefined
            ? {}
            : { lockedPerson: { id: lockedPerson.id, login: lockedPerson.login } }),
          ...(published === undefined ? {} : { krl: viewPublication(published) }),
        },
      };
    },
  }),
  ...([true, false] as const).map((locked) =>
    route({
      method: 'post',
      path: locked ? '/v1/admin/lock' : '/v1/admin/unlock',
      permission: 'admin',
      summary: locked ? 'End a person’s sessions and refuse new ones.' : 'Let a locked person log in again.',
      body: schema.personAndReason,
      answers: { status: 200, json: schema.lockAnswer },
      async handle({ rooms, body }, caller) {
        const { id, login } = await lockPerson(rooms, { ...body, locked }, caller);
        return { json: { person: { id, login }, locked } };
      },
    }),
  ),
  route({
    method: 'get',
    path: '/v1/admin/issued',
    permission: 'admin-or-auditor',
    summary: 'Certificates issued, newest first.',
    query: schema.issuedQuery,
    answers: { status: 200, json: schema.issuedAnswer },
    async handle({ rooms, query }, caller) {
      const { person, live, after, limit } = query;
      const asked = {
        live: live === 'true',
        limit,
        ...(after === undefined ? {} : { before: toUint64(after) }),
        ...(person === undefined ? {} : { person }),
      };
      const { credentials, next, nowMs } = await listIssued(rooms, asked, caller);
      return {
        json: {
          credentials: credentials.map((credential) => viewCredential(credential, nowMs)),
          ...(next === undefined ? {} : { next: String(next) }),
        },
      };
    },
  }),
  route({
    method: 'post',
    path: '/v1/admin/principals/release',
    permission: 'admin',
    summary: 'Free a personal principal for its next owner.',
    body: schema.principalAndReason,
    answers: { status: 200, json: schema.releaseAnswer },
    async handle({ rooms, body }, caller) {
      const { owner } = await releasePrincipal(rooms, body, caller);
      return { json: { principal: body.principal, owner: { id: owner } } };
    },
  }),
  ...departureRoutes,
  route({
    method: 'get',
    path: '/v1/audit/search',
    permission: 'session',
    summary:
      'Entries of the accounting log, newest first. Auditors and admins see all, a person sees their own.',
    query: schema.searchQuery,
    answers: { status: 200, json: schema.searchAnswer },
    async handle({ rooms, query }, caller) {
      const { serial, key, from, to, after, ...plain } = query;
      const { entries, next } = await searchLog(
        rooms,
        {
          ...withoutUndefined(plain),
          limit: query.limit,
          ...(serial === undefined ? {} : { serial: String(parseCertificateSerial(serial)) }),
          ...(key === undefined ? {} : { keyFingerprint: key }),
          ...(from === undefined ? {} : { fromMs: Date.parse(from) }),
          ...(to === undefined ? {} : { toMs: Date.parse(to) }),
          ...(after === undefined ? {} : { before: toUint64(after) }),
        },
        caller,
      );
      return {
        json: { entries: entries.map(viewEntry), ...(next === undefined ? {} : { next: String(next) }) },
      };
    },
  }),
  route({
    method: 'get',
    path: '/v1/audit/who-could',
    permission: 'admin-or-auditor',
    summary: 'Certificates that opened an account at a moment, newest first.',
    query: schema.whoCouldQuery,
    answers: { status: 200, json: schema.issuedAnswer },
    async handle({ rooms, query }, caller) {
      const { principal, host, at, after, limit } = query;
      const asked = {
        principal,
        ...(host === undefined ? {} : { host }),
        atMs: Date.parse(at),
        limit,
        ...(after === undefined ? {} : { before: toUint64(after) }),
      };
      const { credentials, next, nowMs } = await whoCould(rooms, asked, caller);
      return {
        json: {
          credentials: credentials.map((credential) => viewCredential(credential, nowMs)),
          ...(next === undefined ? {} : { next: String(next) }),
        },
      };
    },
  }),
  route({
    method: 'get',
    path: '/v1/audit/explain',
    permission: 'session',
    summary:
      'Who asked for a certificate, which rule allowed it, how it ended. About one’s own, anybody may ask.',
    query: schema.serialQuery,
    answers: { status: 200, json: schema.explainCertificateAnswer },
    async handle({ rooms, query }, caller) {
      const serial = parseCertificateSerial(query.serial);
      return { json: viewExplained(serial, await explainCertificate(rooms, serial, caller)) };
    },
  }),
  route({
    method: 'get',
    path: '/v1/audit/proof',
    permission: 'session',
    summary:
      'The receipt of a certificate, which verifies offline (c2sp.org/tlog-proof@v1, docs/formats/proof.md).',
    query: schema.serialQuery,
    answers: { status: 200, contentType: 'text/plain' },
    async handle({ rooms, query }, caller) {
      const proof = await proveIssue(rooms, parseCertificateSerial(query.serial), caller);
      return { contentType: 'text/plain; charset=utf-8', bytes: Buffer.from(proof) };
    },
  }),
  route({
    method: 'get',
    path: '/v1/audit/export',
    permission: 'admin-or-auditor',
    summary: 'A stretch of the log as a bundle that verifies offline (docs/formats/bundle.md).',
    query: schema.exportQuery,
    answers: { status: 200, contentType: 'application/octet-stream' },
    async handle({ rooms, query }, caller) {
      const { from, to, checkpoint, offset, sha256 } = query;
      const range = {
        ...(from === undefined ? {} : { from: toUint64(from) }),
        ...(to === undefined ? {} : { to: toUint64(to) }),
        ...(checkpoint === undefined || offset === undefined || sha256 === undefined
          ? {}
          : {
              held: {
                checkpoint: Buffer.from(checkpoint, 'base64url').toString('utf8'),
                sizeBytes: Number(toUint64(offset)),
                sha256,
              },
            }),
      };
      const bytes = await exportLog(rooms, range, caller);
      return { contentType: 'application/octet-stream', bytes, fileName: 'sallyport-log.bundle' };
    },
  }),
  route({
    method: 'get',
    path: '/v1/audit/sinks',
    permission: 'admin-or-auditor',
    summary: 'Where copies of the log go, and how far behind each of them is.',
    answers: { status: 200, json: schema.sinksAnswer },
    handle: async ({ rooms }) => ({ json: { sinks: (await rooms.delivery.states()).map(viewSink) } }),
  }),
  route({
    method: 'get',
    path: '/v1/audit/checkpoint',
    permission: 'public',
    summary:
      'The newest signed checkpoint of the accounting log (C2SP tlog-checkpoint): where witnesses are asked, the newest that met their quorum.',
    answers: { status: 200, contentType: 'text/plain' },
    async handle({ rooms }) {
      const note = rooms.cosigning?.newest?.note ?? (await rooms.store.logHead()).checkpoint;
      return { contentType: 'text/plain; charset=utf-8', bytes: Buffer.from(note) };
    },
  }),
  ...loginRoutes,
];

function currentKrl(rooms: Parameters<Route['handle']>[0]['rooms']): NonNullable<typeof rooms.krl.current> {
  const { current } = rooms.krl;
  if (current === undefined) {
    // Never an empty body: sshd takes zero bytes for "nothing is revoked".
    throw new CodedError('revocation.no_list', 'No list has been published yet.', {
      next: 'Try again in a moment; keep the list you have.',
    });
  }
  return current;
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

function withoutUndefined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Defined<T>;
}
