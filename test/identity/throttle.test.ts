import { describe, expect, it } from 'vitest';
import { createLoginThrottle } from '../../src/identity/index.ts';
import type { LoginThrottle, ThrottleRow } from '../../src/identity/index.ts';
import { standingClock } from './fixtures.ts';
import { fail, ticketOf } from './throttled.ts';

const minute = 60_000;

describe('a guesser at one address', () => {
  it('waits ever longer, up to 15 minutes', () => {
    const clock = standingClock();
    const throttle = createLoginThrottle({ clock });
    const waits = Array.from({ length: 12 }, () => {
      expect(fail(throttle, 'alice', '192.0.2.1')).toBe(0);
      const seconds = fail(throttle, 'alice', '192.0.2.1');
      clock.advance(seconds * 1000);
      return seconds;
    });
    // The first two attempts are followed by another failure at once.
    expect(waits).toEqual([0, 5, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900]);
  });

  it('is let in at the end of the delay and not before', () => {
    const clock = standingClock();
    const throttle = createLoginThrottle({ clock });
    for (let attempt = 0; attempt < 3; attempt += 1) fail(throttle, 'alice', '192.0.2.1');
    clock.advance(4999);
    expect(throttle.admit({ login: 'alice', address: '192.0.2.1' }).outcome).toBe('throttled');
    clock.advance(1);
    expect(throttle.admit({ login: 'alice', address: '192.0.2.1' }).outcome).toBe('admitted');
  });

  it('gets no more by asking a hundred times at once', () => {
    const throttle = createLoginThrottle({ clock: standingClock() });
    const admissions = Array.from({ length: 100 }, () =>
      throttle.admit({ login: 'alice', address: '192.0.2.1' }),
    );
    expect(admissions.filter((one) => one.outcome === 'admitted')).toHaveLength(3);
  });

  it('gets no more by asking at once after the first failures', () => {
    const clock = standingClock();
    const throttle = createLoginThrottle({ clock });
    for (let attempt = 0; attempt < 3; attempt += 1) fail(throttle, 'alice', '192.0.2.1');
    clock.advance(5000);
    const admissions = Array.from({ length: 100 }, () =>
      throttle.admit({ login: 'alice', address: '192.0.2.1' }),
    );
    expect(admissions.filter((one) => one.outcome === 'admitted')).toHaveLength(1);
  });

  it.each([
    'Alice',
    ' alice ',
    'ALICE',
    'alice@corp.example',
    'CORP\\alice',
    'Corp\\Alice ',
    'ａｌｉｃｅ',
    'alicé',
    'ali\u00ADce',
    'ali\u200Dce',
  ])('gets no second allowance by writing the name as %j', (variant) => {
    const throttle = createLoginThrottle({ clock: standingClock() });
    for (let attempt = 0; attempt < 3; attempt += 1) fail(throttle, 'alice', '192.0.2.1');
    expect(fail(throttle, variant, '192.0.2.1')).toBe(5);
  });

  it('gets no second allowance by naming a directory', () => {
    const throttle = createLoginThrottle({ clock: standingClock() });
    for (let attempt = 0; attempt < 3; attempt += 1) fail(throttle, 'alice', '192.0.2.1');
    expect(throttle.admit({ login: 'alice', directory: 'corp', address: '192.0.2.1' }).outcome).toBe(
      'throttled',
    );
  });

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff'],
    ['2001:DB8:1:2::1', '2001:db8:1:2:3::'],
    ['192.0.2.1', '::ffff:192.0.2.1'],
    ['192.0.2.1', '::ffff:c000:201'],
    ['fe80::1%eth0', 'fe80::2%eth1'],
    ['::1', '::2'],
  ])('gets no second allowance from %s by coming from %s', (first, second) => {
    const throttle = createLoginThrottle({ clock: standingClock() });
    for (let attempt = 0; attempt < 3; attempt += 1) fail(throttle, 'alice', first);
    expect(fail(throttle, 'alice', second)).toBe(5);
  });

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:3::1'],
    ['192.0.2.1', '192.0.2.2'],
    ['192.0.2.1', '::ffff:192.0.2.2'],
    ['::1', '127.0.0.1'],
  ])('is not confused with others: %s is not %s', (first, second) => {
    const throttle = createLoginThrottle({ clock: standingClock() });
    for (let attempt = 0; attempt < 3; attempt += 1) fail(throttle, 'alice', first);
    expect(fail(throttle, 'alice', second)).toBe(0);
  });

  it('is slowed by trying many names', () => {
    const clock = standingClock();
    const throttle = createLoginThrottle({ clock });
    for (let name = 0; name < 20; name += 1) expect(fail(throttle, `name${name}`, '192.0.2.1')).toBe(0);
    const waits = Array.from({ length: 9 }, (_, index) => {
      const seconds = fail(throttle, `more${index}`, '192.0.2.1');
      clock.advance(seconds * 1000);
      expect(fail(throttle, `more${index}`, '192.0.2.1')).toBe(0);
      return seconds;
    });
    expect(waits).toEqual([5, 10, 20, 40, 80, 160, 300, 300, 300]);
  });

  it('gains nothing from an account of their own', () => {
    const throttle = createLoginThrottle({ clock: standingClock() });
    for (let name = 0; name < 20; name += 1) {
      fail(throttle, `name${name}`, '192.0.2.1');
      ticketOf(throttle, 'mallory', '192.0.2.1').succeeded();
    }
    expect(fail(throttle, 'name20', '192.0.2.1')).toBe(5);
  });
});

describe('a person whom others attack', () => {
  const attack = (throttle: LoginThrottle, from: number, attempts: number): void => {
    for (let bot = from; bot < from + attempts; bot += 1)
      fail(throttle, 'alice', `10.0.${bot >> 8}.${bot & 255}`);
  };

  it('waits at most 30 s once, however long the attack goes on', () => {
    const clock = standingClock();
    const throttle = createLoginThrottle({ clock });
    let bots = 0;
    for (let round = 0; round < 40; round += 1) {
      attack(throttle, bots, 20);
      bots += 20;
      clock.advance(31_000);
    }
    attack(throttle, bots, 1);
    const wait = fail(throttle, 'alice', '192.0.2.1');
    expect(wait).toBeGreaterThan(0);
    expect(wait).toBeLessThanOrEqual(30);
    // The attackers go on; the promise stands.
    for (let elapsed = 0; elapsed < wait; elapsed += 1) {
      clock.advance(1000);
      attack(throttle, (bots += 3), 3);
    }
    ticketOf(throttle, 'alice', '192.0.2.1').succeeded();
  });

  it('is not held up at all where they logged in before', () => {
    const clock = standingClock();
    const throttle = createLoginThrottle({ clock });
    ticketOf(throttle, 'alice', '192.0.2.1').succeeded();
    clock.advance(29 * 24 * 60 * minute);
    attack(throttle, 0, 12);
    expect(fail(throttle, 'alice', '192.0.2.9')).toBeGreaterThan(0);
    expect(fail(throttle, 'alice', '192.0.2.1')).toBe(0);
  });

  it('is not held up by a guesser of many names behind the same address, where they logged in before', () => {
    const throttle = createLoginThrottle({ clock: standingClock() });
    ticketOf(throttle, 'alice', '192.0.2.1').succeeded();
    for (let name = 0; name < 30; name += 1) fail(throttle, `name${name}`, '192.0.2.1');
    expect(fail(throttle, 'carol', '192.0.2.1')).toBeGreaterThan(0);
    expect(fail(throttle, 'alice', '192.0.2.1')).toBe(0);
  });

  it('does slow the attackers', () => {
    const throttle = createLoginThrottle({ clock: standingClock() });
    attack(throttle, 0, 10);
    expect(fail(throttle, 'alice', '10.9.9.9')).toBe(1);
  });

  it('does not slow other people', () => {
    const throttle = createLoginThrottle({ clock: standingClock() });
    attack(throttle, 0, 100);
    expect(fail(throttle, 'bob', '192.0.2.1')).toBe(0);
  });
});

describe('a success', () => {
  it('clears what the person mistyped', () => {
    const throttle = createLoginThrottle({ clock: standingClock() });
    for (let day = 0; day < 10; day += 1) {
      fail(throttle, 'alice', '192.0.2.1');
      fail(throttle, 'alice', '192.0.2.1');
      ticketOf(throttle, 'alice', '192.0.2.1').succeeded();
    }
    expect(fail(throttle, 'alice', '192.0.2.7')).toBe(0);
  });
  it('does not forgive what others did elsewhere', () => {
    const throttle = createLoginThrottle({ clock: standingClock() });
    for (let attempt = 0; attempt < 3; attempt += 1) fail(throttle, 'alice', '198.51.100.1');
    ticketOf(throttle, 'alice', '192.0.2.1').succeeded();
    expect(fail(throttle, 'alice', '198.51.100.1')).toBe(5);
  });
  it('in flight does not count twice: a ticket is settled once', () => {
    const throttle = createLoginThrottle({ clock: standingClock() });
    const ticket = ticketOf(throttle, 'alice', '192.0.2.1');
    expect(ticket.failed()).toHaveLength(3);
    expect(ticket.succeeded()).toEqual([]);
    expect(ticket.failed()).toEqual([]);
    ticket.withdrawn();
    expect(fail(throttle, 'alice', '192.0.2.1')).toBe(0);
    expect(fail(throttle, 'alice', '192.0.2.1')).toBe(0);
    expect(fail(throttle, 'alice', '192.0.2.1')).toBe(5);
  });
});

describe('time', () => {
  it('forgets failures after a quiet hour', () => {
    const clock = standingClock();
    const throttle = createLoginThrottle({ clock });
    for (let attempt = 0; attempt < 3; attempt += 1) fail(throttle, 'alice', '192.0.2.1');
    clock.advance(60 * minute);
    expect([1, 2, 3].map(() => fail(throttle, 'alice', '192.0.2.1'))).toEqual([0, 0, 0]);
    expect(fail(throttle, 'alice', '192.0.2.1')).toBe(5);
  });
  it('does not shut anybody out for long when the clock is set back', () => {
    const clock = standingClock();
    const throttle = createLoginThrottle({ clock });
    for (let attempt = 0; attempt < 3; attempt += 1) fail(throttle, 'alice', '192.0.2.1');
    clock.advance(-7 * 24 * 60 * minute);
    expect(fail(throttle, 'alice', '192.0.2.1')).toBe(5);
    clock.advance(5000);
    expect(fail(throttle, 'alice', '192.0.2.1')).toBe(0);
  });
  it('takes an outage of the directory for no failure', () => {
    const throttle = createLoginThrottle({ clock: standingClock() });
    for (let attempt = 0; attempt < 50; attempt += 1) ticketOf(throttle, 'alice', '192.0.2.1').withdrawn();
    expect(fail(throttle, 'alice', '192.0.2.1')).toBe(0);
  });
});

describe('stored rows', () => {
  it('give the same verdicts after a restart', () => {
    const clock = standingClock();
    const stored = new Map<string, ThrottleRow>();
    let throttle = createLoginThrottle({ clock });
    const alwaysUp = createLoginThrottle({ clock });
    for (let step = 0; step < 300; step += 1) {
      const login = `name${step % 7}`;
      const address = `192.0.2.${(step % 7) % 3}`;
      expect(fail(throttle, login, address, stored)).toBe(fail(alwaysUp, login, address));
      clock.advance((step % 11) * 1000);
      throttle = createLoginThrottle({ clock, rows: stored.values() });
    }
    expect(stored.size).toBe(7 + 3 + 7);
  });
  it('keep an attack on one person in mind; only a promise to somebody waiting is lost', () => {
    const clock = standingClock();
    const stored = new Map<string, ThrottleRow>();
    const before = createLoginThrottle({ clock });
    for (let bot = 0; bot < 10; bot += 1) fail(before, 'alice', `10.0.0.${bot}`, stored);
    const after = createLoginThrottle({ clock, rows: stored.values() });
    expect(fail(after, 'alice', '192.0.2.1')).toBe(fail(before, 'alice', '192.0.2.1'));
  });
  it('keep the trust of an address too', () => {
    const clock = standingClock();
    const rows = ticketOf(createLoginThrottle({ clock }), 'alice', '192.0.2.1').succeeded();
    const throttle = createLoginThrottle({ clock, rows });
    for (let bot = 0; bot < 12; bot += 1) fail(throttle, 'alice', `10.0.0.${bot}`);
    expect(fail(throttle, 'alice', '192.0.2.1')).toBe(0);
  });
  it('hold neither name nor address', () => {
    const rows = ticketOf(createLoginThrottle({ clock: standingClock() }), 'alice', '192.0.2.1').failed();
    expect(rows).toHaveLength(3);
    for (const row of rows) expect(row.key).toMatch(/^(pair|person|address):[0-9a-f]{64}$/);
  });
  it('say when they may be deleted, and then nothing changes', () => {
    const clock = standingClock();
    const stored = new Map<string, ThrottleRow>();
    const before = createLoginThrottle({ clock });
    for (let attempt = 0; attempt < 3; attempt += 1) fail(before, 'alice', '192.0.2.1', stored);
    const lastMs = Math.max(...[...stored.values()].map((row) => row.forgetMs));
    expect(lastMs).toBe(clock.nowMs() + 60 * minute);
    clock.advance(lastMs - clock.nowMs());
    expect(fail(createLoginThrottle({ clock, rows: stored.values() }), 'alice', '192.0.2.1')).toBe(0);
  });
  it.each([
    { key: 'alice' },
    { key: 'admin:0' },
    { failures: Number.NaN },
    { failures: -1 },
    { failures: 1.5 },
    { lastMs: Number.POSITIVE_INFINITY },
    { successMs: -1 },
  ])('that are broken are left out: %j', (broken) => {
    const clock = standingClock();
    const stored = new Map<string, ThrottleRow>();
    const before = createLoginThrottle({ clock });
    for (let attempt = 0; attempt < 3; attempt += 1) fail(before, 'alice', '192.0.2.1', stored);
    const rows = [...stored.values()].map((row) => ({ ...row, ...broken }));
    expect(fail(createLoginThrottle({ clock, rows }), 'alice', '192.0.2.1')).toBe(0);
  });
});

describe('memory', () => {
  it('is not flushed by attempts that are turned away', () => {
    const clock = standingClock();
    const throttle = createLoginThrottle({ clock, capacity: 100 });
    for (let attempt = 0; attempt < 3; attempt += 1) fail(throttle, 'alice', '192.0.2.1');
    for (let name = 0; name < 20; name += 1) fail(throttle, `name${name}`, '192.0.2.1');
    for (let name = 0; name < 5000; name += 1) fail(throttle, `other${name}`, '192.0.2.1');
    expect(fail(throttle, 'alice', '192.0.2.1')).toBe(5);
  });
  it('drops what runs no delay before a delay that runs', () => {
    const clock = standingClock();
    const throttle = createLoginThrottle({ clock, capacity: 30 });
    for (let attempt = 0; attempt < 3; attempt += 1) fail(throttle, 'alice', '192.0.2.1');
    for (let one = 0; one < 1000; one += 1) fail(throttle, `name${one}`, `10.0.${one >> 8}.${one & 255}`);
    expect(fail(throttle, 'alice', '192.0.2.1')).toBe(5);
  });
  it('stays bounded when every row runs a delay', () => {
    const clock = standingClock();
    const throttle = createLoginThrottle({ clock, capacity: 12 });
    for (let one = 0; one < 50; one += 1) {
      for (let attempt = 0; attempt < 3; attempt += 1) fail(throttle, `name${one}`, `10.0.0.${one}`);
    }
    // The first to be slowed was the first to be dropped; the last still waits.
    expect(fail(throttle, 'name49', '10.0.0.49')).toBe(5);
    expect(fail(throttle, 'name0', '10.0.0.0')).toBe(0);
  });
});
