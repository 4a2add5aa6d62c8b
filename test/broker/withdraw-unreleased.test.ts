import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Rooms, type Store, UnreleasedSearch } from '../../src/broker/index.ts';
import { credentialFields } from '../../src/broker/entries.ts';
import type { Serial } from '../../src/kernel/index.ts';
import { ca, credential, entry, implementations, type Place, start } from '../contract/store-fixture.ts';
import { loggedSince } from './fixtures.ts';

describe.each(implementations)('certificates that nobody got, on $name', ({ newPlace }) => {
  let place: Place;
  let store: Store;
  let nowMs: number;
  let published: number;
  beforeEach(async () => {
    place = newPlace();
    store = await place.open();
    [nowMs, published] = [start, 0];
  });
  afterEach(async () => {
    await store.close();
    place.remove();
  });

  function newSearch(witnesses = true): UnreleasedSearch {
    const rooms = {
      store,
      clock: { nowMs: () => nowMs },
      counters: { revoked: () => undefined },
      krl: { publish: async () => (published += 1) },
      ...(witnesses && { cosigning: {} }),
    };
    return new UnreleasedSearch(rooms as unknown as Rooms);
  }

  /** As a broker does it before it waits for the quorum. */
  async function issue(witness: boolean): Promise<Serial> {
    const { first } = await store.reserveSerials(ca, 1);
    const issued = credential({ serial: first, issuedMs: nowMs });
    const decision = { rule: 'r', version: 'a'.repeat(64), ...(witness && { witness: 'required' }) };
    const fields = { cred: credentialFields(issued), decision };
    await store.commit({
      credential: issued,
      entries: [entry({ type: 'cred.issue', timeMs: nowMs, fields })],
    });
    return first;
  }

  async function cosignAll(): Promise<void> {
    const { size, checkpoint: note } = await store.logHead();
    await store.commit({ cosigned: { size, note }, entries: [] });
  }

  /** Serials that are revoked, with the code of their entry. */
  const revoked = async (): Promise<readonly (readonly unknown[])[]> =>
    (await loggedSince(store, 0n))
      .filter(({ type }) => type === 'cred.revoke')
      .map((one) => [(one['cred'] as { serial: string }).serial, one['reason_code']]);

  it('are revoked: those that had to wait and that no cosigned checkpoint covers', async () => {
    await issue(true);
    await cosignAll();
    const lost = await issue(true);
    await issue(false);
    nowMs += 40_000;
    await newSearch().atStart();
    expect(await revoked()).toEqual([[String(lost), 'issuance.not_released']]);
    expect(await store.revokedSerials(ca, 0n)).toEqual(BigUint64Array.of(lost));
    // The start itself publishes; and once is enough.
    await newSearch().atStart();
    expect([published, await revoked()]).toEqual([0, [[String(lost), 'issuance.not_released']]]);
  });

  it('are not sought while a broker may still be waiting for a quorum', async () => {
    const search = newSearch();
    const first = await issue(true);
    nowMs += 20_000;
    const second = await issue(true);
    await search.look();
    expect([published, await revoked()]).toEqual([0, []]);
    nowMs += 11_000;
    await search.look();
    await search.look();
    expect([published, (await revoked()).map(([serial]) => serial)]).toEqual([1, [String(first)]]);
    nowMs += 20_000;
    await search.look();
    expect((await revoked()).map(([serial]) => serial)).toEqual([String(first), String(second)]);
    // Where nobody else can have the store open, nobody else can be waiting.
    const third = await issue(true);
    await newSearch().atStart();
    expect((await revoked()).length).toBe(store.shared === undefined ? 3 : 2);
    expect((await revoked()).at(-1)).toContain(String(store.shared === undefined ? third : second));
  });

  it('are left as they are when somebody has revoked them, or they have expired', async () => {
    const serial = await issue(true);
    const credentials = await store.liveCredentials({ kind: 'serial', caFingerprint: ca, serial }, nowMs);
    await store.commit({ revoke: { credentials, atMs: nowMs, reason: 'lost' }, entries: [] });
    await issue(true);
    nowMs = Number(credential().validBefore) * 1000 + 1;
    await newSearch().atStart();
    expect(await revoked()).toEqual([]);
  });

  it('are not sought where no witness is, nor ever was', async () => {
    await issue(true);
    nowMs += 60_000;
    await newSearch(false).atStart();
    expect(await revoked()).toEqual([]);
    await cosignAll();
    await issue(true);
    nowMs += 60_000;
    await newSearch(false).atStart();
    expect(await revoked()).toHaveLength(1);
  });
});
