import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseCheckpoint } from '../../src/accounting/index.ts';
import { keepCheckpoint, refuseRollback, type CheckpointKeep, type Store } from '../../src/broker/index.ts';
import { codeOf, entries, implementations, type Place } from '../contract/store-fixture.ts';

describe.each(implementations)('the kept checkpoint of a log on $name', ({ newPlace }) => {
  let place: Place;
  let store: Store;
  let kept: string | undefined;
  const checkpointKeep: CheckpointKeep = {
    name: 'memory',
    read: () => kept,
    write: (note) => void (kept = note),
  };
  const parts = () => ({ store, logSigner: place.signer, checkpointKeep });
  const keptSize = (): bigint => parseCheckpoint(kept ?? '').size;
  beforeEach(async () => {
    kept = undefined;
    place = newPlace();
    store = await place.open();
  });
  afterEach(async () => {
    await store.close();
    place.remove();
  });

  it('is there from before the first entry on, and follows the log', async () => {
    await refuseRollback(parts());
    expect(keptSize()).toBe(0n);
    for (const size of [3n, 303n, 304n]) {
      await store.commit({ entries: entries(Number(size - keptSize())) });
      await keepCheckpoint(parts());
      expect(keptSize()).toBe(size);
    }
  });

  it.each([
    ['noise', "UPDATE log_head SET checkpoint = 'nonsense'", 'accounting.bad_head'],
    ['another size', 'UPDATE log_head SET size = size + 1', 'accounting.bad_head'],
    ['a smaller size', 'UPDATE log_head SET size = 2', 'accounting.rolled_back'],
  ])('stays as it is when somebody writes %s into the head', async (_what, sql, code) => {
    await refuseRollback(parts());
    await store.commit({ entries: entries(5) });
    await keepCheckpoint(parts());
    const before = kept;
    place.sql(sql);
    expect(await codeOf(keepCheckpoint(parts()))).toBe(code);
    expect(kept).toBe(before);
  });

  it('stays as it is when the head that is put back was signed once', async () => {
    await refuseRollback(parts());
    await store.commit({ entries: entries(5) });
    const { checkpoint, size, root } = await store.logHead();
    await store.commit({ entries: entries(2) });
    await keepCheckpoint(parts());
    const hex = root.toString('hex');
    const bytes = place.location.startsWith('/') ? `x'${hex}'` : `'\\x${hex}'::bytea`;
    place.sql(`UPDATE log_head SET checkpoint = '${checkpoint}', size = ${size}, root = ${bytes}`);
    expect(await codeOf(keepCheckpoint(parts()))).toBe('accounting.rolled_back');
    expect(keptSize()).toBe(7n);
  });

  it('is not made anew for a log that has entries, when it is gone', async () => {
    await refuseRollback(parts());
    await store.commit({ entries: entries(5) });
    kept = undefined;
    expect(await codeOf(keepCheckpoint(parts()))).toBe('accounting.no_kept_checkpoint');
    expect(kept).toBeUndefined();
  });
});
