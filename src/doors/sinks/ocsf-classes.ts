import type { OpenedEntry } from './opened-entry.ts';

/** Where an entry belongs in OCSF 1.8.0: the class, and in it the activity. */
export interface Place {
  readonly classUid: 0 | 3001 | 3002 | 3004 | 6002;
  readonly activityId: number;
  /** Needed where `activityId` is 99: what the activity is called here. */
  readonly activityName?: string;
}

/*
 * Account Change 3001, Authentication 3002, Entity Management 3004, Application Lifecycle 6002. A certificate is an entity here:
 * User Management 3007, which has activities for credentials, is not in a published version yet.
 */
const other = (classUid: Place['classUid'], activityName: string): Place => ({
  classUid,
  activityId: 99,
  activityName,
});
const at = (classUid: Place['classUid'], activityId: number): Place => ({ classUid, activityId });

const places: Readonly<Record<string, Place>> = {
  'auth.login': at(3002, 1),
  'auth.logout': at(3002, 2),
  'session.revoke': at(3002, 2),
  'cred.issue': at(3004, 1),
  'cred.issue_denied': at(3004, 1),
  'cred.void': other(3004, 'Void'),
  'cred.revoke': other(3004, 'Revoke'),
  'subject.lock': at(3001, 9),
  'subject.unlock': at(3001, 12),
  'host.token_new': at(3004, 1),
  'host.token_drop': at(3004, 4),
  'host.enrol': at(3004, 1),
  'host.approve': other(3004, 'Approve'),
  'host.retire': at(3004, 4),
  'host.move': at(3004, 3),
  'host.conflict': other(3004, 'Conflict'),
  'host.resolve': other(3004, 'Resolve'),
  'krl.publish': at(3004, 3),
  'crl.publish': at(3004, 3),
  'tls.authority': at(3004, 1),
  'ocsp.signer': at(3004, 1),
  'ca.create': at(3004, 1),
  'policy.change': at(3004, 3),
  'departure.hold': other(3004, 'Hold'),
  'departure.approve': other(3004, 'Approve'),
  'departure.reject': other(3004, 'Reject'),
  'departure.withdraw': other(3004, 'Withdraw'),
  'probe.report': other(6002, 'Probe'),
  'principal.release': at(3004, 4),
  'login.seen': at(3002, 1),
  'login.unexplained': at(3002, 1),
  'host.session': at(3002, 2),
  'host.feed_gap': other(6002, 'Feed gap'),
  'host.flood': other(6002, 'Flood of reports'),
  'host.alert': other(6002, 'Alert of a host'),
  'response.request': other(3004, 'Response requested'),
  'response.approve': other(3004, 'Response approved'),
  'response.reject': other(3004, 'Response rejected'),
  'response.execute': other(3004, 'Response executed'),
  'log.read': at(3004, 2),
  'log.export': at(3004, 2),
  'log.erase': other(3004, 'Erase'),
  'log.epoch': at(3004, 1),
  'log.heartbeat': other(6002, 'Heartbeat'),
  'sink.fail': other(6002, 'Sink failed'),
  'sink.recover': other(6002, 'Sink recovered'),
  'witness.fail': other(6002, 'Witness failed'),
  'witness.recover': other(6002, 'Witness recovered'),
  'system.restore': other(6002, 'Restore'),
  'system.start': at(6002, 3),
  'system.stop': at(6002, 4),
};

/** Activities of Account Change, the most telling first. */
const accountActivities: readonly (readonly [what: string, activityId: number])[] = [
  ['added', 1],
  ['removed', 6],
  ['disabled', 5],
  ['enabled', 2],
  ['password', 4],
];

/** A type that is not known yet is a Base Event, whose `raw_data` says it all. */
export function placeOf(entry: OpenedEntry): Place {
  const { type } = entry;
  // Who is not known, or did not prove it, tried to log in. Who did, tried something that their session does not permit.
  if (type === 'auth.fail')
    return entry.text('target', 'kind') === undefined ? at(3002, 1) : other(3004, 'Refused');
  if (type === 'directory.change') {
    const what = entry.list('change', 'what');
    const found = accountActivities.find(([word]) => what.includes(word));
    return found === undefined ? other(3001, 'Change') : at(3001, found[1]);
  }
  return (Object.hasOwn(places, type) ? places[type] : undefined) ?? other(0, type);
}
