import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { logIn, type Change, type Rooms } from '../../src/broker/index.ts';
import { createLoginThrottle, type LoginStanding } from '../../src/identity/index.ts';
import { CodedError } from '../../src/kernel/index.ts';
import { alice, startTestBroker, type TestBroker } from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await startTestBroker({ people: [alice] });
});
afterAll(() => broker.remove());

/** The broker's rooms with a throttle of their own, and what they commit. The proof of possession has tests of its own. */
function watchedRooms(over: Partial<Rooms> = {}): { rooms: Rooms; changes: Change[] } {
  const { rooms } = broker.running;
  const changes: Change[] = [];
  const commit = rooms.store.commit.bind(rooms.store);
  const spy = vi.spyOn(rooms.store, 'commit').mockImplementation((change) => {
    changes.push(change);
    return commit(change);
  });
  onTestFinished(() => spy.mockRestore());
  const proofs = { verify: () => Promise.resolve({ keyThumbprint: 'test' }) };
  const throttle = createLoginThrottle({ clock: rooms.clock });
  return { rooms: { ...rooms, proofs, throttle, ...over }, changes };
}

const attempt = (rooms: Rooms, login: string, password: string, sourceAddress: string): Promise<string> =>
  codeOf(
    logIn(
      rooms,
      { login, password, proof: { proof: undefined, method: 'POST', path: '/v1/login' } },
      { requestId: 'r-1', sourceAddress },
    ),
  );

const entriesOf = (changes: readonly Change[]) =>
  changes.flatMap(({ entries }) =>
    entries.map(({ reasonCode, fields }) => [reasonCode, fields?.['throttle']] as const),
  );

describe('a guesser', () => {
  it('gets one entry in the log for each delay, not for each try', async () => {
    let nowMs = Date.now();
    const throttle = createLoginThrottle({ clock: { nowMs: () => nowMs } });
    const { rooms, changes } = watchedRooms({ throttle });
    const tries = async (count: number): Promise<readonly string[]> => {
      const codes: string[] = [];
      for (let each = 0; each < count; each += 1)
        codes.push(await attempt(rooms, 'alice', 'wrong password', '192.0.2.1'));
      return codes;
    };
    expect(await tries(8)).toEqual([
      ...Array<string>(3).fill('identity.login_refused'),
      ...Array<string>(5).fill('identity.throttled'),
    ]);
    nowMs += 5000;
    expect(await tries(3)).toEqual(['identity.login_refused', 'identity.throttled', 'identity.throttled']);
    expect(entriesOf(changes)).toEqual([
      ...Array.from({ length: 3 }, () => ['identity.wrong_password', undefined]),
      ['identity.throttled', { refused_before: 0 }],
      ['identity.wrong_password', undefined],
      ['identity.throttled', { refused_before: 4 }],
    ]);
  });
});

describe('a login for which there is no place', () => {
  it('counts for the address and not for the person', async () => {
    const { identity } = broker.running.rooms;
    const standings: (LoginStanding | undefined)[] = [];
    const full: Rooms['identity'] = {
      ...identity,
      authenticate({ standing }) {
        standings.push(standing);
        return Promise.reject(new CodedError('identity.busy', 'Too many.'));
      },
    };
    const { rooms, changes } = watchedRooms({ identity: full });
    for (let each = 0; each < 20; each += 1)
      expect(await attempt(rooms, `name${each % 2}`, alice.password, '192.0.2.1')).toBe('identity.busy');
    expect(standings).toHaveLength(20);
    for (const standing of standings) expect(standing).toEqual({ trusted: false, network: '192.0.2.0/24' });
    const rows = changes.flatMap(({ throttle = [] }) => throttle);
    expect(rows.map(({ key, failures }) => [key.split(':')[0], failures])).toEqual(
      Array.from({ length: 20 }, (_, index) => ['address', index + 1]),
    );
    const served = { ...rooms, identity };
    expect(await attempt(served, 'alice', alice.password, '192.0.2.1')).toBe('identity.throttled');
    expect(await attempt(served, 'alice', alice.password, '192.0.2.2')).toBe('accepted');
  });
});
