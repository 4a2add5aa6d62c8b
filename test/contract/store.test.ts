import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifierKey } from '../../src/accounting/index.ts';
import type { Change, Credential, Publication, Store, StoredEntry } from '../../src/broker/index.ts';
import { CodedError, parseKeyId } from '../../src/kernel/index.ts';
import { openDatabases } from '../../src/store/sqlite/database.ts';
import { openedBy } from '../accounting/log-fixture.ts';
import {
  anna,
  bert,
  ca,
  codeOf,
  credential,
  entries,
  entry,
  implementations,
  merkleTreeHash,
  newLogSigner,
  origin,
  otherCa,
  principal,
  seen,
  serial,
  session,
  start,
  type Place,
} from './store-fixture.ts';

const publication = (over: Partial<Publication> = {}): Publication => ({
  kind: 'krl',
  version: 1n,
  publishedMs: start,
  bytes: Buffer.from([0, 1, 2, 255]),
  signature: 'armoured',
  sha256: 'ab'.repeat(32),
  revocations: 0,
  ...over,
});

const afterIndexing = 'when the index knows it';
const states = ['before any index does', afterIndexing];

describe.each(implementations)(
  'the store on $name',
  ({ newPlace, newerSchema, unlockLog, bytes, replaceEntry }) => {
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
    const reopen = async (): Promise<Store> => {
      await store.close();
      store = await place.open();
      return store;
    };
    const all = async (from = 0n, to = 1n << 62n): Promise<StoredEntry[]> => {
      const found: StoredEntry[] = [];
      for await (const one of store.logEntries(from, to)) found.push(one);
      return found;
    };
    /** Resolves when the search was brought to the end of the log, behind the commits. */
    const indexed = async (): Promise<void> => {
      const { size } = await store.logHead();
      while (BigInt(place.count('SELECT count(*) FROM log_search')) < size) await delay(20);
    };
    /** Issues a certificate with the next serial of its CA, the whole way. */
    const issue = async (over: Partial<Credential> = {}): Promise<Credential> => {
      const { first } = await store.reserveSerials(over.caFingerprint ?? ca, 1);
      const made = credential({ ...over, serial: first });
      await store.commit({
        seenPerson: seen(made.personId, made.login),
        credential: made,
        entries: [entry()],
      });
      return made;
    };
    /** Says whether the log still holds together, from its own bytes alone. */
    const expectWholeLog = async (): Promise<void> => {
      const found = await all();
      const { size, root, checkpoint } = await store.logHead();
      expect(found.map(({ index }) => index)).toEqual(
        Array.from({ length: Number(size) }, (_, at) => BigInt(at)),
      );
      expect(merkleTreeHash(found.map(({ bytes }) => bytes)).equals(root)).toBe(true);
      const opened = openedBy(verifierKey(origin, place.signer.publicKey), checkpoint);
      expect(opened).toEqual({ origin, size, root });
    };

    describe('a commit', () => {
      it('starts from a signed empty log', async () => {
        const { size, origin: name } = await store.logHead();
        expect([size, name]).toEqual([0n, origin]);
        await expectWholeLog();
      });

      it('says where its entries begin, and keeps indexes and root whole under concurrent commits', async () => {
        const sizes = Array.from({ length: 300 }, (_, at) => at % 4);
        const done = await Promise.all(sizes.map((count) => store.commit({ entries: entries(count) })));
        let next = 0n;
        for (const [at, { firstIndex }] of done.entries()) {
          expect(firstIndex).toBe(next);
          next += BigInt(sizes[at] ?? 0);
        }
        await expectWholeLog();
        await reopen();
        await store.commit({ entries: entries(3) });
        await expectWholeLog();
      });

      const refused: [string, () => Change][] = [
        [
          'a principal that somebody else holds',
          () => ({
            seenPerson: seen(bert, 'bert'),
            newSession: session({ personId: bert }),
            claim: { principals: [principal('free'), principal('anna')], personId: bert, atMs: start },
            entries: [entry()],
          }),
        ],
        [
          'a guard that does not hold',
          () => ({
            guard: { person: { personId: anna, epoch: 99 } },
            lock: { personId: anna, atMs: start, reason: 'x' },
            entries: [entry()],
          }),
        ],
        [
          'an entry that cannot be written',
          () => ({ expel: { people: [anna], atMs: 1000 }, entries: [entry(), entry({ outcome: 'denied' })] }),
        ],
        [
          'a serial that was released before',
          () => ({
            credential: credential({ serial: serial(1), keyId: parseKeyId('sp-2') }),
            entries: [entry()],
          }),
        ],
        [
          'a certificate of a CA nobody knows',
          () => ({ credential: credential({ caFingerprint: 'x' }), entries: [entry()] }),
        ],
        [
          'a list that is not newer',
          () => ({
            expel: { people: [anna], atMs: 1000 },
            publication: publication({ version: 5n }),
            entries: [entry()],
          }),
        ],
      ];
      it.each(refused)(
        'leaves nothing of itself when it has %s, and everything of its neighbours',
        async (_why, change) => {
          await issue();
          await store.commit({
            claim: { principals: [principal('anna')], personId: anna, atMs: start },
            publication: publication({ version: 5n }),
            entries: [entry()],
          });
          const before = await store.logHead();
          const state = await store.person(anna);
          const answers = await Promise.all([
            codeOf(store.commit({ seenPerson: seen(anna, 'anna-1'), entries: [entry()] })),
            codeOf(store.commit(change())),
            codeOf(store.commit({ releasePrincipal: principal('nobody'), entries: entries(2) })),
          ]);
          expect(answers[0]).toBe('done');
          expect(answers[1]).toMatch(/^(store\.(conflict|unavailable)|accounting\.bad_draft)$/);
          expect(answers[2]).toBe('done');
          expect((await store.logHead()).size).toBe(before.size + 3n);
          await expectWholeLog();
          expect(await store.person(anna)).toEqual({ ...state, login: 'anna-1' });
          expect(await store.person(bert)).toBeUndefined();
          expect(await store.sessionsOf(bert, start)).toBe(0);
          expect([...(await store.principalOwners(['free', 'anna']))]).toEqual([['anna', anna]]);
          expect((await store.publication('krl'))?.version).toBe(5n);
          expect(await store.credentials({ live: false, limit: 10, nowMs: start })).toHaveLength(1);
        },
      );

      it('refuses with store.conflict what somebody else made impossible', async () => {
        await store.commit({
          claim: { principals: [principal('anna')], personId: anna, atMs: start },
          publication: publication({ version: 5n }),
          entries: [],
        });
        const claim = { principals: [principal('anna')], personId: bert, atMs: start };
        expect(await codeOf(store.commit({ claim, entries: [] }))).toBe('store.conflict');
        for (const version of [4n, 5n])
          expect(await codeOf(store.commit({ publication: publication({ version }), entries: [] }))).toBe(
            'store.conflict',
          );
      });

      it('frees a name under every spelling that was asked for before', async () => {
        const owner = async (name: string): Promise<unknown> =>
          (await store.principalOwners([name])).get(name);
        await store.commit({
          claim: { principals: [principal('anna')], personId: anna, atMs: start },
          entries: [],
        });
        expect([await owner('anna'), await owner('ANNA'), await owner('Anna')]).toEqual([anna, anna, anna]);
        await store.commit({ releasePrincipal: principal('aNNA'), entries: [] });
        expect([await owner('anna'), await owner('ANNA'), await owner('Anna')]).toEqual([
          undefined,
          undefined,
          undefined,
        ]);
      });

      it('can be repeated by the same person for the same principal', async () => {
        const claim = { principals: [principal('anna')], personId: anna, atMs: start };
        await store.commit({ claim, entries: [] });
        expect(await codeOf(store.commit({ claim, entries: [] }))).toBe('done');
        await store.commit({ releasePrincipal: principal('anna'), entries: [] });
        expect(await codeOf(store.commit({ claim: { ...claim, personId: bert }, entries: [] }))).toBe('done');
      });

      it('keeps apart what two principals in one batch want', async () => {
        const claims = await Promise.all(
          [anna, bert].map((personId) =>
            codeOf(
              store.commit({
                claim: { principals: [principal('shared')], personId, atMs: start },
                entries: [entry()],
              }),
            ),
          ),
        );
        expect(claims.sort()).toEqual(['done', 'store.conflict']);
        expect((await store.logHead()).size).toBe(1n);
      });
    });

    describe('a guard', () => {
      const guarded = async (guard: Change['guard']): Promise<string> => {
        const { size } = await store.logHead();
        const code = await codeOf(store.commit({ ...(guard && { guard }), entries: [entry()] }));
        expect((await store.logHead()).size).toBe(code === 'done' ? size + 1n : size);
        return code;
      };
      const epochOf = async (personId = anna): Promise<number> => (await store.person(personId))?.epoch ?? -1;

      beforeEach(() => store.commit({ seenPerson: seen(), entries: [] }));

      it('holds while nothing happened', async () => {
        const mine = session();
        await store.commit({ newSession: mine, entries: [] });
        const person = { personId: anna, epoch: await epochOf() };
        expect(await guarded({ person, sessionHash: mine.tokenHash, keyFingerprint: 'SHA256:k' })).toBe(
          'done',
        );
        expect(await guarded({})).toBe('done');
      });

      it('refuses a person nobody knows', async () => {
        expect(await guarded({ person: { personId: bert, epoch: 0 } })).toBe('store.conflict');
      });

      it.each<[string, Change]>([
        ['expelled', { expel: { people: [anna], atMs: 1000 }, entries: [] }],
        ['locked', { lock: { personId: anna, atMs: start, reason: 'x' }, entries: [] }],
        ['caught by a revocation of everything', { voidDecisions: true, entries: [] }],
      ])('refuses what was decided before the person was %s', async (_what, change) => {
        const person = { personId: anna, epoch: await epochOf() };
        await store.commit(change);
        expect(await guarded({ person })).toBe('store.conflict');
      });

      it('refuses a locked person under the newest epoch too, until unlocked', async () => {
        await store.commit({ lock: { personId: anna, atMs: start, reason: 'left' }, entries: [] });
        expect(await store.person(anna)).toMatchObject({ lockedMs: start, lockReason: 'left' });
        const person = { personId: anna, epoch: await epochOf() };
        expect(await guarded({ person })).toBe('store.conflict');
        await store.commit({ unlock: anna, entries: [] });
        expect(await store.person(anna)).not.toHaveProperty('lockedMs');
        expect(await guarded({ person })).toBe('done');
      });

      it('leaves other people alone', async () => {
        await store.commit({ seenPerson: seen(bert, 'bert'), entries: [] });
        const person = { personId: bert, epoch: await epochOf(bert) };
        await store.commit({ expel: { people: [anna], atMs: 1000 }, entries: [] });
        expect(await guarded({ person })).toBe('done');
      });

      it('refuses a session that ended, and one that never was', async () => {
        const mine = session();
        await store.commit({ newSession: mine, entries: [] });
        await store.commit({ endSession: mine.tokenHash, entries: [] });
        expect(await guarded({ sessionHash: mine.tokenHash })).toBe('store.conflict');
        expect(await guarded({ sessionHash: Buffer.alloc(32) })).toBe('store.conflict');
      });

      it('refuses a key that was revoked', async () => {
        const revokeKey = { fingerprint: 'SHA256:k', revokedMs: start, reason: 'stolen' };
        await store.commit({ revokeKey, entries: [] });
        expect(await guarded({ keyFingerprint: 'SHA256:k' })).toBe('store.conflict');
        expect(await guarded({ keyFingerprint: 'SHA256:other' })).toBe('done');
      });

      it('is looked at before its own change is made', async () => {
        const person = { personId: anna, epoch: await epochOf() };
        expect(
          await codeOf(
            store.commit({ guard: { person }, expel: { people: [anna], atMs: 1000 }, entries: [] }),
          ),
        ).toBe('done');
      });

      it('sees what came earlier in the same batch', async () => {
        const person = { personId: anna, epoch: await epochOf() };
        const answers = await Promise.all([
          codeOf(store.commit({ expel: { people: [anna], atMs: 1000 }, entries: [entry()] })),
          codeOf(store.commit({ guard: { person }, entries: [entry()] })),
        ]);
        expect(answers).toEqual(['done', 'store.conflict']);
      });
    });

    describe('a transaction with questions', () => {
      it('sees one state, and nothing comes between its answer and its change', async () => {
        await store.commit({ seenPerson: seen(), entries: [] });
        const order: string[] = [];
        let other: Promise<unknown> = Promise.resolve();
        const result = await store.transact(async (reads) => {
          const before = await reads.person(anna);
          other = store
            .commit({ expel: { people: [anna], atMs: 1000 }, entries: [entry()] })
            .then(() => order.push('other'));
          for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
          const after = await reads.person(anna);
          expect(after).toEqual(before);
          order.push('planned');
          return { change: { seenPerson: seen(anna, 'renamed'), entries: [entry()] }, result: before?.epoch };
        });
        await other;
        expect(order).toEqual(['planned', 'other']);
        expect(result).toBe(0);
        expect(await store.person(anna)).toMatchObject({ login: 'renamed', epoch: 1 });
      });

      it('sees the changes committed before it in the same batch', async () => {
        const [, found] = await Promise.all([
          store.commit({ seenPerson: seen(), entries: [entry()] }),
          store.transact(async (reads) => ({
            change: { entries: [entry()] },
            result: await reads.person(anna),
          })),
        ]);
        expect(found).toMatchObject({ personId: anna, login: 'anna' });
      });

      it('leaves nothing when its plan refuses, and passes the refusal on', async () => {
        const plan = async (): Promise<never> => {
          throw new CodedError('policy.principal_unowned', 'no');
        };
        const [refused, neighbour] = await Promise.all([
          codeOf(store.transact(plan)),
          codeOf(store.commit({ entries: [entry()] })),
        ]);
        expect([refused, neighbour]).toEqual(['policy.principal_unowned', 'done']);
        expect((await store.logHead()).size).toBe(1n);
        await expectWholeLog();
      });

      it('counts to the end when many count at once', async () => {
        await store.commit({ seenPerson: seen(anna, '0'), entries: [] });
        await Promise.all(
          Array.from({ length: 50 }, () =>
            store.transact(async (reads) => {
              const count = Number((await reads.person(anna))?.login);
              return { change: { seenPerson: seen(anna, String(count + 1)), entries: [] }, result: count };
            }),
          ),
        );
        expect((await store.person(anna))?.login).toBe('50');
      });
    });

    describe('serials', () => {
      it('are dense from 1 and never given twice, for each CA by itself', async () => {
        const blocks = await Promise.all(
          Array.from({ length: 40 }, (_, at) =>
            store.reserveSerials(at % 2 === 0 ? ca : otherCa, 1 + (at % 7)),
          ),
        );
        for (const fingerprint of [ca, otherCa]) {
          const given = blocks
            .filter(({ caFingerprint }) => caFingerprint === fingerprint)
            .flatMap(({ first, last }) =>
              Array.from({ length: Number(last - first) + 1 }, (_, at) => first + BigInt(at)),
            )
            .sort((a, b) => Number(a - b));
          expect(given).toEqual(given.map((_, at) => BigInt(at + 1)));
        }
        await reopen();
        const { first } = await store.reserveSerials(ca, 1);
        expect(blocks.every(({ caFingerprint, last }) => caFingerprint !== ca || last < first)).toBe(true);
      });

      it('that were reserved and neither released nor settled are abandoned, exactly those', async () => {
        await store.reserveSerials(ca, 8);
        for (const released of [2, 3, 8])
          await store.commit({ credential: credential({ serial: serial(released) }), entries: [entry()] });
        await store.commit({
          settledSerials: [{ caFingerprint: ca, first: serial(5), last: serial(5) }],
          entries: [entry()],
        });
        await store.reserveSerials(otherCa, 2);
        await reopen();
        const left = (await store.abandonedSerials()).map(({ caFingerprint, first, last }) => [
          caFingerprint,
          first,
          last,
        ]);
        expect(left).toEqual([
          [ca, 1n, 1n],
          [ca, 4n, 4n],
          [ca, 6n, 7n],
          [otherCa, 1n, 2n],
        ]);
        const mine = await store.reserveSerials(ca, 1);
        expect(mine.first).toBe(9n);
        const settled = await store.transact(async (reads) => ({
          change: { settleAbandoned: true, entries: [entry()] },
          result: await reads.abandonedSerials(),
        }));
        expect(settled).toHaveLength(4);
        expect(await store.abandonedSerials()).toEqual([]);
        expect(
          await codeOf(store.commit({ credential: credential({ serial: serial(9) }), entries: [entry()] })),
        ).toBe('done');
      });

      it('that this broker did not reserve are neither released nor declared void by it', async () => {
        await store.reserveSerials(ca, 4);
        await reopen();
        const [mine] = [await store.reserveSerials(ca, 4)];
        const release = (value: number) =>
          codeOf(store.commit({ credential: credential({ serial: serial(value) }), entries: [entry()] }));
        const declareVoid = (first: number, last: number) =>
          codeOf(
            store.commit({
              voidedSerials: [{ caFingerprint: ca, first: serial(first), last: serial(last) }],
              entries: [entry()],
            }),
          );
        expect(mine.first).toBe(5n);
        expect([await release(2), await release(9), await release(5)]).toEqual([
          'store.conflict',
          'store.conflict',
          'done',
        ]);
        expect(await declareVoid(2, 2)).toBe('store.conflict');
        expect(await declareVoid(5, 5)).toBe('store.conflict');
        expect(await declareVoid(4, 6)).toBe('store.conflict');
        expect(await declareVoid(6, 7)).toBe('done');
        expect([await declareVoid(7, 7), await release(6), await release(8)]).toEqual([
          'store.conflict',
          'store.conflict',
          'done',
        ]);
        expect((await store.logHead()).size).toBe(3n);
      });

      it('of a settled block are not abandoned; of its neighbour they are', async () => {
        const settled = await store.reserveSerials(ca, 4);
        const next = await store.reserveSerials(ca, 4);
        await store.commit({ settledSerials: [settled], entries: [] });
        await reopen();
        expect(await store.abandonedSerials()).toEqual([next]);
        await store.commit({
          settledSerials: [{ caFingerprint: ca, first: serial(1), last: serial(6) }],
          entries: [],
        });
        expect(await store.abandonedSerials()).toEqual([{ ...next, first: 7n }]);
      });

      it('that are given back are given out again, and are not abandoned', async () => {
        const block = await store.reserveSerials(ca, 8);
        const used = { caFingerprint: ca, first: block.first, last: serial(3) };
        await store.commit({
          returnedSerials: [{ ...block, first: serial(4) }],
          settledSerials: [used],
          entries: [entry()],
        });
        await reopen();
        expect(await store.abandonedSerials()).toEqual([]);
        expect((await store.reserveSerials(ca, 1)).first).toBe(4n);
      });

      it('that are given back while one of them is still under way leave only that one abandoned', async () => {
        const block = await store.reserveSerials(ca, 8);
        await store.commit({ returnedSerials: [{ ...block, first: serial(4) }], entries: [] });
        await reopen();
        expect(await store.abandonedSerials()).toEqual([{ ...block, last: 3n }]);
        expect((await store.reserveSerials(ca, 2)).first).toBe(4n);
      });

      it('that are given back from the middle of the count are not taken back, and become void', async () => {
        const early = await store.reserveSerials(ca, 4);
        const late = await store.reserveSerials(ca, 4);
        await store.commit({ returnedSerials: [{ ...early, first: serial(3) }], entries: [] });
        await reopen();
        expect(await store.abandonedSerials()).toEqual([early, late]);
        expect((await store.reserveSerials(ca, 1)).first).toBe(9n);
      });

      it('are given back block by block from the end', async () => {
        const early = await store.reserveSerials(ca, 4);
        const late = await store.reserveSerials(ca, 4);
        await store.commit({
          returnedSerials: [late, { ...early, first: serial(2) }],
          settledSerials: [{ ...early, last: serial(1) }],
          entries: [],
        });
        await reopen();
        expect(await store.abandonedSerials()).toEqual([]);
        expect((await store.reserveSerials(ca, 1)).first).toBe(2n);
      });

      it('beyond 2^53 stay exact', async () => {
        await store.reserveSerials(ca, 1);
        const big = (1n << 53n) + 1n;
        await store.close();
        place.sql(`UPDATE ca SET next_serial = ${big}`);
        store = await place.open();
        const made = await issue({ validBefore: (1n << 62n) + 1n });
        expect(made.serial).toBe(big);
        const [found] = await store.credentials({ live: false, before: big + 1n, limit: 5, nowMs: start });
        expect(found).toEqual(made);
        await store.commit({ revoke: { credentials: [made], atMs: start, reason: 'x' }, entries: [] });
        expect(await store.revokedSerials(ca, 0n)).toEqual(BigUint64Array.of(big));
        expect((await store.reserveSerials(ca, 1)).first).toBe(big + 1n);
      });

      it('at the far end of 64 bits are unknown, not a fault', async () => {
        await issue();
        for (const value of [1n << 63n, (1n << 64n) - 1n]) {
          const target = { kind: 'serial', serial: serial(value), caFingerprint: ca } as const;
          expect(await store.everIssued(target)).toBe(false);
          expect(await store.liveCredentials(target, start)).toEqual([]);
          expect(await store.credential(ca, serial(value))).toBeUndefined();
          const query = { live: false, before: value, limit: 5, nowMs: start };
          expect(await store.credentials(query)).toHaveLength(1);
          expect(await store.searchLog({ before: value, limit: 5 })).toHaveLength(1);
          expect(await all(0n, value)).toHaveLength(1);
        }
      });
    });

    describe('sessions', () => {
      it('come back as they were', async () => {
        const mine = session();
        await store.commit({ newSession: mine, entries: [] });
        await reopen();
        expect(await store.session(mine.tokenHash)).toEqual(mine);
        expect(await store.session(Buffer.alloc(32))).toBeUndefined();
        expect(await store.sessionsOf(anna, start)).toBe(1);
      });

      it('that expired count no more, and go with the next login', async () => {
        const old = session({ expiresMs: start + 1000 });
        await store.commit({ newSession: old, entries: [] });
        expect(await store.sessionsOf(anna, start + 999)).toBe(1);
        expect(await store.sessionsOf(anna, start + 1000)).toBe(0);
        await store.commit({ newSession: session({ createdMs: start + 1000 }), entries: [] });
        expect(await codeOf(store.commit({ guard: { sessionHash: old.tokenHash }, entries: [] }))).toBe(
          'store.conflict',
        );
        await reopen();
        expect(await store.session(old.tokenHash)).toBeUndefined();
      });

      it('end one by one, or all of a person at once and of nobody else', async () => {
        const [one, two, three] = [session(), session(), session({ personId: bert })];
        for (const newSession of [one, two, three]) await store.commit({ newSession, entries: [] });
        for (const { tokenHash } of [one, two, three]) expect(await store.session(tokenHash)).toBeDefined();
        await store.commit({ endSession: one.tokenHash, entries: [] });
        expect(await store.session(one.tokenHash)).toBeUndefined();
        expect(await store.session(two.tokenHash)).toEqual(two);
        await store.commit({ expel: { people: [anna], atMs: 1000 }, entries: [] });
        expect(await store.session(two.tokenHash)).toBeUndefined();
        expect(await store.session(three.tokenHash)).toEqual(three);
      });

      it('are refused whole when a token hash or an id comes twice', async () => {
        const mine = session();
        await store.commit({ newSession: mine, entries: [] });
        expect(await codeOf(store.commit({ newSession: mine, entries: [entry()] }))).toBe(
          'store.unavailable',
        );
        expect(await codeOf(store.commit({ newSession: session({ id: mine.id }), entries: [entry()] }))).toBe(
          'store.unavailable',
        );
        expect((await store.logHead()).size).toBe(0n);
      });
    });

    describe('people', () => {
      it('are remembered under their id, with the login of the last time', async () => {
        await store.commit({ seenPerson: seen(anna, 'Anna'), entries: [] });
        await store.commit({ seenPerson: seen(bert, 'anna'), entries: [] });
        expect(await store.person(anna)).toEqual({
          personId: anna,
          login: 'Anna',
          directory: 'corp',
          epoch: 0,
        });
        const found = await store.personsByLogin('ANNA');
        expect(found.map(({ personId }) => personId).sort()).toEqual([anna, bert]);
        await store.commit({ seenPerson: seen(anna, 'anna-new'), entries: [] });
        expect((await store.person(anna))?.login).toBe('anna-new');
        expect((await store.personsByLogin('anna')).map(({ personId }) => personId)).toEqual([bert]);
        expect(await store.personsByLogin('%')).toEqual([]);
      });

      it('show every change at once to whoever asks after the commit', async () => {
        await store.commit({ seenPerson: seen(), entries: [] });
        for (const change of [
          { lock: { personId: anna, atMs: start, reason: 'x' } },
          { unlock: anna },
          { expel: { people: [anna], atMs: 1000 } },
          { voidDecisions: true },
        ] as const) {
          const before = await store.person(anna);
          await store.commit({ ...change, entries: [] });
          expect(await store.person(anna)).not.toEqual(before);
        }
      });
    });

    describe('the throttle', () => {
      const row = (letter: string, forgetMs: number) => ({
        key: `pair:${letter.repeat(64)}`,
        failures: 3,
        lastMs: start,
        successMs: 0,
        forgetMs,
      });

      it('comes back row by row, the newest of each key, and forgets with the next login', async () => {
        const [a, b] = [row('a', start + 1000), row('b', start + 9000)];
        await store.commit({ throttle: [a, b], entries: [] });
        await store.commit({ throttle: [{ ...a, failures: 4 }], entries: [] });
        await reopen();
        const byKey = (rows: readonly { key: string }[]) =>
          [...rows].sort((x, y) => (x.key < y.key ? -1 : 1));
        expect(byKey(await store.throttleRows())).toEqual([{ ...a, failures: 4 }, b]);
        await store.commit({ newSession: session({ createdMs: start + 1000 }), entries: [] });
        expect(await store.throttleRows()).toEqual([b]);
      });
    });

    describe('credentials', () => {
      it('come back as they were, page by page, newest first', async () => {
        const made: Credential[] = [];
        for (let count = 0; count < 7; count += 1)
          made.push(await issue({ principals: ['anna', `extra-${count}`] }));
        const page = (before?: bigint) => store.credentials({ live: false, before, limit: 3, nowMs: start });
        expect([...(await page()), ...(await page(5n)), ...(await page(2n))]).toEqual(made.toReversed());
        expect(await page(1n)).toEqual([]);
      });

      it('can be asked by person and by life', async () => {
        const dying = await issue({ validBefore: BigInt(start / 1000) + 10n });
        const living = await issue();
        const other = await issue({ personId: bert, login: 'bert' });
        const revoked = await issue();
        await store.commit({
          revoke: { credentials: [revoked], atMs: start + 5, reason: 'why' },
          entries: [],
        });
        const ask = async (query: {
          personId?: typeof anna;
          live: boolean;
          nowMs?: number;
        }): Promise<bigint[]> =>
          (await store.credentials({ limit: 10, nowMs: start, ...query }))
            .map((one) => one.serial)
            .toReversed();
        expect(await ask({ live: true })).toEqual([dying.serial, living.serial, other.serial]);
        expect(await ask({ live: true, nowMs: start + 9999 })).toEqual([
          dying.serial,
          living.serial,
          other.serial,
        ]);
        expect(await ask({ live: true, nowMs: start + 10_000 })).toEqual([living.serial, other.serial]);
        expect(await ask({ live: true, personId: anna })).toEqual([dying.serial, living.serial]);
        expect(await ask({ live: false, personId: anna })).toEqual([
          dying.serial,
          living.serial,
          revoked.serial,
        ]);
        const [found] = await store.credentials({ live: false, limit: 10, nowMs: start });
        expect(found).toEqual({ ...revoked, revokedMs: start + 5, revokedReason: 'why' });
      });

      it('are found by every kind of target, alive only, and known for ever', async () => {
        const mine = await issue({ keyFingerprint: 'SHA256:a', issuedMs: start });
        const later = await issue({ keyFingerprint: 'SHA256:a', issuedMs: start + 1000 });
        const other = await issue({
          personId: bert,
          login: 'bert',
          keyFingerprint: 'SHA256:b',
          issuedMs: start + 2000,
        });
        const foreign = await issue({
          caFingerprint: otherCa,
          keyFingerprint: 'SHA256:c',
          issuedMs: start + 3000,
        });
        expect(foreign.serial).toBe(mine.serial);
        const hits = {
          person: [{ kind: 'person', personId: bert }, [other]],
          serial: [{ kind: 'serial', serial: mine.serial, caFingerprint: ca }, [mine]],
          'serial of another CA': [
            { kind: 'serial', serial: mine.serial, caFingerprint: otherCa },
            [foreign],
          ],
          key: [{ kind: 'key', fingerprint: 'SHA256:a' }, [mine, later]],
          'key id': [{ kind: 'key_id', keyId: other.keyId }, [other]],
          before: [{ kind: 'before', beforeMs: start + 1000 }, [mine]],
        } as const;
        for (const [name, [target, wanted]] of Object.entries(hits)) {
          expect(await store.liveCredentials(target, start), name).toEqual(wanted);
          expect(await store.everIssued(target), name).toBe(true);
          expect(await store.liveCredentials(target, start + 3_600_000), name).toEqual([]);
        }
        await store.commit({
          revoke: { credentials: [mine, later, other], atMs: start, reason: 'x' },
          entries: [],
        });
        for (const [name, [target]] of Object.entries(hits)) {
          if (name !== 'serial of another CA')
            expect(await store.liveCredentials(target, start), name).toEqual([]);
          expect(await store.everIssued(target), name).toBe(true);
        }
        const unknown = [
          { kind: 'person', personId: 'corp:nobody' as typeof anna },
          { kind: 'serial', serial: serial(99), caFingerprint: ca },
          { kind: 'serial', serial: mine.serial, caFingerprint: 'SHA256:none' },
          { kind: 'key', fingerprint: 'SHA256:z' },
          { kind: 'key_id', keyId: parseKeyId('sp-z') },
          { kind: 'before', beforeMs: start },
        ] as const;
        for (const target of unknown) expect(await store.everIssued(target)).toBe(false);
      });

      it('tell which CAs have any that is not expired', async () => {
        const second = BigInt(start / 1000);
        expect(await store.authoritiesInUse(second)).toEqual([]);
        await issue({ validBefore: second + 10n });
        await issue({ validBefore: second - 10n });
        await store.reserveSerials(otherCa, 1);
        await issue({ caFingerprint: otherCa, validBefore: second + 5n });
        expect(await store.authoritiesInUse(second + 5n)).toEqual([ca, otherCa]);
        expect(await store.authoritiesInUse(second + 6n)).toEqual([ca]);
        expect(await store.authoritiesInUse(second + 11n)).toEqual([]);
      });

      it('keep the first revocation', async () => {
        const made = await issue();
        for (const reason of ['first', 'second'])
          await store.commit({ revoke: { credentials: [made], atMs: start, reason }, entries: [] });
        const [found] = await store.credentials({ live: false, limit: 1, nowMs: start });
        expect(found?.revokedReason).toBe('first');
      });
    });

    describe('what the list must hold', () => {
      it('is every revoked serial of the CA that is not long expired, ascending', async () => {
        const expiry = BigInt(start / 1000);
        const lives = [0n, 100n, 200n, 300n];
        const made: Credential[] = [];
        for (const more of lives) made.push(await issue({ validBefore: expiry + more }));
        const foreign = await issue({ caFingerprint: otherCa });
        await issue();
        await store.commit({
          revoke: { credentials: [...made.toReversed(), foreign], atMs: start, reason: 'x' },
          entries: [],
        });
        expect(await store.revokedSerials(ca, expiry)).toEqual(BigUint64Array.of(1n, 2n, 3n, 4n));
        expect(await store.revokedSerials(ca, expiry + 1n)).toEqual(BigUint64Array.of(2n, 3n, 4n));
        expect(await store.revokedSerials(ca, expiry + 300n)).toEqual(BigUint64Array.of(4n));
        expect(await store.revokedSerials(ca, expiry + 301n)).toEqual(new BigUint64Array());
        expect(await store.revokedSerials(otherCa, 0n)).toEqual(BigUint64Array.of(1n));
        expect(await store.revokedSerials('SHA256:none', 0n)).toEqual(new BigUint64Array());
      });

      it('has revoked keys for ever, and key ids until their last certificate expired', async () => {
        const revokeKey = { fingerprint: 'SHA256:k', revokedMs: start, reason: 'stolen' };
        await store.commit({ revokeKey, entries: [] });
        await store.commit({ revokeKey: { ...revokeKey, reason: 'again' }, entries: [] });
        expect(await store.revokedKeys()).toEqual([revokeKey]);
        expect(await store.revokedKey('SHA256:k')).toEqual(revokeKey);
        expect(await store.revokedKey('SHA256:x')).toBeUndefined();
        const keyId = { keyId: parseKeyId('sp-1'), caFingerprint: ca, validBefore: 500n };
        for (const validBefore of [500n, 700n, 600n])
          await store.commit({ revokeKeyIds: [{ ...keyId, validBefore }], entries: [] });
        expect(await store.revokedKeyIds(700n)).toEqual([{ ...keyId, validBefore: 700n }]);
        expect(await store.revokedKeyIds(701n)).toEqual([]);
      });

      it('shows a key as revoked at once, also to whoever asked before', async () => {
        expect(await store.revokedKey('SHA256:k')).toBeUndefined();
        await store.commit({
          revokeKey: { fingerprint: 'SHA256:k', revokedMs: start, reason: 'x' },
          entries: [],
        });
        expect(await store.revokedKey('SHA256:k')).toBeDefined();
      });

      it('counts each act of revocation, and nothing else', async () => {
        const made = await issue();
        expect(await store.revocationCount()).toBe(0);
        await store.commit({ revoke: { credentials: [made], atMs: start, reason: 'x' }, entries: [] });
        await store.commit({
          revoke: { credentials: [], atMs: start, reason: 'x' },
          revokeKeyIds: [],
          entries: [],
        });
        await store.commit({
          revokeKey: { fingerprint: 'SHA256:k', revokedMs: start, reason: 'x' },
          entries: [],
        });
        expect(await store.revocationCount()).toBe(3);
        await store.commit({ publication: publication(), entries: [entry()] });
        expect(await store.revocationCount()).toBe(3);
      });

      it('comes back as it was published', async () => {
        expect(await store.publication('krl')).toBeUndefined();
        const list = publication({
          version: (1n << 62n) + 1n,
          bytes: Buffer.alloc(100_000, 7),
          revocations: 12,
        });
        await store.commit({ publication: list, entries: [] });
        await reopen();
        expect(await store.publication('krl')).toEqual(list);
      });
    });

    describe('the log', () => {
      it('gives any stretch of itself, whatever its pages are', async () => {
        await Promise.all(Array.from({ length: 60 }, () => store.commit({ entries: entries(10) })));
        for (const [from, to] of [
          [0n, 600n],
          [0n, 1n],
          [255n, 257n],
          [256n, 512n],
          [599n, 600n],
          [598n, 9999n],
        ] as const) {
          const found = await all(from, to);
          const last = to < 600n ? to : 600n;
          expect(found.map(({ index }) => index)).toEqual(
            Array.from({ length: Number(last - from) }, (_, at) => from + BigInt(at)),
          );
        }
        expect(await all(600n, 700n)).toEqual([]);
        expect(await all(5n, 5n)).toEqual([]);
      });

      it('keeps what was committed while somebody reads', async () => {
        await store.commit({ entries: entries(300) });
        const found: bigint[] = [];
        for await (const { index } of store.logEntries(0n, 1000n)) {
          if (index === 10n) await store.commit({ entries: entries(10) });
          found.push(index);
        }
        expect(found.length).toBeGreaterThanOrEqual(300);
        expect(found).toEqual(found.map((_, at) => BigInt(at)));
      });

      it('keeps openings beside the entries, never in them', async () => {
        await store.commit({ entries: [entry({ personal: { 'actor.name': 'Clear Name' } }), entry()] });
        const [named, plain] = await all();
        expect(named?.bytes.toString()).not.toContain('Clear Name');
        expect(named?.openings).toContain('Clear Name');
        expect(plain?.openings).toBeUndefined();
      });

      it.each(states)('is searched by every field, newest first, page by page, %s', async (state) => {
        const cred = (value: bigint, key: string) => ({
          cred: { ca_fp: ca, serial: String(value), key_fp: key },
        });
        await store.commit({
          entries: [
            entry({ type: 'auth.login', subject: { uid: anna }, timeMs: start }),
            entry({
              type: 'cred.issue',
              subject: { uid: anna },
              timeMs: start + 1,
              fields: cred(7n, 'SHA256:a'),
            }),
            entry({
              type: 'cred.issue',
              subject: { uid: bert },
              timeMs: start + 2,
              fields: cred(77n, 'SHA256:b'),
            }),
            entry({ type: 'auth.fail', outcome: 'denied', reasonCode: 'x.y', timeMs: start + 3 }),
            entry({
              type: 'cred.revoke',
              actor: { uid: bert, kind: 'person' },
              subject: { uid: anna },
              timeMs: start + 4,
              fields: cred(7n, 'SHA256:a'),
            }),
            entry({
              type: 'cred.void',
              outcome: 'failure',
              reasonCode: 'x.y',
              timeMs: start + 5,
              fields: { cred: { ca_fp: ca, serial_first: '8', serial_last: '8' } },
            }),
          ],
        });
        if (state === afterIndexing) await indexed();
        const find = async (
          query: Omit<Parameters<Store['searchLog']>[0], 'limit'>,
          limit = 10,
        ): Promise<number[]> =>
          (await store.searchLog({ ...query, limit })).map(({ index }) => Number(index));
        expect(await find({})).toEqual([5, 4, 3, 2, 1, 0]);
        expect(await find({ personId: anna })).toEqual([4, 1, 0]);
        expect(await find({ personId: bert })).toEqual([4, 2]);
        expect(await find({ serial: '7' })).toEqual([4, 1]);
        expect(await find({ serial: '8' })).toEqual([5]);
        expect(await find({ keyFingerprint: 'SHA256:b' })).toEqual([2]);
        expect(await find({ type: 'cred.issue' })).toEqual([2, 1]);
        expect(await find({ outcome: 'denied' })).toEqual([3]);
        expect(await find({ fromMs: start + 2, toMs: start + 4 })).toEqual([3, 2]);
        expect(await find({ personId: anna, type: 'cred.issue', outcome: 'success', serial: '7' })).toEqual([
          1,
        ]);
        expect(await find({ serial: '%' })).toEqual([]);
        expect(await find({}, 2)).toEqual([5, 4]);
        expect(await find({ before: 4n }, 2)).toEqual([3, 2]);
        expect(await find({ before: 0n })).toEqual([]);
        await store.commit({ entries: [entry({ type: 'auth.login', subject: { uid: bert } })] });
        expect(await find({ personId: bert, type: 'auth.login' })).toEqual([6]);
      });

      it.each(states)(
        'is searched by subject, account name, host and words of the reason, %s',
        async (state) => {
          const reason = (text: string) => ({ personal: { reason: text, 'src.ip': '192.0.2.7' } });
          await store.commit({
            entries: [
              entry({
                actor: { uid: anna, kind: 'person' },
                subject: { uid: bert },
                ...reason('Fix the 100% full disk'),
              }),
              entry({ subject: { uid: anna }, fields: { cred: { principals: ['Root', 'anna'] } } }),
              entry({ fields: { target: { kind: 'host', host_id: 'h-1', name: 'db.example.com' } } }),
              entry({
                fields: { target: { kind: 'principal', value: 'root' } },
                ...reason('she moved to sales_emea'),
              }),
              entry({ fields: { target: { kind: 'serial', name: 'h-1' } } }),
            ],
          });
          if (state === afterIndexing) await indexed();
          const find = async (query: Omit<Parameters<Store['searchLog']>[0], 'limit'>): Promise<number[]> =>
            (await store.searchLog({ ...query, limit: 10 })).map(({ index }) => Number(index));
          expect(await find({ subjectId: anna })).toEqual([1]);
          expect(await find({ personId: anna })).toEqual([1, 0]);
          expect(await find({ principal: 'ROOT' })).toEqual([3, 1]);
          expect(await find({ host: 'h-1' })).toEqual([2]);
          expect(await find({ host: 'db.example.com' })).toEqual([2]);
          expect(await find({ reason: 'FULL disk' })).toEqual([0]);
          expect(await find({ reason: '100%' })).toEqual([0]);
          expect(await find({ reason: 'sales_emea' })).toEqual([3]);
          expect(await find({ reason: '%' })).toEqual([0]);
          expect(await find({ reason: 'sales emea' })).toEqual([]);
          expect(await find({ reason: '192.0.2.7' })).toEqual([]);
          expect(await find({ reason: 's', principal: 'root' })).toEqual([3]);
          expect(await find({ reason: 's', before: 3n })).toEqual([0]);
        },
      );

      it.each(states)('finds the same whichever condition is the rare one, %s', async (state) => {
        const common = Array.from({ length: 5200 }, (_, at) =>
          entry({
            timeMs: start + at,
            subject: { uid: at % 2 === 0 ? anna : bert },
            ...(at % 1000 === 999 ? { personal: { reason: `ticket ${at}` } } : {}),
          }),
        );
        await store.commit({ entries: common });
        if (state === afterIndexing) await indexed();
        const find = async (query: Omit<Parameters<Store['searchLog']>[0], 'limit'>): Promise<number[]> =>
          (await store.searchLog({ ...query, limit: 3 })).map(({ index }) => Number(index));
        expect(await find({ type: 'log.heartbeat', outcome: 'success' })).toEqual([5199, 5198, 5197]);
        expect(await find({ type: 'log.heartbeat', subjectId: bert, toMs: start + 100 })).toEqual([
          99, 97, 95,
        ]);
        expect(await find({ type: 'log.heartbeat', reason: 'ticket' })).toEqual([4999, 3999, 2999]);
        expect(await find({ subjectId: bert, reason: 'TICKET 1' })).toEqual([1999]);
        expect(await find({ subjectId: anna, reason: 'ticket' })).toEqual([]);
      });

      it('is searched to its last entry, and indexed but for a bounded rest, while commits follow each other', async () => {
        // Never half a second of rest in between: what is indexed was indexed under load.
        for (let at = 0; at < 26; at += 1) {
          await store.commit({
            entries: [entry({ type: 'auth.login', subject: { uid: bert } }), ...entries(499)],
          });
        }
        // On PostgreSQL the last step may still be on its way.
        while (place.count('SELECT count(*) FROM log_search') < 2500) await delay(5);
        const found = await store.searchLog({ subjectId: bert, limit: 100 });
        expect(found.map(({ index }) => Number(index) / 500)).toEqual(
          Array.from({ length: 26 }, (_, at) => 25 - at),
        );
        const older = await store.searchLog({ subjectId: bert, before: 1000n, limit: 1 });
        expect(older.map(({ index }) => index)).toEqual([500n]);
      });

      it('is searched at once when far more than a bounded rest was never indexed', async () => {
        await store.commit({
          entries: [entry({ type: 'auth.login', subject: { uid: bert } }), ...entries(10_500)],
        });
        expect(place.count('SELECT count(*) FROM log_search')).toBe(0);
        expect(await store.searchLog({ subjectId: bert, limit: 5 })).toHaveLength(1);
        expect(place.count('SELECT count(*) FROM log_search')).toBeGreaterThan(500);
      });

      it('finds everything after more commits than one pass takes in', async () => {
        await Promise.all(Array.from({ length: 45 }, () => store.commit({ entries: entries(100) })));
        await store.commit({ entries: [entry({ type: 'auth.login', subject: { uid: bert } })] });
        expect((await store.searchLog({ personId: bert, limit: 5 })).map(({ index }) => index)).toEqual([
          4500n,
        ]);
        expect(await store.searchLog({ type: 'log.heartbeat', limit: 5000 })).toHaveLength(4500);
      });

      it.each([
        `UPDATE log_entry SET entry = ${bytes('00')}`,
        'UPDATE log_entry SET idx = idx + 10',
        'DELETE FROM log_entry',
        'DELETE FROM log_entry WHERE idx = 1',
        replaceEntry,
      ])('is kept by the database itself against %s', async (statement) => {
        await store.commit({ entries: entries(3) });
        const before = await all();
        expect(() => place.sql(statement)).toThrow(/append-only/);
        expect(await all()).toEqual(before);
      });
    });

    describe('who could use what', () => {
      it('is answered by account name and moment', async () => {
        const seconds = (offset: number): bigint => BigInt(start / 1000 + offset);
        await issue({ principals: ['anna', 'Root'], validAfter: seconds(-60), validBefore: seconds(3600) });
        await issue({
          personId: bert,
          login: 'bert',
          principals: ['root'],
          issuedMs: start + 600_000,
          validAfter: seconds(540),
          validBefore: seconds(900),
        });
        await issue({
          personId: bert,
          login: 'bert',
          principals: ['bert'],
          validAfter: seconds(-60),
          validBefore: seconds(3600),
        });
        await store.commit({
          revoke: {
            credentials: [{ caFingerprint: ca, serial: serial(1) }],
            atMs: start + 700_000,
            reason: 'left',
          },
          entries: [entry()],
        });
        const usable = async (atMs: number, name = 'root'): Promise<bigint[]> =>
          (
            await store.credentials({
              principal: name,
              usableAtMs: atMs,
              live: false,
              limit: 10,
              nowMs: start,
            })
          ).map((found) => found.serial);
        expect(await usable(start - 1)).toEqual([]);
        expect(await usable(start)).toEqual([1n]);
        expect(await usable(start + 599_999)).toEqual([1n]);
        expect(await usable(start + 600_000)).toEqual([2n, 1n]);
        expect(await usable(start + 700_000)).toEqual([2n]);
        expect(await usable(start + 899_999)).toEqual([2n]);
        expect(await usable(start + 900_000)).toEqual([]);
        expect(await usable(start, 'ANNA')).toEqual([1n]);
        expect(await usable(start, 'ann')).toEqual([]);
      });
    });

    describe('the tiles of the tree', () => {
      /** Hashes of a tile by RFC 6962 alone, from the bytes of the entries. */
      const expected = async (level: number, index: bigint, width: number): Promise<Buffer> => {
        const span = 256n ** BigInt(level);
        const hashes: Buffer[] = [];
        for (let at = index * 256n; at < index * 256n + BigInt(width); at += 1n)
          hashes.push(merkleTreeHash((await all(at * span, (at + 1n) * span)).map(({ bytes }) => bytes)));
        return Buffer.concat(hashes);
      };

      it('hold every hash that the entries give, however the entries came', async () => {
        for (const count of [255, 1, 1, 511, 300]) await store.commit({ entries: entries(count) });
        expect(await store.readTile(0, 0n, 256)).toEqual(await expected(0, 0n, 256));
        expect(await store.readTile(0, 4n, 44)).toEqual(await expected(0, 4n, 44));
        expect(await store.readTile(1, 0n, 4)).toEqual(await expected(1, 0n, 4));
        await reopen();
        await store.commit({ entries: entries(212) });
        expect(await store.readTile(1, 0n, 5)).toEqual(await expected(1, 0n, 5));
      });

      it('give what there is where more is asked for', async () => {
        await store.commit({ entries: entries(258) });
        expect(await store.readTile(0, 1n, 256)).toEqual(await expected(0, 1n, 2));
        expect(await store.readTile(1, 0n, 256)).toEqual(await expected(1, 0n, 1));
        expect(await store.readTile(2, 0n, 1)).toEqual(Buffer.alloc(0));
      });

      it('are made from the leaves where they are missing', async () => {
        await store.commit({ entries: entries(700) });
        await store.close();
        place.sql('DELETE FROM log_tile_hash');
        store = await place.open();
        expect(await store.readTile(1, 0n, 2)).toEqual(await expected(1, 0n, 2));
        await store.commit({ entries: entries(68) });
        expect(await store.readTile(1, 0n, 3)).toEqual(await expected(1, 0n, 3));
      });

      it('are not made from leaves that do not give the signed root', async () => {
        await store.commit({ entries: entries(300) });
        await store.close();
        place.sql(unlockLog);
        place.sql(
          'DELETE FROM log_tile_hash; UPDATE log_entry SET leaf_hash = (SELECT leaf_hash FROM log_entry WHERE idx = 3) WHERE idx = 9',
        );
        expect(await codeOf(place.open())).toBe('store.damaged');
      });
    });

    describe('an erasure', () => {
      it('takes openings out of the side table and the search, and leaves the log as it was', async () => {
        await store.commit({
          entries: [
            entry({ personal: { reason: 'a private matter', 'src.ip': '192.0.2.7' } }),
            entry({ personal: { reason: 'another one' } }),
            entry({ personal: { reason: 'kept' } }),
          ],
        });
        expect(await store.searchLog({ reason: 'private', limit: 5 })).toHaveLength(1);
        await indexed();
        expect(place.count('SELECT count(*) FROM log_reason')).toBe(3);
        const before = await all();
        await store.commit({
          erase: {
            openings: [
              { index: 0n, drop: ['reason', 'src.ua'] },
              { index: 1n, drop: ['reason'] },
            ],
          },
          entries: [],
        });
        await store.scrub('quick');
        await store.scrub('thorough');
        const after = await all();
        expect(after.slice(1).map(({ openings }) => openings)).toEqual([undefined, before[2]?.openings]);
        const left = JSON.parse(after[0]?.openings ?? '') as unknown;
        const { 'src.ip': address } = JSON.parse(before[0]?.openings ?? '') as Record<string, unknown>;
        expect(left).toEqual({ 'src.ip': address });
        expect(after.map(({ bytes }) => bytes)).toEqual(before.map(({ bytes }) => bytes));
        await expectWholeLog();
        expect(await store.searchLog({ reason: 'private', limit: 5 })).toEqual([]);
        expect(await store.searchLog({ reason: 'another', limit: 5 })).toEqual([]);
        expect(await store.searchLog({ reason: 'kept', limit: 5 })).toHaveLength(1);
        expect(place.count('SELECT count(*) FROM log_reason')).toBe(1);
      });

      it('empties the rows that say the same, of certificates and of a person', async () => {
        const mine = await issue();
        const other = await issue({ personId: bert, login: 'bert' });
        const both = [mine, other];
        await store.commit({
          revoke: { credentials: both, atMs: start, reason: 'unkind' },
          entries: [entry()],
        });
        await store.commit({ newSession: session(), entries: [entry()] });
        const rows = async () =>
          (await store.credentials({ live: false, limit: 5, nowMs: start })).map(
            ({ login, revokedReason }) => [login, revokedReason],
          );
        await store.commit({ erase: { openings: [], logins: [other], revokedReasons: [mine] }, entries: [] });
        expect(await rows()).toEqual([
          ['erased', 'unkind'],
          ['anna', 'erased'],
        ]);
        expect(await store.sessionsOf(anna, start)).toBe(1);
        await store.commit({ erase: { openings: [], person: anna }, entries: [] });
        expect(await rows()).toEqual([
          ['erased', 'unkind'],
          ['erased', 'erased'],
        ]);
        expect(await store.person(anna)).toMatchObject({ login: 'erased' });
        expect(await store.personsByLogin('anna')).toEqual([]);
        expect(await store.sessionsOf(anna, start)).toBe(0);
      });
    });

    describe('a sink', () => {
      it('starts at the first entry and keeps its place', async () => {
        expect((await store.sinkPositions()).size).toBe(0);
        await store.commit({ moveSink: { sink: 'siem', from: 0n, next: 7n }, entries: [] });
        await store.commit({ moveSink: { sink: 'siem', from: 7n, next: 9n }, entries: [] });
        await store.commit({ moveSink: { sink: 'file', from: 0n, next: 2n }, entries: [] });
        await reopen();
        expect(await store.sinkPositions()).toEqual(
          new Map([
            ['siem', 9n],
            ['file', 2n],
          ]),
        );
      });

      it('is not moved from where it does not stand', async () => {
        await store.commit({ moveSink: { sink: 'siem', from: 0n, next: 7n }, entries: [] });
        const again = store.commit({ moveSink: { sink: 'siem', from: 0n, next: 5n }, entries: [entry()] });
        expect(await codeOf(again)).toBe('store.conflict');
        expect((await store.sinkPositions()).get('siem')).toBe(7n);
        expect((await store.logHead()).size).toBe(0n);
      });
    });

    describe('a cosigned checkpoint', () => {
      const covering = (size: bigint, name: string): Change => ({
        cosigned: { size, note: `a.log\n${name}` },
        entries: [],
      });

      it('is none at first, and then the one that covers most', async () => {
        expect(await store.cosignedCheckpoint()).toBeUndefined();
        await store.commit(covering(3n, 'three'));
        await store.commit(covering(9n, 'nine'));
        await store.commit(covering(8n, 'eight'));
        expect(await store.cosignedCheckpoint()).toEqual({ size: 9n, note: 'a.log\nnine' });
        await reopen();
        expect(await store.cosignedCheckpoint()).toEqual({ size: 9n, note: 'a.log\nnine' });
        expect((await store.logHead()).size).toBe(0n);
      });

      it('of the same size takes its place: with more lines', async () => {
        await store.commit(covering(3n, 'one line'));
        await store.commit(covering(3n, 'two lines'));
        expect(await store.cosignedCheckpoint()).toEqual({ size: 3n, note: 'a.log\ntwo lines' });
      });

      it('of a log that was begun anew takes its place, however short it is', async () => {
        await store.commit(covering(9n, 'nine'));
        await store.commit({ cosigned: { size: 2n, note: 'new.log\ntwo' }, entries: [] });
        expect(await store.cosignedCheckpoint()).toEqual({ size: 2n, note: 'new.log\ntwo' });
      });

      it('is not there when its change was refused', async () => {
        const moveSink = { sink: 'siem', from: 5n, next: 7n };
        const change = store.commit({ ...covering(3n, 'three'), moveSink });
        expect(await codeOf(change)).toBe('store.conflict');
        expect(await store.cosignedCheckpoint()).toBeUndefined();
      });
    });

    describe('opening', () => {
      it('finds everything where it was', async () => {
        await store.commit({ entries: entries(5) });
        const { checkpoint } = await store.logHead();
        await reopen();
        expect((await store.logHead()).checkpoint).toBe(checkpoint);
        await expectWholeLog();
      });

      it('is refused for a newer schema, and leaves the folder free', async () => {
        await store.close();
        place.sql(newerSchema);
        expect(await codeOf(place.open())).toBe('store.newer_schema');
        expect(await codeOf(place.open())).toBe('store.newer_schema');
      });

      it('is refused for the log of another broker', async () => {
        await store.close();
        expect(await codeOf(place.open({ origin: 'other.test/accounting/1' }))).toBe('store.foreign_log');
      });

      it('is refused with another key than the one that signed the checkpoint', async () => {
        await store.close();
        expect(await codeOf(place.open({ signer: newLogSigner() }))).toBe('store.damaged');
      });

      it.each([
        [
          'a root that is not the tree’s',
          `UPDATE log_head SET root = ${bytes('00'.repeat(32))}`,
          'accounting.bad_head',
        ],
        [
          'a frontier cut short',
          'UPDATE log_head SET frontier = substr(frontier, 1, 32)',
          'accounting.bad_head',
        ],
        ['a frontier of odd length', `UPDATE log_head SET frontier = ${bytes('00')}`, 'accounting.bad_head'],
        ['a head without its last entry', 'UPDATE log_head SET size = size - 1', 'store.damaged'],
        ['a head with one entry more', 'UPDATE log_head SET size = size + 1', 'store.damaged'],
        ['the last entry gone', 'DELETE FROM log_entry WHERE idx = 4', 'store.damaged'],
        ['every entry gone', 'DELETE FROM log_entry', 'store.damaged'],
        ['no head', 'DELETE FROM log_head', 'store.damaged'],
        ['another checkpoint', "UPDATE log_head SET checkpoint = 'x'", 'store.damaged'],
      ])(
        'is refused with %s, changes nothing, and leaves the folder free',
        async (_what, tampering, code) => {
          await store.commit({ entries: entries(5) });
          await store.close();
          place.sql(unlockLog);
          place.sql(tampering);
          expect(await codeOf(place.open())).toBe(code);
          expect(await codeOf(place.open())).toBe(code);
        },
      );
    });

    describe('under load and at the end', () => {
      it('refuses what would wait too long, and does all the rest', async () => {
        const answers = await Promise.all(
          Array.from({ length: 6000 }, () => codeOf(store.commit({ entries: [entry()] }))),
        );
        const done = answers.filter((answer) => answer === 'done').length;
        expect(new Set(answers)).toEqual(new Set(['done', 'store.busy']));
        expect((await store.logHead()).size).toBe(BigInt(done));
        expect(await codeOf(store.commit({ entries: [entry()] }))).toBe('done');
      });

      it('finishes what was begun before it closes, and takes nothing after that', async () => {
        const begun = Array.from({ length: 400 }, () => codeOf(store.commit({ entries: [entry()] })));
        const closing = store.close();
        const late = codeOf(store.commit({ entries: [entry()] }));
        await closing;
        expect(new Set(await Promise.all(begun))).toEqual(new Set(['done']));
        expect(await late).toBe('store.unavailable');
        expect(await codeOf(store.reserveSerials(ca, 1))).toBe('store.unavailable');
        store = await place.open();
        expect((await store.logHead()).size).toBe(400n);
        await expectWholeLog();
      });

      it('may be closed twice', async () => {
        await store.close();
        expect(await codeOf(store.close())).toBe('done');
      });
    });
  },
);

describe('the folder of the SQLite store', () => {
  const [sqlite] = implementations;

  it('is refused to a second store in this process', async () => {
    const place = sqlite?.newPlace();
    const store = await place?.open();
    expect(await codeOf(place?.open() ?? Promise.resolve())).toBe('store.in_use');
    expect(await codeOf(store?.commit({ entries: [entry()] }) ?? Promise.resolve())).toBe('done');
    await store?.close();
    place?.remove();
  });

  it('is refused to a second process', async () => {
    const place = sqlite?.newPlace();
    const store = await place?.open();
    const script = `
      import { openDatabases } from ${JSON.stringify(join(import.meta.dirname, '../../src/store/sqlite/database.ts'))};
      try { openDatabases(process.argv[1], 'open'); console.log('opened'); } catch (error) { console.log(error.code); }`;
    const open = (): string =>
      spawnSync(process.execPath, ['--input-type=module', '-e', script, place?.location ?? ''], {
        encoding: 'utf8',
      }).stdout.trim();
    expect(open()).toBe('store.in_use');
    await store?.close();
    expect(open()).toBe('opened');
    place?.remove();
  });

  it.each([
    ['is not there', () => undefined],
    ['is empty', (file: string) => writeFileSync(file, '')],
  ])('is not filled anew when the database %s: that would forget what was issued and revoked', (_, make) => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-missing-'));
    try {
      make(join(folder, 'sallyport.db'));
      const before = readdirSync(folder);
      expect(() => openDatabases(folder, 'open')).toThrow(expect.objectContaining({ code: 'store.missing' }));
      expect(readdirSync(folder).filter((name) => !name.startsWith('sallyport.lock'))).toEqual(before);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
