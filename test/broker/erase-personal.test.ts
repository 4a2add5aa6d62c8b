import { DatabaseSync } from 'node:sqlite';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyRetention, erasePerson, type Store } from '../../src/broker/index.ts';
import { parsePersonId } from '../../src/kernel/index.ts';
import { openPostgresStore } from '../../src/store/index.ts';
import { createLogAppender, emptyLogHead } from '../../src/accounting/index.ts';
import { systemRandom } from '../../src/kernel/index.ts';
import { addressOf, owner, sharedPostgres } from '../support/postgres.ts';
import {
  anna,
  codeOf,
  entry,
  implementations,
  origin,
  seen,
  start,
  type Place,
} from '../contract/store-fixture.ts';

const dayMs = 86_400_000;
const clock = { nowMs: () => start + 100 * dayMs };
const addresses = [{ kind: 'addresses', keepMs: dayMs }] as const;
const names = [{ kind: 'names', keepMs: dayMs }] as const;
const login = (timeMs = start, name = 'anna') =>
  entry({
    type: 'auth.login',
    timeMs,
    actor: { kind: 'person', uid: anna },
    personal: { 'src.ip': '10.9.8.7', 'actor.name': name },
  });

describe.each(implementations)('an erasure on $name', ({ name, newPlace }) => {
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
  const held = async (of = store): Promise<string[][]> => {
    const found: string[][] = [];
    for await (const { openings } of of.logEntries(0n, 1000n))
      found.push(openings === undefined ? [] : Object.keys(JSON.parse(openings) as object).sort());
    return found;
  };

  it('brings nothing back that another one erased since it looked', async () => {
    const lock = entry({
      type: 'subject.lock',
      actor: { kind: 'person', uid: parsePersonId('corp:bert') },
      subject: { uid: anna },
      personal: { 'src.ip': '10.9.8.7', 'actor.name': 'bert', reason: 'she left' },
    });
    await store.commit({ seenPerson: seen(), entries: [login(), lock] });
    const racing: Store = {
      ...store,
      async commit(change) {
        if (change.erase?.person !== undefined) await applyRetention({ store, clock }, addresses);
        return store.commit(change);
      },
    };
    await erasePerson({ store: racing, clock }, anna, 'asked for it');
    expect((await held()).slice(0, 2)).toEqual([[], ['actor.name']]);
  });

  it('by age goes past a time that lies far ahead', async () => {
    await store.commit({ entries: [login(start + 3650 * dayMs), login(), login(clock.nowMs())] });
    await applyRetention({ store, clock }, addresses);
    expect((await held()).slice(0, 3)).toEqual([['actor.name'], ['actor.name'], ['actor.name', 'src.ip']]);
  });

  it.skipIf(name === 'SQLite')('by age is done by one of two brokers that begin at once', async () => {
    const other = await place.open();
    await store.commit({ entries: Array.from({ length: 700 }, (_, nth) => login(start + nth)) });
    await Promise.all([store, other].map((one) => applyRetention({ store: one, clock }, addresses)));
    await applyRetention({ store, clock }, addresses);
    expect((await held()).slice(0, 700).every((paths) => paths.join() === 'actor.name')).toBe(true);
    await other.close();
  });

  it.skipIf(name !== 'SQLite')(
    'says that files could not be cleaned, and cleans them the next time',
    async () => {
      await store.commit({ entries: [login(start, 'annabelle-the-first')] });
      const inFiles = (): string[] =>
        readdirSync(place.location).filter((file) =>
          readFileSync(join(place.location, file)).includes('annabelle-the-first'),
        );
      const reader = new DatabaseSync(join(place.location, 'sallyport.db'));
      reader.exec('BEGIN');
      reader.prepare('SELECT count(*) FROM log_entry').get();
      expect(await codeOf(applyRetention({ store, clock }, names))).toBe('store.not_scrubbed');
      expect(inFiles()).not.toEqual([]);
      reader.exec('COMMIT');
      reader.close();
      await applyRetention({ store, clock }, names);
      expect(inFiles()).toEqual([]);
    },
  );

  it.skipIf(name === 'SQLite')(
    'waits for who reads the tables, and says when it may not write them anew',
    async () => {
      const server = await sharedPostgres();
      const appender = createLogAppender({ signer: place.signer, origin, random: systemRandom });
      const address = addressOf(server, place.location, owner);
      const owned = await openPostgresStore({ address, appender, emptyHead: emptyLogHead(origin) });
      await store.commit({ seenPerson: seen(), entries: [login()] });
      expect(await erasePerson({ store, clock }, anna, 'x')).toMatchObject({ scrub: 'not_permitted' });
      // A dump that takes longer than a broker waits for anything else.
      const dump = server.run(
        place.location,
        'BEGIN; LOCK TABLE log_opening IN ACCESS SHARE MODE; SELECT pg_sleep(14); COMMIT',
      );
      const isLocked = "SELECT count(*) FROM pg_locks WHERE relation = 'log_opening'::regclass AND granted";
      while (place.count(isLocked) === 0) await new Promise((next) => setTimeout(next, 20));
      expect(await erasePerson({ store: owned, clock }, anna, 'x')).toMatchObject({ scrub: 'scrubbed' });
      await dump;
      await owned.close();
    },
    60_000,
  );
});
