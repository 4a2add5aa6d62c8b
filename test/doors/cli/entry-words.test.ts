import { describe, expect, test } from 'vitest';
import { actorOf, namesIn, wordsOf } from '../../../src/doors/cli/entry-words.ts';
import type { LogEntry } from '../../../src/doors/client/index.ts';

const anna = { uid: 'builtin:1', kind: 'person' };
const cred = { serial: '7', principals: ['dora', 'ops'], profile: 'users' };

const item = (entry: object, openings?: object): LogEntry => ({
  index: '1',
  entry: { outcome: 'success', actor: anna, ...entry },
  openings: openings as LogEntry['openings'],
});

describe('an entry in a few words', () => {
  const names = new Map([['builtin:2', 'dora']]);

  test.each<[string, object, object | undefined, string]>([
    ['auth.login', {}, { 'src.ip': '192.0.2.7' }, 'from 192.0.2.7'],
    [
      'auth.fail',
      {
        outcome: 'denied',
        reason_code: 'identity.wrong_password',
        actor: { kind: 'unknown' },
        subject: { uid: 'builtin:2' },
      },
      { 'actor.name': 'dora', 'src.ip': '::1' },
      'denied: identity.wrong_password, from ::1',
    ],
    [
      'auth.fail',
      { outcome: 'denied', reason_code: 'http.not_permitted', target: { kind: 'route', value: '/v1/x' } },
      {},
      'denied: http.not_permitted, route /v1/x',
    ],
    [
      'cred.issue',
      { cred, subject: { uid: anna.uid } },
      { reason: 'INC-7' },
      'serial 7, as dora ops, profile users, “INC-7”',
    ],
    [
      'cred.issue_denied',
      { outcome: 'denied', reason_code: 'policy.no_profile', decision: { profile: 'p' } },
      {},
      'denied: policy.no_profile, profile p',
    ],
    [
      'cred.void',
      { outcome: 'failure', reason_code: 'issuance.fault', cred: { serial_first: '3', serial_last: '5' } },
      {},
      'failure: issuance.fault, serials 3 to 5',
    ],
    [
      'cred.revoke',
      { cred, subject: { uid: 'builtin:2' } },
      {},
      'serial 7, as dora ops, profile users, dora',
    ],
    [
      'cred.revoke',
      { cred: { ...cred, principals: ['dora'] }, subject: { uid: 'builtin:2' } },
      {},
      'serial 7, as dora, profile users',
    ],
    [
      'cred.revoke',
      { target: { kind: 'serial', value: '7', hits: 1 } },
      { reason: 'lost' },
      'serial 7, 1 certificate, “lost”',
    ],
    [
      'session.revoke',
      { subject: { uid: 'builtin:2' }, sessions: { ended: 2 } },
      {},
      'dora, 2 sessions ended',
    ],
    ['subject.lock', { subject: { uid: 'builtin:9' } }, {}, 'builtin:9'],
    [
      'krl.publish',
      { artifact: { version: '3', size: 135 }, list: { serials: 2 } },
      undefined,
      'version 3, 2 revoked, 135 bytes',
    ],
    [
      'ca.create',
      { ca: { algorithm: 'ed25519', ssh_user_ca_fp: 'SHA256:x' } },
      undefined,
      'ed25519, SHA256:x',
    ],
    [
      'policy.change',
      { change: { before: 'a'.repeat(64), after: 'b'.repeat(64) } },
      undefined,
      'policy bbbbbbbbbbbb',
    ],
    [
      'directory.change',
      {
        subject: { uid: 'builtin:2' },
        target: { kind: 'directory', value: 'builtin' },
        change: { what: ['password', 'groups'], after: { groups: ['admins', 'users'] } },
      },
      {},
      'directory builtin, dora, password groups, in admins users',
    ],
    [
      'principal.release',
      { subject: { uid: 'builtin:2' }, target: { kind: 'principal', value: 'dora' } },
      {},
      'principal dora',
    ],
    ['log.read', { target: { kind: 'log', own: false } }, {}, 'log'],
    ['log.read', { target: { kind: 'log', own: true } }, {}, 'own entries'],
    ['log.export', { target: { kind: 'log', from: '0', to: '9' } }, {}, 'log, entries from 0 to 9'],
    ['log.heartbeat', {}, undefined, ''],
    ['witness.fail', { target: { kind: 'witness', value: 'W1' } }, undefined, 'witness W1'],
    ['system.start', { system: { version: '0.1.0' } }, undefined, 'version 0.1.0'],
    ['x.new', { cred: { serial: '8' } }, undefined, 'serial 8'],
  ])('%s %j: %s', (type, entry, openings, words) => {
    expect(wordsOf(item({ type, ...entry }, openings), names)).toBe(words);
  });

  test.each([
    [
      {
        outcome: 7,
        cred: 'x',
        target: null,
        subject: [],
        change: { what: {} },
        sessions: { ended: {} },
        actor: 1,
      },
    ],
    [{ outcome: null, cred: [], artifact: { version: { toString: 1 } }, list: 3 }],
  ])('does not stumble over fields that are not what they should be', (entry) => {
    expect(wordsOf(item(entry, { reason: { value: ['x'] }, 'src.ip': 3 }), new Map())).toBeTypeOf('string');
    expect(actorOf(item(entry))).toBeTypeOf('string');
  });

  test('names are taken from the entries that have them', () => {
    const known = namesIn([
      item({}, { 'actor.name': 'anna' }),
      item({ subject: { uid: 'builtin:3' } }, { 'subject.name': { value: 'carl' } }),
      item({ subject: { uid: 'builtin:4' } }),
    ]);
    expect([...known]).toEqual([
      ['builtin:1', 'anna'],
      ['builtin:3', 'carl'],
    ]);
  });
});
