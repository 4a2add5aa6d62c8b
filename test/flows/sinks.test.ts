import { once } from 'node:events';
import { mkdirSync, readFileSync, renameSync, watch } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/kernel/index.ts';
import { parseKrl, parsePublicKey } from '../../src/ssh/index.ts';
import { ask, newPublicKey } from '../doors/http/support.ts';
import {
  alice,
  auditor,
  boss,
  makeBrokerFolder,
  startTestBroker,
  type BrokerFolder,
  type TestBroker,
} from '../support/broker.ts';
import { parseMetrics } from '../support/prometheus.ts';
import { bundleOf, logInTo, serve, type Served } from '../support/serve.ts';

interface Line {
  readonly index: string;
  readonly log: string;
  readonly leaf_hash: string;
  readonly entry: { readonly type: string };
  readonly personal?: Readonly<Record<string, string>>;
}

const sinks = `sinks:
  - name: copy
    kind: file
    format: json
    path: out/copy.jsonl
    personal: include
`;

let made: BrokerFolder;
let served: Served | undefined;
const at = (name: string): string => join(made.folder, 'out', name);
const textOf = (name: string): string => readFileSync(at(name), 'utf8');
const linesOf = (name: string): Line[] =>
  textOf(name)
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);

/** Resolves when the file has such a line; the broker writes whole batches. */
async function has(name: string, pattern: RegExp): Promise<void> {
  for await (const _change of changesOf(join(made.folder, 'out'))) {
    try {
      if (pattern.test(textOf(name))) return;
    } catch {
      // Not there yet.
    }
  }
}

/** Once at the beginning, and then at each change in the folder. */
async function* changesOf(folder: string): AsyncGenerator<void> {
  let changed: () => void = () => undefined;
  let next = Promise.resolve();
  const arm = (): void => {
    next = new Promise((resolve) => {
      changed = resolve;
    });
  };
  const watcher = watch(folder, () => changed());
  try {
    for (;;) {
      arm();
      yield;
      await next;
    }
  } finally {
    watcher.close();
  }
}

describe('a broker with a file sink', () => {
  afterEach(async () => {
    await served?.stop();
    made.remove();
  });

  it('copies every entry there, in order, through log rotation, kill -9 and restart', async () => {
    made = await makeBrokerFolder({ people: [boss, alice], directories: sinks });
    mkdirSync(join(made.folder, 'out'), { mode: 0o700 });
    served = await serve(made.configFile);
    await logInTo(made, alice);
    await has('copy.jsonl', /"auth\.login"/);
    renameSync(at('copy.jsonl'), at('copy.jsonl.1'));
    await logInTo(made, boss);
    await has('copy.jsonl', /"auth\.login"/);
    served.process.kill('SIGKILL');
    await served.ended();

    served = await serve(made.configFile);
    const session = await logInTo(made, boss);
    const bundle = (await bundleOf(made, session)).toString('utf8');
    await has('copy.jsonl', /"log\.export"/);
    expect(await served.stop()).toBe(0);
    served = undefined;

    // At least once and in order: only what a crash left unconfirmed may come again.
    const all = [...linesOf('copy.jsonl.1'), ...linesOf('copy.jsonl')];
    const indexes = [...new Set(all.map(({ index }) => Number(index)))];
    expect(indexes).toEqual(indexes.map((_, nth) => nth));
    const whole = all.filter(({ index }, nth) => all.findIndex((other) => other.index === index) === nth);
    const types = whole.map(({ entry }) => entry.type);
    expect(types.slice(0, 2)).toEqual(['ca.create', 'system.start']);
    expect(types.at(-1)).toBe('system.stop');

    // The very bytes that were hashed, and what may leave in clear.
    for (const raw of [...textOf('copy.jsonl.1').split('\n'), ...textOf('copy.jsonl').split('\n')].slice(
      0,
      -1,
    )) {
      if (raw === '') continue;
      const { leaf_hash: leafHash, index } = JSON.parse(raw) as Line;
      const entry = raw.slice(raw.indexOf('"entry":') + 8, raw.lastIndexOf(',"personal":{'));
      expect(sha256(Buffer.of(0), entry).toString('hex')).toBe(leafHash);
      if (bundle.includes(`\nentry ${index}\n`)) expect(bundle).toContain(`\nentry ${index}\n${entry}\n`);
    }
    const logins = whole.filter(({ entry }) => entry.type === 'auth.login');
    expect(logins.map(({ personal }) => personal?.['actor.name'])).toEqual(['alice', 'boss', 'boss']);
  });
});

describe('sinks of which one takes nothing', () => {
  let broker: TestBroker;
  const twoSinks = `sinks:
  - {name: good, kind: file, format: json, path: copy.jsonl}
  - {name: bad, kind: file, format: json, path: data}
`;
  const series = async (): Promise<ReadonlyMap<string, number>> => {
    const text = (await ask(broker, { path: '/metrics' })).body.toString('utf8');
    const families = [...parseMetrics(text).values()];
    return new Map(families.flatMap((family) => [...family.series]));
  };

  it('shows both in metrics, in readiness, and to auditors, and goes on as ever', async () => {
    broker = await startTestBroker({ people: [boss, alice, auditor], directories: twoSinks });
    try {
      const client = await broker.loggedIn(auditor);
      await expect
        .poll(async () => (await client.sinks()).map(({ lag }) => lag), { timeout: 20_000 })
        .toEqual(['0', '7']);
      const [good, bad] = await client.sinks();
      expect(good).toMatchObject({ name: 'good', kind: 'file', format: 'json', state: 'up', next: '7' });
      expect(bad).toMatchObject({ name: 'bad', state: 'down', next: '0', code: 'sinks.file_unwritable' });

      const metrics = await series();
      expect(metrics.get('sallyport_sink_up{sink="good"}')).toBe(1);
      expect(metrics.get('sallyport_sink_up{sink="bad"}')).toBe(0);
      expect(metrics.get('sallyport_sink_lag_entries{sink="good"}')).toBe(0);
      expect(metrics.get('sallyport_sink_lag_entries{sink="bad"}')).toBe(7);
      expect(metrics.get('sallyport_sink_last_delivered_timestamp_seconds{sink="good"}')).toBeGreaterThan(
        1e9,
      );
      expect(metrics.has('sallyport_sink_last_delivered_timestamp_seconds{sink="bad"}')).toBe(false);

      const ready = await ask(broker, { path: '/readyz' });
      expect([ready.status, ready.json()['status']]).toEqual([200, 'ready']);
      expect(ready.json()['dependencies']).toEqual(
        expect.arrayContaining([
          { name: 'sink:good', state: 'up', detail: '0 entries behind' },
          {
            name: 'sink:bad',
            state: 'down',
            detail: expect.stringMatching(/^7 entries behind; .*\/data /) as string,
          },
        ]),
      );
      // Names of files and servers are for whoever runs the broker.
      expect(JSON.stringify(await client.sinks())).not.toContain(broker.folder);
    } finally {
      await broker.stop();
    }
  });
});

describe('a sink that takes connections and never answers', () => {
  const files = { 'secrets/hook.secret': 'canary-hook-secret-8Rt5Wq1' };
  const directories = (port: number): string => `sinks:
  - {name: hook, kind: webhook, format: json, url: "https://127.0.0.1:${port}/", secret-file: secrets/hook.secret}
`;

  it('holds up no certificate and no revocation', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const asked = once(silent, 'connection');
    const broker = await startTestBroker({ people: [boss, alice], directories: directories(port), files });
    try {
      // It hangs now, with entries waiting for it.
      const [socket] = (await asked) as [Socket];
      const user = await broker.loggedIn(alice);
      const key = newPublicKey();
      const { serial } = await user.sign(key, {});
      const admin = await broker.loggedIn(boss);
      const { applied, krl } = await admin.revoke({
        target: { kind: 'person', value: 'alice' },
        reason: 'left',
        lock: true,
        apply: true,
      });
      expect([applied, krl === undefined]).toEqual([true, false]);
      const caKey = parsePublicKey((await admin.authority()).sshUserCa.publicKey).blob;
      const list = parseKrl(await admin.krl());
      expect(list.isRevoked({ key: parsePublicKey(key).blob, caKey, serial })).toMatchObject({
        revoked: true,
      });
      expect(await admin.sinks()).toMatchObject([{ name: 'hook', next: '0' }]);
      expect(socket.destroyed).toBe(false);
    } finally {
      await broker.stop();
      silent.close();
    }
  });
});
