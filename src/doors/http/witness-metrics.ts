import { Gauge, type Registry } from 'prom-client';
import type { Rooms } from '../../broker/index.ts';

/** Gauges of what witnesses cosigned, which stay without values where there are none. @returns brings them up to date */
export function createWitnessGauges(registers: Registry[]): (rooms: Pick<Rooms, 'cosigning'>) => void {
  const gauge = (name: string, help: string, labelNames: readonly string[] = []): Gauge =>
    new Gauge({ name, help, labelNames: [...labelNames], registers });
  const quorum = gauge(
    'sallyport_witness_quorum',
    '1 the last round of asking met the quorum, 0 it did not, -1 none has ended yet.',
    ['quorum'],
  );
  const quorumSize = gauge(
    'sallyport_witness_quorum_entries',
    'Entries that the newest checkpoint covers which met the quorum.',
    ['quorum'],
  );
  const up = gauge('sallyport_witness_up', '1 up, 0 down, -1 not asked yet.', ['witness']);
  const size = gauge(
    'sallyport_witness_cosigned_entries',
    'Entries that the newest checkpoint covers which the witness cosigned.',
    ['witness'],
  );
  const time = gauge(
    'sallyport_witness_cosigned_timestamp_seconds',
    'When the witness cosigned that, by its own clock.',
    ['witness'],
  );
  return ({ cosigning }) => {
    if (cosigning === undefined) return;
    const { newest, isFailing, quorum: name } = cosigning;
    quorum.set({ quorum: name }, isFailing ? 0 : newest === undefined ? -1 : 1);
    if (newest !== undefined) quorumSize.set({ quorum: name }, Number(newest.size));
    for (const { name: witness, state, cosigned } of cosigning.states()) {
      up.set({ witness }, { up: 1, down: 0, unknown: -1 }[state]);
      if (cosigned === undefined) continue;
      size.set({ witness }, Number(cosigned.size));
      time.set({ witness }, cosigned.atMs / 1000);
    }
  };
}
