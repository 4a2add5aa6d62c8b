import type { Answer } from './answer.ts';
import { readCredential, type Credential } from './contract.ts';
import { readTlsCertificate, type TlsCertificate } from './tls-client.ts';

/** One follower of a directory's changes, of `GET /v1/admin/departures`. */
export interface FollowedDirectory {
  readonly directory: string;
  readonly method: string | undefined;
  readonly state: 'following' | 'standby' | 'failing' | 'unknown';
  readonly lookedAtMs: number | undefined;
  readonly sweptAtMs: number | undefined;
  readonly doubtful: readonly {
    readonly id: string;
    readonly login: string | undefined;
    readonly doubt: string;
  }[];
}

export interface Review {
  readonly id: string;
  readonly directory: string;
  readonly openedAtMs: number;
  readonly state: 'waiting' | 'approved' | 'rejected' | 'withdrawn';
  readonly decidedAtMs: number | undefined;
  readonly limit: 'people' | 'percent';
  readonly atLarge: number;
  readonly people: readonly {
    readonly id: string;
    readonly login: string | undefined;
    readonly reasonCode: string;
    readonly certificates: number;
  }[];
}

export interface DeparturesAnswer {
  readonly followers: readonly FollowedDirectory[];
  readonly reviews: readonly Review[];
  readonly raw: unknown;
}

/** `GET /v1/admin/departures`. @throws CodedError `client.bad_answer` */
export function readDepartures(answer: Answer): DeparturesAnswer {
  return {
    followers: answer.objects('followers', 100).map((follower) => ({
      directory: follower.text('directory', 64),
      method: follower.optionalText('method', 64),
      state: follower.word('state', ['following', 'standby', 'failing', 'unknown']),
      lookedAtMs: follower.optionalTime('lookedAt'),
      sweptAtMs: follower.optionalTime('sweptAt'),
      doubtful: follower.objects('doubtful').map((person) => ({
        id: person.text('id', 300),
        login: person.optionalText('login', 400),
        doubt: person.text('doubt', 2000),
      })),
    })),
    reviews: answer.objects('reviews').map(readReview),
    raw: answer.raw,
  };
}

function readReview(review: Answer): Review {
  return {
    id: review.text('id', 40),
    directory: review.text('directory', 64),
    openedAtMs: review.time('openedAt'),
    state: review.word('state', ['waiting', 'approved', 'rejected', 'withdrawn']),
    decidedAtMs: review.optionalTime('decidedAt'),
    limit: review.word('limit', ['people', 'percent']),
    atLarge: review.count('atLarge'),
    people: review.objects('people').map((person) => ({
      id: person.text('id', 300),
      login: person.optionalText('login', 400),
      reasonCode: person.text('reasonCode', 100),
      certificates: person.count('certificates'),
    })),
  };
}

export interface DecidedAnswer {
  readonly review: Review;
  readonly credentials: readonly Credential[];
  readonly tlsCredentials: readonly TlsCertificate[];
  readonly kept: readonly string[];
  readonly raw: unknown;
}

/** `POST /v1/admin/departures`. @throws CodedError `client.bad_answer` */
export function readDecided(answer: Answer): DecidedAnswer {
  return {
    review: readReview(answer.object('review')),
    credentials: answer.objects('credentials', 100_000).map(readCredential),
    tlsCredentials: answer.has('tlsCredentials')
      ? answer.objects('tlsCredentials', 100_000).map(readTlsCertificate)
      : [],
    kept: answer.texts('kept', 100_000, 300),
    raw: answer.raw,
  };
}

export type Today = 'granted' | 'lost' | 'unclear' | 'unknown';

const readToday = (one: Answer): Today => one.word('today', ['granted', 'lost', 'unclear', 'unknown']);

export interface PersonPage {
  readonly person: { readonly id: string; readonly login: string; readonly directory: string };
  readonly directory: {
    readonly outcome: 'here' | 'gone' | 'paused' | 'doubtful' | 'unavailable';
    readonly reason: string | undefined;
    readonly doubt: string | undefined;
    readonly groups: number | undefined;
  };
  readonly lock: { readonly sinceMs: number; readonly reason: string } | undefined;
  readonly sessions: readonly {
    readonly id: string;
    readonly createdAtMs: number;
    readonly expiresAtMs: number;
  }[];
  readonly certificates: readonly { readonly credential: Credential; readonly today: Today }[];
  readonly tlsCertificates: readonly { readonly credential: TlsCertificate; readonly today: Today }[];
  readonly names: readonly string[];
  readonly roles: readonly string[];
  readonly profiles: readonly {
    readonly profile: string;
    readonly principals: readonly string[];
    readonly ttlSeconds: number;
  }[];
  readonly raw: unknown;
}

/** `GET /v1/admin/person`. @throws CodedError `client.bad_answer` */
export function readPersonPage(answer: Answer): PersonPage {
  const person = answer.object('person');
  const directory = answer.object('directory');
  const lock = answer.optionalObject('lock');
  return {
    person: {
      id: person.text('id', 300),
      login: person.text('login', 400),
      directory: person.text('directory', 64),
    },
    directory: {
      outcome: directory.word('outcome', ['here', 'gone', 'paused', 'doubtful', 'unavailable']),
      reason: directory.optionalText('reason', 100),
      doubt: directory.optionalText('doubt', 2000),
      groups: directory.has('groups') ? directory.count('groups') : undefined,
    },
    lock: lock && { sinceMs: lock.time('since'), reason: lock.text('reason', 2000) },
    sessions: answer.objects('sessions').map((session) => ({
      id: session.text('id', 100),
      createdAtMs: session.time('createdAt'),
      expiresAtMs: session.time('expiresAt'),
    })),
    certificates: answer.objects('certificates').map((one) => ({
      credential: readCredential(one.object('credential')),
      today: readToday(one),
    })),
    tlsCertificates: (answer.has('tlsCertificates') ? answer.objects('tlsCertificates') : []).map((one) => ({
      credential: readTlsCertificate(one.object('credential')),
      today: readToday(one),
    })),
    names: answer.texts('names', 10_000, 200),
    roles: answer.texts('roles', 10, 40),
    profiles: answer.objects('profiles').map((one) => ({
      profile: one.text('profile', 100),
      principals: one.texts('principals', 256, 200),
      ttlSeconds: one.count('ttlSeconds'),
    })),
    raw: answer.raw,
  };
}
