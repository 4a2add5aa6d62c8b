import type { EntryDraft } from '../../../src/accounting/index.ts';
import { issued, start } from './stored.ts';

const person = { uid: 'corp:5f0c', kind: 'person', auth: 'session', session: 's-1' } as const;
const broker = { kind: 'broker' } as const;
const operator = { kind: 'operator' } as const;
const from = { 'actor.name': 'alice', 'src.ip': '2001:db8::7', 'src.ua': 'sallyport/0.1.0' };
const corr = { request: 'r-2' };
const host = { kind: 'host', host_id: 'h-1', name: 'web1.example.com' };
const response = { id: 'q-1', action: 'quarantine edr', verdict: 'unknown_serial', login_index: '7' };
const login = { account: 'alice', method: 'publickey', at: '2026-11-23T12:00:00.000Z', boot: 'b', seq: '3' };
const { cred } = issued.fields as { cred: Record<string, string | readonly string[]> };

const hostPart = {
  target: { kind: 'host', host_id: 'h-aaaaaaaaaaaaaaaaaaaaaaaaaa', name: 'web-1' },
  host: { state: 'enrolled', group: 'web', names: ['web-1'] },
  corr,
};

const draft = (type: EntryDraft['type'], over: Omit<Partial<EntryDraft>, 'type'> = {}): EntryDraft => ({
  type,
  outcome: 'success',
  timeMs: start,
  actor: broker,
  ...over,
});
const departure = { review: 'd-0123abcd', directory: 'corp', people: 40, credentials: 55, at_large: 90 };
const denied = { outcome: 'denied', reasonCode: 'policy.no_profile' } as const;

/** Each type of docs/formats/log.md, with what such an entry says, in every shape that makes a difference. */
export const everyType: readonly EntryDraft[] = [
  issued,
  draft('auth.login', {
    actor: { ...person, auth: 'corp' },
    subject: { uid: person.uid },
    fields: { corr },
    personal: from,
  }),
  draft('auth.fail', {
    ...denied,
    actor: { kind: 'unknown' },
    fields: { corr },
    personal: { 'src.ip': '192.0.2.9' },
  }),
  draft('auth.fail', {
    ...denied,
    actor: { kind: 'unknown' },
    subject: { uid: person.uid },
    fields: { corr, throttle: { refused_before: 17 } },
    personal: { 'subject.name': 'alice', 'src.ip': 'fe80::1%eth0' },
  }),
  draft('auth.fail', {
    ...denied,
    actor: person,
    subject: { uid: person.uid },
    fields: { target: { kind: 'route', value: '/v1/admin/revoke' }, corr },
    personal: from,
  }),
  draft('auth.logout', { actor: person, subject: { uid: person.uid }, fields: { corr }, personal: from }),
  draft('cred.issue_denied', {
    ...denied,
    actor: person,
    subject: { uid: person.uid },
    fields: {
      cred: { kind: 'ssh-user', key_fp: 'SHA256:k' },
      decision: { version: 'a', profile: 'root' },
      corr,
    },
    personal: from,
  }),
  draft('cred.void', {
    outcome: 'failure',
    reasonCode: 'issuance.abandoned',
    fields: { cred: { ca_fp: 'SHA256:c', serial_first: '7', serial_last: '9' } },
  }),
  draft('cred.revoke', {
    actor: person,
    subject: { uid: person.uid },
    fields: { cred, corr },
    personal: { ...from, reason: 'left' },
  }),
  draft('cred.revoke', {
    actor: person,
    fields: { target: { kind: 'serial', value: '7', hits: 1 }, corr },
    personal: { ...from, reason: 'left' },
  }),
  draft('session.revoke', {
    actor: person,
    subject: { uid: 'corp:6' },
    fields: { sessions: { ended: 2 }, corr },
    personal: from,
  }),
  draft('session.revoke', {
    ...denied,
    subject: { uid: 'corp:6' },
    fields: { sessions: { session: 's-9' } },
  }),
  draft('subject.lock', {
    actor: person,
    subject: { uid: 'corp:6' },
    fields: { corr },
    personal: { ...from, reason: 'x' },
  }),
  draft('subject.unlock', { actor: person, subject: { uid: 'corp:6' }, fields: { corr }, personal: from }),
  draft('host.token_new', {
    actor: person,
    fields: {
      target: { kind: 'host_token', value: 'tk-1' },
      token: { group: 'web', names: ['web-*'], addresses: [], max_uses: 1, expires: 'x' },
      corr,
    },
    personal: from,
  }),
  draft('host.token_drop', {
    actor: person,
    fields: { target: { kind: 'host_token', value: 'tk-1' }, corr },
    personal: from,
  }),
  draft('host.enrol', {
    ...denied,
    actor: { kind: 'host' },
    fields: { host: { names: ['web-1'], token_fault: 'expired' }, corr },
    personal: { 'src.ip': '192.0.2.9' },
  }),
  ...(['host.enrol', 'host.conflict'] as const).map((type) =>
    draft(type, { actor: { kind: 'host' }, fields: hostPart, personal: { 'src.ip': '192.0.2.9' } }),
  ),
  ...(['host.approve', 'host.retire', 'host.move', 'host.resolve'] as const).map((type) =>
    draft(type, { actor: person, fields: hostPart, personal: from }),
  ),
  draft('krl.publish', {
    fields: {
      artifact: { version: '9', sha256: 'ab'.repeat(32), size: 53 },
      list: { ca_fp: 'SHA256:c', serials: 1, key_ids: 0, keys: 0 },
    },
  }),
  draft('crl.publish', {
    fields: {
      artifact: { version: '9', sha256: 'ab'.repeat(32), size: 530 },
      crl: { ca_fp: 'SHA256:c', serials: 3, base: '4', delta_serials: 1, delta_sha256: 'ab'.repeat(32) },
    },
  }),
  draft('tls.authority', {
    actor: operator,
    fields: {
      authority: {
        name: 'issuing-1',
        ca_fp: 'SHA256:c',
        sha256: 'ab'.repeat(32),
        root_sha256: 'cd'.repeat(32),
        not_after: '2031-11-23T08:00:00.000Z',
      },
    },
  }),
  draft('ocsp.signer', {
    fields: {
      ocsp: {
        ca_fp: 'SHA256:c',
        serial: '4b'.repeat(20),
        key_fp: 'SHA256:k',
        not_after: '2026-11-30T08:00:00.000Z',
      },
    },
  }),
  draft('ca.create', {
    actor: operator,
    fields: {
      ca: { ssh_user_ca_fp: 'SHA256:c', algorithm: 'ed25519', list_key_fp: 'SHA256:l', log_key: 'k' },
    },
  }),
  draft('policy.change', { actor: operator, fields: { change: { before: 'a', after: 'b' } } }),
  ...['added', 'removed', 'password', 'groups', 'disabled', 'enabled', 'names'].map((what) =>
    draft('directory.change', {
      actor: operator,
      subject: { uid: 'builtin:1' },
      fields: {
        target: { kind: 'directory', value: 'builtin' },
        change: { what: [what], before: null, after: null },
      },
      personal: { 'subject.name': 'alice' },
    }),
  ),
  draft('directory.change', {
    reasonCode: 'identity.disabled',
    subject: { uid: person.uid },
    fields: {
      target: { kind: 'directory', value: 'corp' },
      change: {
        what: ['disabled'],
        seen_by: 'dirsync',
        objects: [{ id: '5f0c', attributes: ['useraccountcontrol'] }],
      },
    },
  }),
  draft('departure.hold', {
    outcome: 'failure',
    reasonCode: 'departure.too_many_people',
    fields: { departure },
  }),
  ...(['departure.approve', 'departure.reject'] as const).map((type) =>
    draft(type, { actor: person, fields: { departure, corr }, personal: { ...from, reason: 'checked' } }),
  ),
  draft('departure.withdraw', { fields: { departure } }),
  draft('principal.release', {
    actor: person,
    subject: { uid: 'corp:6' },
    fields: { target: { kind: 'principal', value: 'bob' }, corr },
    personal: from,
  }),
  draft('login.seen', {
    subject: { uid: 'corp:6' },
    fields: {
      target: host,
      login: { ...login, verdict: 'explained' },
      cred: { kind: 'ssh-user', serial: '7' },
    },
    personal: { 'src.ip': '192.0.2.7' },
  }),
  draft('login.unexplained', {
    outcome: 'failure',
    reasonCode: 'hosts.unknown_serial',
    fields: { target: host, login: { ...login, verdict: 'unknown_serial' } },
    personal: { 'src.ip': 'UNKNOWN', 'login.line': 'Accepted publickey for alice' },
  }),
  draft('host.session', {
    fields: { target: host, session: { what: 'ended', account: 'alice' }, cred: { serial: '7' } },
  }),
  draft('host.alert', {
    outcome: 'failure',
    reasonCode: 'hosts.alert',
    fields: { target: host, alert: { source: 'fail2ban', at: '2026-11-23T12:00:00.000Z' } },
    personal: { 'alert.text': 'sshd: banned 192.0.2.9' },
  }),
  draft('host.flood', {
    outcome: 'denied',
    reasonCode: 'hosts.too_many_events',
    actor: { kind: 'host' },
    fields: { target: host },
  }),
  draft('host.feed_gap', {
    outcome: 'failure',
    reasonCode: 'hosts.feed_gap',
    fields: { target: host, gap: { boot: 'b', from: '3', to: '4', why: 'journal-rotated' } },
  }),
  draft('response.request', { fields: { target: host, response: { ...response, state: 'waiting' } } }),
  draft('response.approve', { actor: person, fields: { target: host, response, corr }, personal: from }),
  draft('response.reject', { actor: person, fields: { target: host, response, corr }, personal: from }),
  draft('response.execute', {
    outcome: 'failure',
    reasonCode: 'responses.refused',
    fields: { target: host, response },
  }),
  draft('probe.report', {
    actor: person,
    fields: {
      target: { kind: 'host', name: 'prod.example.com' },
      probe: {
        findings: ['half_secured'],
        ports: [
          {
            port: 992,
            service: 'telnet-ssl',
            state: 'tls',
            not_after: '2027-02-28T08:00:00.000Z',
            findings: [],
          },
        ],
      },
      corr,
    },
    personal: from,
  }),
  draft('log.read', { actor: person, fields: { target: { kind: 'log', own: false }, corr }, personal: from }),
  draft('log.read', {
    actor: person,
    fields: { target: { kind: 'certificate', value: '7' }, corr },
    personal: from,
  }),
  draft('log.export', {
    actor: person,
    fields: { target: { kind: 'log', from: '0' }, corr },
    personal: from,
  }),
  draft('log.erase', {
    fields: { erased: { rule: 'names', keep_days: 400, from: '0', to: '9', entries: 3 } },
  }),
  draft('log.epoch', {
    actor: operator,
    fields: { epoch: { origin: 'broker.example.com/accounting/1' }, sessions: { ended: 3 } },
    personal: { reason: 'the disk is gone' },
  }),
  draft('log.heartbeat'),
  draft('sink.fail', {
    outcome: 'failure',
    reasonCode: 'sinks.unreachable',
    fields: { target: { kind: 'sink', value: 'siem' } },
  }),
  draft('sink.recover', { fields: { target: { kind: 'sink', value: 'siem' } } }),
  draft('system.start', {
    fields: {
      system: { version: '0.1.0', policy: 'a', config: 'b', ca_fp: 'SHA256:c', directories: ['corp (ldap)'] },
    },
  }),
  draft('system.stop'),
  draft('system.restore', { actor: operator, fields: { restore: { size: '7' } }, personal: { reason: 'x' } }),
  ...(['witness.fail', 'witness.recover'] as const).map((type) =>
    draft(type, {
      ...(type === 'witness.fail' ? { outcome: 'failure', reasonCode: 'witness.unreachable' } : {}),
      fields: { target: { kind: 'witness', value: 'witness.example.com' } },
    }),
  ),
];
