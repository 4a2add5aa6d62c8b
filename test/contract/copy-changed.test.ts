import { expect, it } from 'vitest';
import { createLogAppender, emptyLogHead } from '../../src/accounting/index.ts';
import { systemRandom } from '../../src/kernel/index.ts';
import { copyToPostgres } from '../../src/store/index.ts';
import { describeWithPeers } from '../support/peers.ts';
import { addressOf, doneWith, newDatabase, owner, sharedPostgres } from '../support/postgres.ts';
import { codeOf, entries, implementations, origin } from './store-fixture.ts';

describeWithPeers(['postgres', 'psql'], 'a copy to PostgreSQL', () => {
  it.each([
    ['a changed entry', "SET entry = CAST(replace(CAST(entry AS TEXT), 'heartbeat', 'heartbeXt') AS BLOB)"],
    ['a changed hash', "SET leaf_hash = x'00'"],
  ])('does not carry over %s, and leaves nothing there', async (_what, change) => {
    const [sqlite] = implementations;
    const place = sqlite?.newPlace();
    if (sqlite === undefined || place === undefined) throw new Error('there is SQLite');
    const server = await sharedPostgres();
    const database = newDatabase(server);
    const store = await place.open();
    await store.commit({ entries: entries(6) });
    await store.close();
    place.sql(`${sqlite.unlockLog}; UPDATE log_entry ${change} WHERE idx = 3`);
    const appender = createLogAppender({ signer: place.signer, origin, random: systemRandom });
    const address = addressOf(server, database, owner);
    const copying = copyToPostgres({
      folder: place.location,
      address,
      appender,
      emptyHead: emptyLogHead(origin),
    });
    expect(await codeOf(copying)).toBe('store.damaged');
    expect(server.sql(database, 'SELECT count(*) FROM log_entry')).toBe('0');
    doneWith(database);
    place.remove();
  });
});
