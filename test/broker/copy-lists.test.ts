import { describe, expect, it } from 'vitest';
import { ListCopies, type CopiedList, type CrlPublication } from '../../src/broker/index.ts';
import { CodedError } from '../../src/kernel/index.ts';
import { codeOf } from '../support/code-of.ts';

const startMs = 1_700_000_000_000;

const list = (number: bigint, publishedMs = startMs): CrlPublication => ({
  caFingerprint: 'SHA256:ca',
  number,
  publishedMs,
  nextUpdateMs: publishedMs + 86_400_000,
  full: Buffer.from(`full ${number}`),
  delta: Buffer.alloc(0),
  acts: 0,
  base: { number, acts: 0, publishedMs },
  nextBase: { number, acts: 0, publishedMs },
});

/** A directory that takes lists, or fails as long as it is told to. */
function directory() {
  const puts: string[] = [];
  const state = { fails: false };
  return {
    puts,
    state,
    name: 'ldaps://directory.example:636',
    put: ({ commonName, bytes }: CopiedList): Promise<void> => {
      puts.push(`${commonName}: ${bytes.toString()}`);
      return state.fails
        ? Promise.reject(new CodedError('identity.list_not_taken', 'No.', { next: 'Wait.' }))
        : Promise.resolve();
    },
  };
}

function copiesOf(far: ReturnType<typeof directory>) {
  const served: { current: CrlPublication | undefined } = { current: undefined };
  const time = { nowMs: startMs };
  const authorities = [
    { name: 'issuing-1', commonName: 'Test CA', of: 'certificates' as const, current: () => served.current },
  ];
  const copies = new ListCopies(far, authorities, { nowMs: () => time.nowMs });
  return { copies, served, time };
}

describe('copies of lists', () => {
  it('are made once for each list, and never before there is one', async () => {
    const far = directory();
    const { copies, served } = copiesOf(far);
    await copies.look();
    served.current = list(1n);
    await copies.look();
    await copies.look();
    served.current = list(2n);
    await copies.look();
    expect(far.puts).toEqual(['Test CA: full 1', 'Test CA: full 2']);
    expect(copies.states).toEqual([{ authority: 'issuing-1', lagMs: 0, failure: undefined }]);
  });

  it('that fail are told once, tried again ever less often, and leave out what was overtaken', async () => {
    const far = directory();
    const { copies, served, time } = copiesOf(far);
    far.state.fails = true;
    served.current = list(1n);
    expect(await codeOf(copies.look())).toBe('identity.list_not_taken');
    for (let second = 1; second <= 300; second += 1) {
      time.nowMs += 1000;
      if (second === 100) served.current = list(2n, time.nowMs);
      await copies.look();
    }
    // After 2, 4, 8, 16 and 32 seconds, then every minute.
    expect(far.puts).toHaveLength(9);
    expect(copies.states).toEqual([
      { authority: 'issuing-1', lagMs: 300_000, failure: 'identity.list_not_taken' },
    ]);
    far.state.fails = false;
    time.nowMs += 60_000;
    await copies.look();
    expect(far.puts.at(-1)).toBe('Test CA: full 2');
    expect(copies.states).toEqual([{ authority: 'issuing-1', lagMs: 0, failure: undefined }]);
    // The next failure is told again.
    far.state.fails = true;
    served.current = list(3n, time.nowMs);
    expect(await codeOf(copies.look())).toBe('identity.list_not_taken');
  });

  it('are made no more after the end', async () => {
    const far = directory();
    const { copies, served } = copiesOf(far);
    served.current = list(1n);
    copies.close();
    await copies.look();
    expect(far.puts).toEqual([]);
  });
});
