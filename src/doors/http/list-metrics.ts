import { Gauge, type Registry } from 'prom-client';
import type { Rooms } from '../../broker/index.ts';

/** Gauges of the copies of lists in a directory. @returns brings them up to date */
export function createListGauges(registers: Registry[]): (rooms: Rooms) => void {
  const lag = new Gauge({
    name: 'sallyport_crl_copy_lag_seconds',
    help: 'For how long a newer CRL has been served than the directory has; 0 when it has the newest.',
    labelNames: ['authority'],
    registers,
  });
  const up = new Gauge({
    name: 'sallyport_crl_copy_up',
    help: '1 the last copy of the CRL into the directory went well, 0 it failed.',
    labelNames: ['authority'],
    registers,
  });
  return ({ tls }) => {
    for (const { authority, lagMs, failure } of tls?.copies?.states ?? []) {
      lag.set({ authority }, lagMs / 1000);
      up.set({ authority }, failure === undefined ? 1 : 0);
    }
  };
}
