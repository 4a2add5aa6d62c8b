import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { LogDelivery, type Sink, type Store } from '../../src/broker/index.ts';
import { createSyslogMessage, createSyslogSink, type FormatName } from '../../src/doors/sinks/index.ts';
import { systemClock, systemRandom, systemStopwatch } from '../../src/kernel/index.ts';
import { entries, implementations, type Place } from '../contract/store-fixture.ts';
import { everyType } from '../doors/sinks/every-type.ts';
import { context } from '../doors/sinks/stored.ts';
import { describeWithPeers } from '../support/peers.ts';
import { startRsyslog, type Received, type Rsyslog } from '../support/rsyslog.ts';
import type { Holder } from '../support/sink-tls.ts';

const patience = { timeout: 60_000, interval: 20 };

for (const driver of ['ossl', 'gtls'] as const)
  describeWithPeers(
    ['rsyslogd', `lmnsd_${driver}.so`, 'openssl'],
    `a real rsyslog over mutual TLS (${driver})`,
    () => {
      let rsyslog: Rsyslog;
      let place: Place;
      let store: Store;
      let delivery: LogDelivery | undefined;
      beforeAll(async () => {
        rsyslog = await startRsyslog(driver);
      });
      afterAll(() => rsyslog.close());
      beforeEach(async () => {
        place = (implementations[0] as (typeof implementations)[number]).newPlace();
        store = await place.open();
      });
      afterEach(async () => {
        await delivery?.stop();
        delivery = undefined;
        await store.close();
        place.remove();
      });

      const sinkOf = (
        format: FormatName,
        over: { readonly ca?: string; readonly client?: Holder } = {},
        receiver = rsyslog,
      ): Sink => {
        const { tls, port } = receiver;
        const { ca = tls.caFile, client = 'client' } = over;
        return createSyslogSink({
          name: 'siem',
          format,
          host: '127.0.0.1',
          port,
          tls: () => ({
            ca: tls.pem(ca),
            certificate: tls.pem(tls.certificateFile(client)),
            key: tls.pem(tls.keyFile(client)),
          }),
          // What other tests of this file sent can be told apart.
          message: createSyslogMessage(format, { ...context, hostname: place.location.replaceAll('/', '_') }),
          clock: systemClock,
        });
      };
      const deliver = (sink: Sink): LogDelivery => {
        delivery = new LogDelivery({
          store,
          sinks: [{ sink, from: 'start' }],
          clock: systemClock,
          stopwatch: systemStopwatch,
          random: systemRandom,
          tell: () => undefined,
        });
        delivery.start();
        return delivery;
      };
      const received = (): readonly Received[] =>
        rsyslog.received().filter(({ host }) => host === place.location.replaceAll('/', '_'));
      const indexes = (): number[] => received().map(({ sd }) => Number(/ idx="(\d+)"/.exec(sd)?.[1]));
      const lag = async (): Promise<bigint | undefined> => (await delivery?.states())?.[0]?.lag;

      it('takes every type of entry, and understands header, structured data and text', async () => {
        await store.commit({ entries: everyType });
        deliver(sinkOf('rfc5424'));
        await expect.poll(() => received().length, patience).toBe(everyType.length);
        expect(indexes()).toEqual(everyType.map((_, nth) => nth));
        expect(received().map(({ msgid }) => msgid)).toEqual(everyType.map(({ type }) => type));
        const [first] = received();
        expect(first).toMatchObject({ pri: '110', app: 'sallyport', time: '2026-11-23T12:00:00.000Z' });
        expect(first?.msg.replace(/^\uFEFF/, '')).toBe('Certificate issued: success');
        expect(first?.sd).toContain('reason="ticket 17: “disk=full”?second line"');
      });

      it.each(['cef', 'ocsf', 'json'] as const)('takes %s as the text of a message', async (format) => {
        await store.commit({ entries: everyType });
        deliver(sinkOf(format));
        await expect.poll(() => received().length, patience).toBe(everyType.length);
        for (const { msg, sd } of received()) {
          expect(sd).toBe('-');
          if (format === 'cef') expect(msg.trimStart().startsWith('CEF:0|Sallyport|')).toBe(true);
          else expect(JSON.parse(msg)).toMatchObject({});
        }
      });

      it.each<[string, { readonly ca?: string; readonly client?: Holder }, RegExp]>([
        ['is not of our authority', { ca: 'stranger' }, /^sinks\.untrusted$/],
        ['does not accept our certificate', { client: 'stranger' }, /^sinks\.(?:refused|broken_off)$/],
      ])('is given nothing when it %s, and nothing counts as delivered', async (_, over, code) => {
        await store.commit({ entries: entries(5) });
        const ca = over.ca === undefined ? rsyslog.tls.caFile : rsyslog.tls.strangerCaFile;
        const running = deliver(sinkOf('rfc5424', { ...over, ca }));
        await expect
          .poll(async () => (await running.states())[0]?.failure?.code ?? '', patience)
          .toMatch(code);
        expect(await running.states()).toMatchObject([{ state: 'down', next: 0n, lag: 5n }]);
        expect(received()).toEqual([]);
      });

      // The driver ossl of rsyslog 8.2302 lets others through now and then, and keeps what they send.
      if (driver === 'gtls')
        it.each([
          ['broker.example.com', 'up', 0n],
          ['somebody-else.example.com', 'down', 5n],
        ])('that permits only %s is %s and leaves %d of 5 entries behind', async (permitted, state, left) => {
          const strict = await startRsyslog(driver, permitted);
          try {
            await store.commit({ entries: entries(5) });
            const running = deliver(sinkOf('rfc5424', {}, strict));
            await expect.poll(async () => (await running.states())[0]?.state, patience).not.toBe('unknown');
            await expect.poll(() => strict.received().length, patience).toBe(5 - Number(left));
            await expect.poll(lag, patience).toBe(left);
            expect(await running.states()).toMatchObject([{ state }]);
          } finally {
            await delivery?.stop();
            delivery = undefined;
            await strict.close();
          }
        });

      it('misses no entry and keeps the order when it is killed and started again, again and again', async () => {
        deliver(sinkOf('rfc5424'));
        let written = 0;
        const write = async (count: number): Promise<void> => {
          await store.commit({ entries: entries(count) });
          written += count;
        };
        for (let round = 0; round < 4; round += 1) {
          // Killed in the middle of a stream: some of it sent, some of it read, some of it kept.
          for (let nth = 0; nth < 20; nth += 1) await write(150);
          const before = received().length;
          await expect.poll(() => received().length, patience).toBeGreaterThan(before);
          await rsyslog.stop(round % 2 === 0 ? 'SIGKILL' : 'SIGTERM');
          await write(50);
          await expect.poll(async () => (await delivery?.states())?.[0]?.state, patience).toBe('down');
          await rsyslog.start();
          await expect.poll(lag, patience).toBe(0n);
        }
        await expect.poll(() => indexes().at(-1), patience).toBe(written - 1);
        // Duplicates are allowed: the first time that each index came, they came in order and without a gap.
        const firsts = [...new Set(indexes())];
        expect(firsts.length).toBe(written);
        expect(firsts.every((index, nth) => index === nth)).toBe(true);
      });

      it('is waited for while it hangs, and only by its own loop', async () => {
        const running = deliver(sinkOf('rfc5424'));
        rsyslog.freeze();
        try {
          await store.commit({ entries: entries(3) });
          // The log goes on as if nothing were wrong.
          for (let nth = 0; nth < 50; nth += 1) await store.commit({ entries: entries(2) });
          expect(await running.states()).toMatchObject([{ lag: 103n }]);
        } finally {
          rsyslog.thaw();
        }
        await expect.poll(lag, patience).toBe(0n);
        await expect.poll(() => new Set(indexes()).size, patience).toBe(103);
      });
    },
  );
