import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Credential, DepartureReview, Store, X509Serial } from '../../src/broker/index.ts';
import {
  anna,
  bert,
  ca,
  codeOf,
  credential,
  entry,
  implementations,
  principal,
  seen,
  serial,
  session,
  start,
  type Place,
} from './store-fixture.ts';

const review = (over: Partial<DepartureReview> = {}): DepartureReview => ({
  id: 'd-0123abcd',
  directory: 'corp',
  openedMs: start,
  state: 'waiting',
  limit: 'people',
  atLarge: 9,
  people: [
    {
      personId: anna,
      reasonCode: 'identity.disabled',
      credentials: [{ caFingerprint: ca, serial: serial((1n << 62n) + 1n) }],
      tls: [{ caFingerprint: ca, serial: '4'.repeat(40) as X509Serial }],
    },
  ],
  ...over,
});

describe.each(implementations)('departures, on $name', ({ newPlace }) => {
  let place: Place;
  let store: Store;
  beforeEach(async () => {
    place = newPlace();
    store = await place.open();
  });
  afterEach(async () => {
    await store.close();
    place.remove();
  });
  const issue = async (over: Partial<Credential>): Promise<Credential> => {
    const { first } = await store.reserveSerials(ca, 1);
    const made = credential({ ...over, serial: first });
    await store.commit({ seenPerson: seen(made.personId, made.login), credential: made, entries: [entry()] });
    return made;
  };

  it('know who of a directory has something live', async () => {
    const mine = await issue({});
    await issue({ personId: bert, validBefore: BigInt(start / 1000) });
    expect(await store.peopleAtLarge('corp', start)).toEqual([anna]);
    expect(await store.peopleAtLarge('cor', start)).toEqual([]);
    expect(await store.peopleAtLarge('staff', start)).toEqual([]);
    await store.commit({ newSession: session({ personId: bert, login: 'bert' }), entries: [entry()] });
    expect([...(await store.peopleAtLarge('corp', start))].sort()).toEqual([anna, bert]);
    await store.commit({
      revoke: { credentials: [mine], atMs: start, reason: 'x' },
      expel: { people: [bert], atMs: start },
      entries: [entry()],
    });
    expect(await store.peopleAtLarge('corp', start)).toEqual([]);
  });

  it('keep how far a directory was followed, across a restart', async () => {
    expect(await store.followedDirectory('corp')).toBeUndefined();
    for (const cursor of ['a', 'b'.repeat(20_000)])
      await store.commit({ followed: { directory: 'corp', cursor, atMs: start + 1 }, entries: [] });
    await store.close();
    store = await place.open();
    expect(await store.followedDirectory('corp')).toEqual({ cursor: 'b'.repeat(20_000), movedMs: start + 1 });
    expect(await store.followedDirectory('staff')).toBeUndefined();
  });

  it('keep reviews whole, and decide about each once', async () => {
    const first = review();
    await store.commit({ departureReview: first, entries: [entry()] });
    const later = review({ id: 'd-ffffffff', openedMs: start + 5, people: [], limit: 'percent' });
    await store.commit({ departureReview: later, entries: [entry()] });
    expect(await store.departureReviews(start)).toEqual([later, first]);
    expect(await store.departureReviews(start + 1)).toEqual([later]);
    const approved = review({ state: 'approved', decidedMs: start + 9 });
    await store.commit({ departureReview: approved, entries: [entry()] });
    expect(await store.departureReviews(0)).toEqual([later, approved]);
    const { size } = await store.logHead();
    const again = store.commit({ departureReview: review({ state: 'rejected' }), entries: [entry()] });
    expect(await codeOf(again)).toBe('store.conflict');
    expect((await store.logHead()).size).toBe(size);
    expect(await store.departureReviews(0)).toEqual([later, approved]);
  });

  it('void what was decided before about some people only, without ending their sessions', async () => {
    const one = session();
    await store.commit({ seenPerson: seen(), newSession: one, entries: [entry()] });
    await store.commit({ seenPerson: seen(bert, 'bert'), entries: [entry()] });
    await store.commit({ voidDecisions: [anna], entries: [entry()] });
    const guarded = (personId = anna) =>
      codeOf(store.commit({ guard: { person: { personId, epoch: 0 } }, entries: [entry()] }));
    expect([await guarded(anna), await guarded(bert)]).toEqual(['store.conflict', 'done']);
    expect((await store.person(anna))?.epoch).toBe(1);
    expect(await store.session(one.tokenHash)).toEqual(one);
  });

  it('name all sessions and names of one person', async () => {
    const [first, second] = [session(), session({ createdMs: start + 1 })];
    const over = session({ expiresMs: start });
    for (const newSession of [second, first, over, session({ personId: bert })])
      await store.commit({ seenPerson: seen(), newSession, entries: [entry()] });
    expect(await store.liveSessions(anna, start)).toEqual([first, second]);
    const principals = ['zoe', 'Anna', 'abel'].map(principal);
    await store.commit({ claim: { principals, personId: anna, atMs: start }, entries: [entry()] });
    expect(await store.principalsOf(anna)).toEqual(['abel', 'Anna', 'zoe']);
    expect(await store.principalsOf(bert)).toEqual([]);
  });

  it('are followed by one broker at a time, where there can be several', async () => {
    const { shared } = store;
    if (shared === undefined) return;
    const other = await place.open();
    try {
      expect(await shared.holdLease('departures corp', 'one', 60_000)).toBe(true);
      expect(await shared.holdLease('departures corp', 'one', 60_000)).toBe(true);
      expect(await other.shared?.holdLease('departures corp', 'two', 60_000)).toBe(false);
      expect(await other.shared?.holdLease('departures staff', 'two', 60_000)).toBe(true);
      // The first one falls silent.
      expect(await shared.holdLease('departures corp', 'one', -1)).toBe(true);
      expect(await other.shared?.holdLease('departures corp', 'two', 60_000)).toBe(true);
      expect(await shared.holdLease('departures corp', 'one', 60_000)).toBe(false);
    } finally {
      await other.close();
    }
  });
});
