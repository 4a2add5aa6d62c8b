import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { countHosts, type Rooms } from '../../broker/index.ts';
import { createListGauges } from './list-metrics.ts';
import { createProbeGauges } from './probe-metrics.ts';
import { heldPeople } from './health.ts';
import { createWitnessGauges } from './witness-metrics.ts';

/** What Prometheus reads at /metrics. */
export interface Metrics {
  readonly contentType: string;
  /** Counts one answered request by route and outcome. */
  observeRequest(route: string, status: number, code: string | undefined, seconds: number): void;
  /** For the flows of the broker. */
  readonly counters: Rooms['counters'];
  observeDirectory(directory: string, operation: string, outcome: string, seconds: number): void;
  render(rooms: Rooms): Promise<string>;
}

/** A registry of its own, so that two brokers in one process do not meet. */
export function createMetrics(): Metrics {
  const registers = [new Registry()];
  const [registry = new Registry()] = registers;
  collectDefaultMetrics({ register: registry });
  const requests = new Histogram({
    name: 'sallyport_http_request_seconds',
    help: 'Requests by route and status.',
    labelNames: ['route', 'status'],
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    registers,
  });
  const refused = new Counter({
    name: 'sallyport_refused_total',
    help: 'Requests refused, by route and code.',
    labelNames: ['route', 'code'],
    registers,
  });
  const issued = new Counter({
    name: 'sallyport_ssh_certificates_issued_total',
    help: 'SSH user certificates released, by profile.',
    labelNames: ['profile'],
    registers,
  });
  const logins = new Counter({
    name: 'sallyport_host_logins_total',
    help: 'Logins on hosts, by verdict.',
    labelNames: ['verdict'],
    registers,
  });
  const revoked = new Counter({
    name: 'sallyport_credentials_revoked_total',
    help: 'Live credentials that a revocation hit.',
    registers,
  });
  const directorySeconds = new Histogram({
    name: 'sallyport_directory_seconds',
    help: 'Answers of directories, by directory, operation and outcome.',
    labelNames: ['directory', 'operation', 'outcome'],
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    registers,
  });
  const gauge = (name: string, help: string, labelNames: string[] = []): Gauge =>
    new Gauge({ name, help, labelNames, registers });
  const directoryUp = gauge('sallyport_directory_up', '1 up, 0 down, -1 not asked yet.', ['directory']);
  const logSize = gauge('sallyport_log_entries', 'Entries in the accounting log.');
  const krlAge = gauge('sallyport_krl_age_seconds', 'Time since the list in force was published.');
  const krlVersion = gauge('sallyport_krl_version', 'Version of the list in force.');
  const sinkUp = gauge('sallyport_sink_up', '1 up, 0 down, -1 standing by or not tried yet.', ['sink']);
  const sinkLag = gauge('sallyport_sink_lag_entries', 'Log entries that the sink has not taken yet.', [
    'sink',
  ]);
  const sinkTime = gauge(
    'sallyport_sink_last_delivered_timestamp_seconds',
    'When this broker last delivered to the sink.',
    ['sink'],
  );
  const bringProbesUpToDate = createProbeGauges(registers);
  const bringListsUpToDate = createListGauges(registers);
  const bringWitnessesUpToDate = createWitnessGauges(registers);
  const followedUp = gauge(
    'sallyport_departures_followed',
    '1 the directory is followed, 0 that fails, -1 another broker does or not yet.',
    ['directory'],
  );
  const followedTime = gauge(
    'sallyport_departures_last_look_timestamp_seconds',
    'When the directory last told this broker what changed.',
    ['directory'],
  );
  const doubtful = gauge(
    'sallyport_departures_doubtful',
    'People who seem to have left for reasons that a fault would have as well.',
    ['directory'],
  );
  const held = gauge(
    'sallyport_departures_held',
    'People whose departure waits for an admin because they are too many at once.',
    ['directory'],
  );
  const hosts = gauge('sallyport_hosts', 'Hosts by state and group.', ['state', 'group']);
  const hostsStale = gauge(
    'sallyport_hosts_stale',
    'Enrolled hosts whose bundle is older than their group allows, or that have none.',
  );
  const hostsBehind = gauge('sallyport_hosts_behind', 'Enrolled hosts without the newest bundle.');
  const hostsWaiting = gauge('sallyport_hosts_waiting', 'Hosts that wait for news at this broker now.');
  const krlLost = gauge(
    'sallyport_krl_rows_lost',
    '1 when the database had lost revocations that the list in force has nevertheless, else 0.',
  );
  const krlBytes = gauge('sallyport_krl_bytes', 'Size of the list in force.');

  return {
    contentType: registry.contentType,
    observeRequest(route, status, code, seconds) {
      requests.observe({ route, status: String(status) }, seconds);
      if (code !== undefined) refused.inc({ route, code });
    },
    counters: {
      issued: (profile) => issued.inc({ profile }),
      revoked: (count) => revoked.inc(count),
      login: (verdict) => logins.inc({ verdict }),
    },
    observeDirectory: (directory, operation, outcome, seconds) =>
      directorySeconds.observe({ directory, operation, outcome }, seconds),
    async render(rooms) {
      for (const { directory, state } of rooms.identity.health()) {
        directoryUp.set({ directory }, { up: 1, down: 0, unknown: -1 }[state]);
      }
      for (const { name: sink, state, lag, lastDeliveredMs } of await rooms.delivery.states()) {
        sinkUp.set({ sink }, { up: 1, down: 0, standby: -1, unknown: -1 }[state]);
        sinkLag.set({ sink }, Number(lag));
        if (lastDeliveredMs !== undefined) sinkTime.set({ sink }, lastDeliveredMs / 1000);
      }
      await bringProbesUpToDate(rooms);
      bringListsUpToDate(rooms);
      bringWitnessesUpToDate(rooms);
      const waiting = await heldPeople(rooms);
      for (const follower of rooms.followers) {
        const { directory, state, lookedMs, doubtful: inDoubt } = follower.state();
        followedUp.set({ directory }, { following: 1, failing: 0, standby: -1, unknown: -1 }[state]);
        if (lookedMs !== undefined) followedTime.set({ directory }, lookedMs / 1000);
        doubtful.set({ directory }, inDoubt.size);
        held.set({ directory }, waiting.get(directory) ?? 0);
      }
      logSize.set(Number((await rooms.store.logHead()).size));
      const totals = await countHosts(rooms);
      hosts.reset();
      for (const { state, group, count } of totals.counts) hosts.set({ state, group }, count);
      hostsStale.set(totals.stale);
      hostsBehind.set(totals.behind);
      hostsWaiting.set(totals.waiting);
      krlLost.set(rooms.krl.loss === undefined ? 0 : 1);
      const krl = rooms.krl.current;
      if (krl !== undefined) {
        krlAge.set(Math.max(0, (rooms.clock.nowMs() - krl.publishedMs) / 1000));
        krlVersion.set(Number(krl.version));
        krlBytes.set(krl.bytes.length);
      }
      return registry.metrics();
    },
  };
}
