import { Gauge, type Registry } from 'prom-client';
import type { Rooms } from '../../broker/index.ts';

const dayMs = 86_400_000;

/** Gauges of what probes saw last. @returns brings them up to date, from the rows: hosts that were forgotten are gone. */
export function createProbeGauges(registers: Registry[]): (rooms: Rooms) => Promise<void> {
  const gauge = (name: string, help: string, labelNames: string[]): Gauge =>
    new Gauge({ name, help, labelNames, registers });
  const daysLeft = gauge('sallyport_probe_days_left', 'Days until the certificate on a probed port ends.', [
    'host',
    'port',
    'service',
  ]);
  const finding = gauge('sallyport_probe_finding', '1 for each finding on a probed port.', [
    'host',
    'port',
    'code',
  ]);
  const lastLook = gauge('sallyport_probe_timestamp_seconds', 'When a host was last probed.', ['host']);
  return async ({ store, clock }) => {
    // Asked first: between reset and the last value no other scrape may come.
    const ports = await store.probedPorts();
    for (const one of [daysLeft, finding, lastLook]) one.reset();
    for (const { host, port: number, service, notAfterMs, findings, probedMs } of ports) {
      const port = String(number);
      lastLook.set({ host }, probedMs / 1000);
      if (notAfterMs !== undefined)
        daysLeft.set({ host, port, service }, (notAfterMs - clock.nowMs()) / dayMs);
      for (const code of findings) finding.set({ host, port, code }, 1);
    }
  };
}
