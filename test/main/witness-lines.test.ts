import { describe, expect, it } from 'vitest';
import type { WitnessEvent } from '../../src/doors/witness/index.ts';
import { witnessLines } from '../../src/main/operator/witness-lines.ts';

const base = { what: 'refused', origin: 'a.example/log', size: 7n } as const;
const unproven: WitnessEvent = { ...base, status: 422, unproven: 'the note' };

function lines(): {
  readonly observe: (event: WitnessEvent) => void;
  readonly printed: [level: string, shown: Record<string, unknown>][];
  readonly time: { ms: number };
} {
  const printed: [string, Record<string, unknown>][] = [];
  const time = { ms: 0 };
  const print = (level: string) => (shown: unknown) =>
    void printed.push([level, shown as Record<string, unknown>]);
  const log = { info: print('info'), warn: print('warn'), error: print('error') };
  return { observe: witnessLines(log, { elapsedMs: () => time.ms }), printed, time };
}

describe('what a witness prints', () => {
  it('is an error only with two checkpoints that contradict each other', () => {
    const { observe, printed } = lines();
    observe({ ...base, what: 'cosigned', status: 200 });
    observe({ ...base, status: 409, why: 'elsewhere' });
    observe(unproven);
    observe({ ...base, status: 409, evidence: { sent: 'one', seen: 'other' } });
    expect(printed.map(([level]) => level)).toEqual(['info', 'info', 'warn', 'error']);
    expect(printed[2]?.[1]).toMatchObject({ unproven: 'the note', size: '7' });
    expect(printed[3]?.[1]).toMatchObject({ evidence: { sent: 'one', seen: 'other' }, size: '7' });
  });

  it('speaks of checkpoints without a proof once a minute for each log, and counts the others', () => {
    const { observe, printed, time } = lines();
    for (let nth = 0; nth < 1000; nth += 1) observe(unproven);
    observe({ ...unproven, origin: 'b.example/log' });
    expect(printed).toHaveLength(2);
    time.ms = 59_999;
    observe(unproven);
    expect(printed).toHaveLength(2);
    time.ms = 60_000;
    observe(unproven);
    expect(printed.map(([, { notShown }]) => notShown)).toEqual([undefined, undefined, 1000]);
    // Evidence never waits.
    observe({ ...base, status: 409, evidence: { sent: 'one', seen: 'other' } });
    expect(printed).toHaveLength(4);
  });
});
