/** What each type of entry is called where people read: the MSG of syslog, the name of CEF, the message of OCSF. */
const titles: Readonly<Record<string, string>> = {
  'auth.login': 'Login',
  'auth.fail': 'Attempt that was refused',
  'auth.logout': 'Logout',
  'cred.issue': 'Certificate issued',
  'cred.issue_denied': 'Certificate refused',
  'cred.void': 'Serials declared void',
  'cred.revoke': 'Certificate revoked',
  'session.revoke': 'Sessions ended',
  'subject.lock': 'Person locked',
  'subject.unlock': 'Person unlocked',
  'host.token_new': 'Token for hosts made',
  'host.token_drop': 'Token for hosts dropped',
  'host.enrol': 'Host enrolled',
  'host.approve': 'Host approved',
  'host.retire': 'Host retired',
  'host.move': 'Host moved to another group',
  'host.conflict': 'Host in conflict',
  'host.resolve': 'Conflict of a host resolved',
  'krl.publish': 'Revocation list published',
  'crl.publish': 'CRL published',
  'tls.authority': 'Authority for TLS in use',
  'ocsp.signer': 'OCSP signer certified',
  'ca.create': 'Authority created',
  'policy.change': 'Policy changed',
  'directory.change': 'Person changed in a directory',
  'departure.hold': 'Too many departures at once: an admin must decide',
  'departure.approve': 'Departures approved',
  'departure.reject': 'Departures rejected',
  'departure.withdraw': 'Departures that are not any more',
  'probe.report': 'Ports of a host looked at',
  'principal.release': 'Account name released',
  'login.seen': 'Login on a host, explained by a certificate',
  'login.unexplained': 'Login on a host that nothing explains',
  'host.session': 'Session with a revoked certificate',
  'host.feed_gap': 'Reports of a host are missing',
  'host.flood': 'A host reports too much',
  'host.alert': 'Alert of a host',
  'response.request': 'Response to a login requested',
  'response.approve': 'Response approved',
  'response.reject': 'Response rejected',
  'response.execute': 'Response handed over',
  'log.read': 'Log read',
  'log.export': 'Log exported',
  'log.erase': 'Personal values erased',
  'log.epoch': 'Log goes on from a lost one',
  'log.heartbeat': 'Heartbeat',
  'sink.fail': 'Sink takes nothing',
  'sink.recover': 'Sink takes entries again',
  'witness.fail': 'Witness does not cosign',
  'witness.recover': 'Witness cosigns again',
  'system.start': 'Broker started',
  'system.stop': 'Broker stopped',
  'system.restore': 'Database vouched for',
};

/** A type that is not known yet is its own name. */
export function titleOf(type: string): string {
  return Object.hasOwn(titles, type) ? (titles[type] ?? type) : type;
}

/** The same of an entry as it is stored. */
export function entryTitle({ bytes }: { readonly bytes: Buffer }): string {
  return titleOf((JSON.parse(bytes.toString('utf8')) as { readonly type: string }).type);
}

/** How much an outcome deserves to be looked at; each format has numbers of its own for it. */
export function gravityOf(outcome: string): 'usual' | 'notable' | 'grave' {
  if (outcome === 'success') return 'usual';
  return outcome === 'denied' ? 'notable' : 'grave';
}
