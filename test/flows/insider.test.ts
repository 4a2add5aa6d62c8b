import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLookQuota } from '../../src/broker/index.ts';
import { addPerson, removePerson } from '../../src/identity/index.ts';
import { systemRandom } from '../../src/kernel/index.ts';
import { newPublicKey } from '../doors/http/support.ts';
import { alice, bob, boss, startTestBroker, type TestBroker } from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';
import { clientWith } from '../support/serve.ts';

const deps = { random: systemRandom, cost: { N: 2 ** 14, r: 8, p: 1 } };
let broker: TestBroker;
beforeAll(async () => {
  broker = await startTestBroker({ people: [boss, alice, bob] });
});
afterAll(() => broker.stop());

describe('somebody without a role', () => {
  it('can look and try only so often, and the log holds each look and the first refusal', async () => {
    const clock = { nowMs: () => broker.running.rooms.clock.nowMs() };
    const lookQuota = createLookQuota({ perHour: 3, clock });
    const usual = broker.running.rooms.lookQuota;
    Object.assign(broker.running.rooms, { lookQuota });
    const client = await broker.loggedIn(alice);
    const { size } = await broker.running.rooms.store.logHead();
    const asked = [
      await codeOf(client.searchLog({})),
      await codeOf(client.searchLog({ person: 'bob' })),
      await codeOf(client.issued({})),
    ];
    for (let nth = 0; nth < 5; nth += 1) {
      asked.push(await codeOf(client.searchLog({})));
      asked.push(await codeOf(client.issued({})));
      asked.push(await codeOf(client.explain({ person: 'bob' })));
    }
    expect(asked.slice(0, 3)).toEqual(['accepted', 'policy.not_permitted', 'http.not_permitted']);
    expect(new Set(asked.slice(3))).toEqual(new Set(['policy.too_many_looks']));
    // Three, and the first refusal of the stretch.
    expect((await broker.running.rooms.store.logHead()).size).toBe(size + 4n);
    Object.assign(broker.running.rooms, { lookQuota: usual });
    // Certificates are counted apart.
    expect(await codeOf(client.sign(newPublicKey(), {}))).toBe('accepted');
  });

  it('who holds a stolen token fills no log with it', async () => {
    const owner = await broker.loggedIn(bob);
    const thief = await broker.loggedIn(alice);
    const clock = broker.running.rooms.clock;
    const lookQuota = createLookQuota({ perHour: 2, clock });
    const usual = broker.running.rooms.lookQuota;
    Object.assign(broker.running.rooms, { lookQuota });
    const stolen = clientWith(broker, { token: owner.token, proofKey: thief.proofKey });
    const { size } = await broker.running.rooms.store.logHead();
    for (let nth = 0; nth < 8; nth += 1)
      expect(await codeOf(stolen.session())).toBe('identity.session_wrong_key');
    expect((await broker.running.rooms.store.logHead()).size).toBe(size + 3n);
    // The owner is not the one who pays for it.
    expect(await codeOf(owner.searchLog({}))).toBe('accepted');
    Object.assign(broker.running.rooms, { lookQuota: usual });
  });
});

describe('an admin', () => {
  it('who names somebody whose name has passed on is asked whom he means', async () => {
    const carl = { login: 'carl', groups: ['users'], password: 'canary-carl-1Xv8Oq' };
    const first = await addPerson(broker.peopleFile, carl, deps);
    await (await broker.loggedIn(carl)).session();
    const admin = await broker.loggedIn(boss);
    const lock = { person: 'carl', reason: 'left' };
    await removePerson(broker.peopleFile, 'carl');
    const second = await addPerson(broker.peopleFile, carl, deps);
    const told = await admin.setLock('lock', lock).catch((error: unknown) => error);
    expect(told).toMatchObject({ code: 'revocation.ambiguous_person' });
    expect(String(told)).toContain(`builtin:${first.id}`);
    expect(String(told)).toContain(`builtin:${second.id}`);
    await admin.setLock('lock', { ...lock, person: `builtin:${second.id}` });
    expect(await codeOf(broker.loggedIn(carl))).toBe('identity.locked_out');
  });

  it('is told by explain what an issue would say of somebody locked out', async () => {
    const admin = await broker.loggedIn(boss);
    const outcome = async (): Promise<unknown> =>
      ((await admin.explain({ person: 'bob' })).raw as { outcome: string }).outcome;
    expect(await outcome()).toBe('granted');
    await admin.setLock('lock', { person: 'bob', reason: 'x' });
    expect(await outcome()).toBe('refused');
    await admin.setLock('unlock', { person: 'bob', reason: 'x' });
    expect(await outcome()).toBe('granted');
  });
});

describe('a session', () => {
  it.each(['locked', 'outside_logon_hours'] as const)(
    'outlives what passes by itself and what a stranger can cause: %s',
    async (reason) => {
      const client = await broker.loggedIn(alice);
      const { identity } = broker.running.rooms;
      const paused = { outcome: 'refused', reason, passwordProved: false };
      Object.assign(broker.running.rooms, {
        identity: { ...identity, recheck: () => Promise.resolve(paused) },
      });
      expect(await codeOf(client.session())).toBe('identity.paused_by_directory');
      expect(await codeOf(client.sign(newPublicKey(), {}))).toBe('identity.paused_by_directory');
      Object.assign(broker.running.rooms, { identity });
      expect(await codeOf(client.sign(newPublicKey(), {}))).toBe('accepted');
    },
  );
});
