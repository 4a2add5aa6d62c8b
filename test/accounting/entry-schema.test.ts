import { describe, expect, it } from 'vitest';
import { logTypes } from '../../src/doors/client/index.ts';
import { documentedTypes, schemaFaults } from '../support/log-schema.ts';

const heartbeat = {
  v: 1,
  id: '01a2076b-4400-720a-bc91-e30725bb1918',
  time: '2026-11-23T08:00:00.000Z',
  type: 'log.heartbeat',
  outcome: 'success',
  actor: { kind: 'broker' },
};

/** Every broker that a test starts has all its entries held against this schema at its end. */
describe('the documented schema of entries', () => {
  it('has every type that there is, and no other', () => {
    expect([...documentedTypes].sort()).toEqual([...logTypes].sort());
  });

  it.each<[string, object]>([
    ['another version', { v: 2 }],
    ['a type that is none', { type: 'log.nonsense' }],
    ['a denial without a code', { outcome: 'denied' }],
    ['a time without milliseconds', { time: '2026-11-23T08:00:00Z' }],
    ['a field that does not belong to its type', { cred: { kind: 'ssh-user' } }],
    ['a field that nobody knows', { colour: 'red' }],
    ['a name in clear', { actor: { kind: 'person', name: 'alice' } }],
    [
      'a serial as a number',
      { type: 'cred.void', outcome: 'failure', reason_code: 'a.b', cred: { serial_first: 1 } },
    ],
  ])('refuses %s', (_what, change) => {
    expect(schemaFaults(heartbeat)).toEqual([]);
    expect(schemaFaults({ ...heartbeat, ...change })).not.toEqual([]);
  });
});
