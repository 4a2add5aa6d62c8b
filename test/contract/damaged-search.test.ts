import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../../src/broker/index.ts';
import { forgetSearch } from '../../src/store/index.ts';
import { addressOf, owner, sharedPostgres } from '../support/postgres.ts';
import { anna, codeOf, entries, entry, implementations, type Place } from './store-fixture.ts';

describe.each(implementations)('the search on $name, after somebody wrote to it', ({ name, newPlace }) => {
  let place: Place;
  let store: Store;
  const login = () => entry({ type: 'auth.login', actor: { kind: 'person', uid: anna } });
  const search = () => store.searchLog({ personId: anna, limit: 9 });
  /** As whoever took over a broker could. */
  const write = (sql: string): void => place.sql(name === 'SQLite' ? sql : `SET ROLE sallyport; ${sql}`);
  beforeEach(async () => {
    place = newPlace();
    store = await place.open();
    await store.commit({ entries: [login()] });
    expect(await search()).toHaveLength(1);
  });
  afterEach(async () => {
    await store.close();
    place.remove();
  });

  it('says so and never that nothing was found, also once the log has outgrown the row', async () => {
    write('INSERT INTO log_search VALUES (30, 0)');
    await store.commit({ entries: [login()] });
    expect(await codeOf(search())).toBe('store.damaged');
    await store.commit({ entries: [...entries(100), login()] });
    expect(await codeOf(search())).toBe('store.damaged');
    expect(await codeOf(store.commit({ entries: [login()] }))).toBe('done');
  });

  it('is refused at the next start, and built anew when it was emptied', async () => {
    write('INSERT INTO log_search VALUES (9000000000, 0)');
    await store.commit({ entries: [login()] });
    await store.close();
    const opened = place.open().then((again) => (store = again));
    expect(await codeOf(opened)).toBe('store.damaged');
    await forgetSearch(
      name === 'SQLite'
        ? { folder: place.location }
        : { address: addressOf(await sharedPostgres(), place.location, owner) },
    );
    store = await place.open();
    expect(await search()).toHaveLength(2);
  });
});
