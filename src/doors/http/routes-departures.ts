import {
  decideDepartures,
  listDepartures,
  showPerson,
  type DepartureReview,
  type Departures,
  type PersonPage,
} from '../../broker/index.ts';
import { toRfc3339 } from '../../kernel/index.ts';
import { route, type Route } from './route.ts';
import * as schema from './schemas-departures.ts';
import { viewTls } from './views-tls.ts';
import { viewCredential } from './views.ts';

/** Departures, and the page about one person. */
export const departureRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/v1/admin/departures',
    permission: 'admin-or-auditor',
    summary: 'How the directories are followed, and which departures wait for an admin.',
    answers: { status: 200, json: schema.departuresAnswer },
    async handle({ rooms }, caller) {
      const { followers, reviews, logins } = await listDepartures(rooms, caller);
      return {
        json: {
          followers: followers.map((follower) => viewFollower(follower, logins)),
          reviews: reviews.map((review) => viewReview(review, logins)),
        },
      };
    },
  }),
  route({
    method: 'post',
    path: '/v1/admin/departures',
    permission: 'admin',
    summary: 'Say whether departures that were too many at once are true.',
    body: schema.decideBody,
    answers: { status: 200, json: schema.decidedAnswer },
    async handle({ rooms, body }, caller) {
      const { review, credentials, tls, kept, published } = await decideDepartures(rooms, body, caller);
      const nowMs = rooms.clock.nowMs();
      return {
        json: {
          review: viewReview(review, new Map()),
          credentials: credentials.map((credential) => viewCredential(credential, nowMs)),
          tlsCredentials: tls.map((credential) => viewTls(credential, nowMs)),
          kept,
          ...(published === undefined ? {} : { krlVersion: String(published.version) }),
        },
      };
    },
  }),
  route({
    method: 'get',
    path: '/v1/admin/person',
    permission: 'admin-or-auditor',
    summary: 'Everything that a person can still use, and what directory and policy say of them now.',
    query: schema.personQuery,
    answers: { status: 200, json: schema.personPageAnswer },
    handle: async ({ rooms, query }, caller) => ({
      json: viewPage(await showPerson(rooms, query.person, caller)),
    }),
  }),
];

type Logins = Departures['logins'];

function viewFollower(
  { directory, method, state, lookedMs, sweptMs, waiting, doubtful }: Departures['followers'][number],
  logins: Logins,
): object {
  return {
    directory,
    ...(method === undefined ? {} : { method }),
    state,
    ...(lookedMs === undefined ? {} : { lookedAt: toRfc3339(lookedMs) }),
    ...(sweptMs === undefined ? {} : { sweptAt: toRfc3339(sweptMs) }),
    waiting,
    doubtful: [...doubtful].slice(0, 1000).map(([id, doubt]) => ({ ...personOf(id, logins), doubt })),
  };
}

function viewReview(
  { id, directory, openedMs, state, decidedMs, limit, atLarge, people }: DepartureReview,
  logins: Logins,
): object {
  return {
    id,
    directory,
    openedAt: toRfc3339(openedMs),
    state,
    ...(decidedMs === undefined ? {} : { decidedAt: toRfc3339(decidedMs) }),
    limit,
    atLarge,
    people: people.slice(0, 10_000).map(({ personId, reasonCode, credentials, tls }) => ({
      ...personOf(personId, logins),
      reasonCode,
      certificates: credentials.length + tls.length,
    })),
  };
}

function personOf(id: DepartureReview['people'][number]['personId'], logins: Logins): object {
  const login = logins.get(id);
  return { id, ...(login === undefined ? {} : { login }) };
}

function viewPage({
  person,
  directory,
  lock,
  sessions,
  certificates,
  tlsCertificates,
  nowMs,
  ...page
}: PersonPage): object {
  return {
    person: { id: person.id, login: person.login, directory: person.directory },
    directory,
    ...(lock === undefined ? {} : { lock: { since: toRfc3339(lock.sinceMs), reason: lock.reason } }),
    sessions: sessions.map(({ id, createdMs, expiresMs }) => ({
      id,
      createdAt: toRfc3339(createdMs),
      expiresAt: toRfc3339(expiresMs),
    })),
    certificates: certificates.map(({ credential, today }) => ({
      credential: viewCredential(credential, nowMs),
      today,
    })),
    tlsCertificates: tlsCertificates.map(({ credential, today }) => ({
      credential: viewTls(credential, nowMs),
      today,
    })),
    ...page,
  };
}
