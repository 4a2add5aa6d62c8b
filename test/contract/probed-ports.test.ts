import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ProbedHost, ProbedPort, Store } from '../../src/broker/index.ts';
import { entry, implementations, start, type Place } from './store-fixture.ts';

const port = (number: number, over: Partial<ProbedPort> = {}): ProbedPort => ({
  port: number,
  service: 'telnet-ssl',
  application: 'telnet',
  state: 'tls',
  notAfterMs: start + 1000,
  findings: ['expires_soon', 'half_secured'],
  ...over,
});

describe.each(implementations)('what probes saw, on $name', ({ newPlace }) => {
  let place: Place;
  let store: Store;
  beforeEach(async () => {
    place = newPlace();
    store = await place.open();
  });
  afterEach(async () => {
    await store.close();
    place.remove();
  });
  const record = (hosts: readonly ProbedHost[], forgetBeforeMs = 0): Promise<unknown> =>
    store.commit({ probed: { hosts, forgetBeforeMs }, entries: [entry()] });
  const seen = async (): Promise<unknown> =>
    (await store.probedPorts()).map(({ host, port: number, probedMs }) => [host, number, probedMs - start]);

  it('is kept by host and port, with or without a certificate, and survives a restart', async () => {
    const clear = port(23, { state: 'clear', notAfterMs: undefined, findings: [] });
    await record([
      { host: 'prod', probedMs: start, ports: [port(992), clear] },
      { host: 'Prod-2', probedMs: start, ports: [port(992)] },
      { host: 'empty', probedMs: start, ports: [] },
    ]);
    await store.close();
    store = await place.open();
    const at = { probedMs: start };
    expect(await store.probedPorts()).toEqual([
      { host: 'Prod-2', ...at, ...port(992) },
      { host: 'prod', ...at, ...clear },
      { host: 'prod', ...at, ...port(992) },
    ]);
    expect(await store.probedPortsBeside(['prod'])).toBe(1);
    expect(await store.probedPortsBeside([])).toBe(3);
  });

  it('gives way to a later look, and never to an earlier one', async () => {
    await record([{ host: 'prod', probedMs: start + 5, ports: [port(992), port(23)] }]);
    await record([{ host: 'prod', probedMs: start + 9, ports: [port(992)] }]);
    expect(await seen()).toEqual([['prod', 992, 9]]);
    await record([{ host: 'prod', probedMs: start + 7, ports: [port(992), port(9476)] }]);
    expect(await seen()).toEqual([['prod', 992, 9]]);
    await record([{ host: 'prod', probedMs: start + 9, ports: [port(448)] }]);
    expect(await seen()).toEqual([['prod', 448, 9]]);
  });

  it('is forgotten when nobody looked again', async () => {
    await record([{ host: 'old', probedMs: start, ports: [port(992)] }]);
    await record([{ host: 'new', probedMs: start + 9, ports: [port(992)] }], start + 5);
    expect(await seen()).toEqual([['new', 992, 9]]);
  });
});
