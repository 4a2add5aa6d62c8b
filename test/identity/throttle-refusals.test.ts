import { describe, expect, it } from 'vitest';
import { createLoginThrottle } from '../../src/identity/index.ts';
import type { LoginThrottle } from '../../src/identity/index.ts';
import { standingClock } from './fixtures.ts';
import { fail, ticketOf } from './throttled.ts';

const minute = 60_000;

describe('refusals for the log', () => {
  /** What `first` and `refusedBefore` say of so many attempts that are all turned away. */
  function told(throttle: LoginThrottle, count: number, login = 'alice', address = '192.0.2.1'): string {
    const refusals = Array.from({ length: count }, () => throttle.admit({ login, address }));
    return refusals
      .map((one) => (one.outcome === 'throttled' ? (one.first ? `first+${one.refusedBefore}` : '-') : 'in'))
      .join(' ');
  }

  it('are worth one entry in each delay, with the count of those that had none', () => {
    const clock = standingClock();
    const throttle = createLoginThrottle({ clock });
    for (let attempt = 0; attempt < 3; attempt += 1) fail(throttle, 'alice', '192.0.2.1');
    expect(told(throttle, 4)).toBe('first+0 - - -');
    clock.advance(4999);
    expect(told(throttle, 2)).toBe('- -');
    clock.advance(1);
    fail(throttle, 'alice', '192.0.2.1');
    expect(told(throttle, 3)).toBe('first+5 - -');
    clock.advance(10_000);
    fail(throttle, 'alice', '192.0.2.1');
    expect(told(throttle, 1)).toBe('first+2');
    clock.advance(20_000);
    fail(throttle, 'alice', '192.0.2.1');
    expect(told(throttle, 1)).toBe('first+0');
  });

  it('flood no log however many names an address tries while it waits', () => {
    const throttle = createLoginThrottle({ clock: standingClock() });
    for (let name = 0; name < 20; name += 1) fail(throttle, `name${name}`, '192.0.2.1');
    const firsts = Array.from({ length: 1000 }, (_, name) => told(throttle, 1, `other${name}`));
    expect(firsts.filter((one) => one !== '-')).toEqual(['first+0']);
  });

  it('flood no log however many addresses attack one person', () => {
    const throttle = createLoginThrottle({ clock: standingClock() });
    for (let bot = 0; bot < 10; bot += 1) fail(throttle, 'alice', `10.0.0.${bot}`);
    const firsts = Array.from({ length: 1000 }, (_, bot) =>
      told(throttle, 1, 'alice', `10.1.${bot >> 8}.${bot & 255}`),
    );
    expect(firsts.filter((one) => one !== '-')).toEqual(['first+0']);
  });

  it('are told again when the attempts that held the others up have ended', () => {
    const throttle = createLoginThrottle({ clock: standingClock() });
    for (let round = 0; round < 3; round += 1) {
      const tickets = [1, 2, 3].map(() => ticketOf(throttle, 'alice', '192.0.2.1'));
      expect(told(throttle, 2)).toBe(round === 0 ? 'first+0 -' : 'first+1 -');
      for (const ticket of tickets) ticket.succeeded();
    }
  });

  it('are told apart by who is refused and where', () => {
    const throttle = createLoginThrottle({ clock: standingClock() });
    for (const [login, address] of [
      ['alice', '192.0.2.1'],
      ['bob', '192.0.2.1'],
      ['alice', '192.0.2.2'],
    ] as const) {
      for (let attempt = 0; attempt < 3; attempt += 1) fail(throttle, login, address);
      expect(told(throttle, 2, login, address)).toBe('first+0 -');
    }
  });
});

describe('an attempt for which the directory had no place', () => {
  it('counts for the address and for nobody’s name', () => {
    const clock = standingClock();
    const throttle = createLoginThrottle({ clock });
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const rows = ticketOf(throttle, `name${attempt % 4}`, '192.0.2.1').turnedAway();
      expect(rows.map((row) => [row.key.split(':')[0], row.failures])).toEqual([['address', attempt + 1]]);
    }
    expect(fail(throttle, 'name0', '192.0.2.1')).toBe(5);
    expect([1, 2, 3].map(() => fail(throttle, 'name0', '192.0.2.9'))).toEqual([0, 0, 0]);
  });
  it('does not hold up whoever logged in from there before', () => {
    const throttle = createLoginThrottle({ clock: standingClock() });
    ticketOf(throttle, 'alice', '192.0.2.1').succeeded();
    for (let attempt = 0; attempt < 30; attempt += 1) ticketOf(throttle, 'alice', '192.0.2.1').turnedAway();
    // The address has to wait, but for her.
    const outcomeFor = (login: string): string => throttle.admit({ login, address: '192.0.2.1' }).outcome;
    expect([outcomeFor('bob'), outcomeFor('alice')]).toEqual(['throttled', 'admitted']);
  });
  it('is settled once', () => {
    const ticket = ticketOf(createLoginThrottle({ clock: standingClock() }), 'alice', '192.0.2.1');
    expect(ticket.turnedAway()).toHaveLength(1);
    expect(ticket.turnedAway()).toEqual([]);
    expect(ticket.failed()).toEqual([]);
  });
});

describe('the standing of an attempt', () => {
  it('is trusted where the person logged in within 30 days, and nowhere else', () => {
    const clock = standingClock();
    const throttle = createLoginThrottle({ clock });
    const isTrusted = (login: string, address: string): boolean => {
      const ticket = ticketOf(throttle, login, address);
      ticket.withdrawn();
      return ticket.standing.trusted;
    };
    expect(isTrusted('alice', '192.0.2.1')).toBe(false);
    ticketOf(throttle, 'alice', '192.0.2.1').failed();
    expect(isTrusted('alice', '192.0.2.1')).toBe(false);
    ticketOf(throttle, 'alice', '192.0.2.1').succeeded();
    expect(isTrusted('alice', '192.0.2.1')).toBe(true);
    expect(isTrusted('alice', '192.0.2.2')).toBe(false);
    expect(isTrusted('bob', '192.0.2.1')).toBe(false);
    clock.advance(30 * 24 * 60 * minute);
    expect(isTrusted('alice', '192.0.2.1')).toBe(false);
  });
  it.each([
    ['192.0.2.77', '192.0.2.0/24'],
    ['::ffff:192.0.2.77', '192.0.2.0/24'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['pipe', 'pipe'],
  ])('names the network of %s', (address, network) => {
    const throttle = createLoginThrottle({ clock: standingClock() });
    expect(ticketOf(throttle, 'alice', address).standing.network).toBe(network);
  });
});
