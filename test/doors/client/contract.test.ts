import { expect, test } from 'vitest';
import type { EventType } from '../../../src/accounting/index.ts';
import { logTypes } from '../../../src/doors/client/index.ts';

/** Every type that the log has: the compiler says when one is missing. */
const types: Readonly<Record<EventType, true>> = {
  'auth.login': true,
  'auth.fail': true,
  'auth.logout': true,
  'cred.issue': true,
  'cred.issue_denied': true,
  'cred.void': true,
  'cred.revoke': true,
  'session.revoke': true,
  'subject.lock': true,
  'subject.unlock': true,
  'host.token_new': true,
  'host.token_drop': true,
  'host.enrol': true,
  'host.approve': true,
  'host.retire': true,
  'host.conflict': true,
  'host.resolve': true,
  'krl.publish': true,
  'ca.create': true,
  'policy.change': true,
  'directory.change': true,
  'departure.hold': true,
  'departure.approve': true,
  'departure.reject': true,
  'departure.withdraw': true,
  'principal.release': true,
  'probe.report': true,
  'host.alert': true,
  'host.feed_gap': true,
  'host.session': true,
  'login.seen': true,
  'login.unexplained': true,
  'response.request': true,
  'response.approve': true,
  'response.reject': true,
  'response.execute': true,
  'log.read': true,
  'log.export': true,
  'log.erase': true,
  'log.epoch': true,
  'log.heartbeat': true,
  'sink.fail': true,
  'sink.recover': true,
  'witness.fail': true,
  'witness.recover': true,
  'system.start': true,
  'system.stop': true,
  'system.restore': true,
};

test('the client knows every type of entry that the broker writes', () => {
  expect(logTypes.toSorted()).toEqual(Object.keys(types).toSorted());
});
