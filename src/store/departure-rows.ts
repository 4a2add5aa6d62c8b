import type { DepartureReview, FollowedDirectory, FoundDeparture } from '../broker/index.ts';

type Columns = Readonly<Record<string, unknown>>;

/** What of a review stands in the column `facts`. */
export function reviewFacts({ limit, atLarge, people }: DepartureReview): string {
  const listed = people.map(({ credentials, ...person }) => ({
    ...person,
    credentials: credentials.map(({ caFingerprint, serial }) => ({ caFingerprint, serial: String(serial) })),
  }));
  return JSON.stringify({ limit, atLarge, people: listed });
}

/** A row of `departure_review`, as either backend gives it. */
export function toReview(row: Columns): DepartureReview {
  const { limit, atLarge, people } = JSON.parse(row['facts'] as string) as Facts;
  return {
    id: row['id'] as string,
    directory: row['directory'] as string,
    openedMs: Number(row['opened_ms']),
    state: row['state'] as DepartureReview['state'],
    ...(row['decided_ms'] === null ? {} : { decidedMs: Number(row['decided_ms']) }),
    limit,
    atLarge,
    people: people.map((person) => ({
      ...person,
      // Reviews of a version that knew SSH alone have none.
      tls: person.tls ?? [],
      credentials: person.credentials.map(({ caFingerprint, serial }) => ({
        caFingerprint,
        serial: BigInt(serial) as FoundDeparture['credentials'][number]['serial'],
      })),
    })),
  };
}

type Facts = Pick<DepartureReview, 'limit' | 'atLarge'> & {
  readonly people: readonly (Omit<FoundDeparture, 'credentials' | 'tls'> & {
    readonly credentials: readonly { readonly caFingerprint: string; readonly serial: string }[];
    readonly tls?: FoundDeparture['tls'];
  })[];
};

/** A row of `followed_directory`. */
export function toFollowed(row: Columns): FollowedDirectory {
  return { cursor: row['cursor'] as string, movedMs: Number(row['moved_ms']) };
}
