import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateProofKey } from '../../src/doors/client/index.ts';
import { isCodedError } from '../../src/kernel/index.ts';
import { parseKrl } from '../../src/ssh/index.ts';
import { ask, newPublicKey } from '../doors/http/support.ts';
import { alice, bob, boss, startTestBroker, type TestBroker } from '../support/broker.ts';
import { parseMetrics, type Family } from '../support/prometheus.ts';

const policy = `version: 1
roles: {admin: {groups: [builtin:admins]}}
profiles:
  ops:
    who: {people: [builtin:bob]}
    principals: {explicit: [deploy]}
  users:
    who: {groups: [builtin:users]}
    principals: {from: [{attribute: uid}]}
`;

let broker: TestBroker;
let nowMs = Date.UTC(2027, 0, 11, 9);
let krl: { readonly bytes: Buffer; readonly version: bigint };
beforeAll(async () => {
  broker = await startTestBroker({ policy, people: [boss, alice, bob], clock: { nowMs: () => nowMs } });
  await history();
});
afterAll(() => broker.stop());

async function refused(work: Promise<unknown>): Promise<void> {
  await expect(work).rejects.toSatisfy((error) => isCodedError(error));
}

/** What happens to this broker, and nothing else. */
async function history(): Promise<void> {
  await refused(broker.client().login({ login: 'alice', password: 'wrong' }, generateProofKey()));
  const user = await broker.loggedIn(alice);
  for (let nth = 0; nth < 3; nth += 1) await user.sign(newPublicKey(), {});
  await refused(user.sign(newPublicKey(), { profile: 'nothing' }));
  await refused(user.sign(newPublicKey(), { principals: ['bob'] }));
  await (await broker.loggedIn(bob)).sign(newPublicKey(), {});

  const target = { kind: 'person', value: 'alice' } as const;
  await refused(user.revoke({ target, reason: 'mine', lock: false, apply: true }));
  const admin = await broker.loggedIn(boss);
  await admin.explain({ person: 'bob' });
  await admin.revoke({ target, reason: 'left', lock: false, apply: false });
  nowMs += 60_000;
  await admin.revoke({ target, reason: 'left', lock: false, apply: true });
  await refused(user.session());

  expect((await ask(broker, { path: '/v1/session' })).status).toBe(401);
  expect((await ask(broker, { path: '/v1/nothing-here?x=1' })).status).toBe(404);
  const bytes = await admin.krl();
  krl = { bytes, version: parseKrl(bytes).version };
  nowMs += 90_500;
}

async function scrape(): Promise<ReadonlyMap<string, Family>> {
  return parseMetrics((await ask(broker, { path: '/metrics' })).body.toString('utf8'));
}

/** The series of a family without those of the scraping itself. */
async function seriesOf(family: string, name = family): Promise<Record<string, number>> {
  const { series } = (await scrape()).get(family) ?? { series: new Map<string, number>() };
  return Object.fromEntries(
    [...series]
      .filter(([text]) => text.replace(/\{.*/, '') === name && !text.includes('route="/metrics"'))
      .map(([text, value]) => [text.slice(name.length), value] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

describe('/metrics after a history', () => {
  it('is the text format that Prometheus reads', async () => {
    const answer = await ask(broker, { path: '/metrics' });
    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    const families = parseMetrics(answer.body.toString('utf8'));
    expect([...families.keys()].filter((name) => name.startsWith('sallyport_')).sort()).toEqual([
      'sallyport_credentials_revoked_total',
      'sallyport_crl_copy_lag_seconds',
      'sallyport_crl_copy_up',
      'sallyport_departures_doubtful',
      'sallyport_departures_followed',
      'sallyport_departures_held',
      'sallyport_departures_last_look_timestamp_seconds',
      'sallyport_directory_seconds',
      'sallyport_directory_up',
      'sallyport_host_logins_total',
      'sallyport_hosts',
      'sallyport_hosts_behind',
      'sallyport_hosts_stale',
      'sallyport_hosts_waiting',
      'sallyport_http_request_seconds',
      'sallyport_krl_age_seconds',
      'sallyport_krl_bytes',
      'sallyport_krl_rows_lost',
      'sallyport_krl_version',
      'sallyport_log_entries',
      'sallyport_probe_days_left',
      'sallyport_probe_finding',
      'sallyport_probe_timestamp_seconds',
      'sallyport_refused_total',
      'sallyport_sink_lag_entries',
      'sallyport_sink_last_delivered_timestamp_seconds',
      'sallyport_sink_up',
      'sallyport_ssh_certificates_issued_total',
      'sallyport_witness_cosigned_entries',
      'sallyport_witness_cosigned_timestamp_seconds',
      'sallyport_witness_quorum',
      'sallyport_witness_quorum_entries',
      'sallyport_witness_up',
    ]);
  });

  it('counts certificates by profile', async () => {
    expect(await seriesOf('sallyport_ssh_certificates_issued_total')).toEqual({
      '{profile="ops"}': 1,
      '{profile="users"}': 3,
    });
  });

  it('counts refusals by route and code', async () => {
    // A request is counted when its connection has taken the answer, which may be a moment after the client has it.
    await expect
      .poll(() => seriesOf('sallyport_refused_total'), { timeout: 10_000 })
      .toEqual({
        '{code="http.not_found",route="unmatched"}': 1,
        '{code="http.not_permitted",route="/v1/admin/revoke"}': 1,
        '{code="http.unauthenticated",route="/v1/session"}': 1,
        '{code="identity.login_refused",route="/v1/login"}': 1,
        '{code="identity.session_unknown",route="/v1/session"}': 1,
        '{code="policy.principal_not_granted",route="/v1/ssh/sign"}': 1,
        '{code="policy.unknown_profile",route="/v1/ssh/sign"}': 1,
      });
  });

  it('times requests by route and status', async () => {
    await expect
      .poll(() => seriesOf('sallyport_http_request_seconds', 'sallyport_http_request_seconds_count'), {
        timeout: 10_000,
      })
      .toEqual({
        '{route="/v1/admin/revoke",status="200"}': 2,
        '{route="/v1/admin/revoke",status="403"}': 1,
        '{route="/v1/krl",status="200"}': 1,
        '{route="/v1/login",status="201"}': 3,
        '{route="/v1/login",status="401"}': 1,
        '{route="/v1/policy/explain",status="200"}': 1,
        '{route="/v1/session",status="401"}': 2,
        '{route="/v1/ssh/sign",status="201"}': 4,
        '{route="/v1/ssh/sign",status="403"}': 2,
        '{route="unmatched",status="404"}': 1,
      });
  });

  it('counts what a revocation hit, and not what a rehearsal would have', async () => {
    expect(await seriesOf('sallyport_credentials_revoked_total')).toEqual({ '': 3 });
  });

  it('times the directory by what it was asked and said, and says that it is up', async () => {
    // What a built-in directory is asked at every request with a session is not timed: it answers from memory.
    expect(await seriesOf('sallyport_directory_seconds', 'sallyport_directory_seconds_count')).toEqual({
      '{directory="builtin",operation="authenticate",outcome="accepted"}': 3,
      '{directory="builtin",operation="authenticate",outcome="refused"}': 1,
      '{directory="builtin",operation="find",outcome="found"}': 3,
    });
    expect(await seriesOf('sallyport_directory_up')).toEqual({ '{directory="builtin"}': 1 });
  });

  it('tells the size of the log and the age, version and size of the list', async () => {
    const [, size] = (await broker.client().checkpoint()).split('\n');
    expect(await seriesOf('sallyport_log_entries')).toEqual({ '': Number(size) });
    expect(await seriesOf('sallyport_krl_age_seconds')).toEqual({ '': 90.5 });
    expect(await seriesOf('sallyport_krl_version')).toEqual({ '': Number(krl.version) });
    expect(await seriesOf('sallyport_krl_bytes')).toEqual({ '': krl.bytes.length });
  });
});

describe('the reader of metrics', () => {
  const good = '# HELP a_total b\n# TYPE a_total counter\na_total{x="1"} 2\n';
  it.each([
    ['no end of the last line', good.slice(0, -1)],
    ['a sample without family', 'a 1\n'],
    ['a sample before its type', '# HELP a b\na 1\n# TYPE a gauge\n'],
    ['a family in two pieces', good + good],
    ['a series twice', `${good}a_total{x="1"} 3\n`],
    ['a counter by another name', good.replaceAll('a_total', 'a')],
    ['a label that does not end', good.replace('"1"', '"1')],
    ['a value that is none', good.replace(' 2', ' two')],
    ['a type that is none', good.replace('counter', 'counts')],
    [
      'a histogram without its last bucket',
      '# HELP h b\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 1\nh_count 1\n',
    ],
    [
      'a histogram that falls',
      '# HELP h b\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n',
    ],
  ])('refuses %s', (_, text) => {
    expect(() => parseMetrics(text)).toThrow();
    expect(parseMetrics(good).get('a_total')?.series.get('a_total{x="1"}')).toBe(2);
  });
});
