import { describe, expect, it } from 'vitest';
import { createGate } from '../../src/identity/gate.ts';
import type { LoginStanding } from '../../src/identity/index.ts';
import { codeOf } from '../support/code-of.ts';

/** Work that ends when told to, and tells when it began. */
function heldWork() {
  const held = Promise.withResolvers<string>();
  const state = { began: false };
  return {
    state,
    release: () => held.resolve('done'),
    fail: () => held.reject(new Error('broken')),
    work: () => {
      state.began = true;
      return held.promise;
    },
  };
}

describe('the gate', () => {
  it('runs so many at once, then in order of arrival', async () => {
    const gate = createGate({ maxRunning: 1, maxWaiting: 2, maxFromNetwork: 2 });
    const [first, second, third] = [heldWork(), heldWork(), heldWork()];
    const ends = [first, second, third].map((one) => gate(one.work));
    expect([first, second, third].map((one) => one.state.began)).toEqual([true, false, false]);
    first.release();
    await ends[0];
    await Promise.resolve();
    expect([second, third].map((one) => one.state.began)).toEqual([true, false]);
    second.release();
    third.release();
    expect(await Promise.all(ends)).toEqual(['done', 'done', 'done']);
  });
  it('turns away what would wait beyond its bound, and opens again', async () => {
    const gate = createGate({ maxRunning: 1, maxWaiting: 0, maxFromNetwork: 2 });
    const held = heldWork();
    const end = gate(held.work);
    expect(await codeOf(() => gate(() => Promise.resolve()))).toBe('identity.busy');
    held.release();
    await end;
    expect(await codeOf(() => gate(() => Promise.resolve()))).toBe('accepted');
  });
  it('frees the place of work that failed', async () => {
    const gate = createGate({ maxRunning: 1, maxWaiting: 1, maxFromNetwork: 2 });
    const held = heldWork();
    const end = gate(held.work);
    const next = gate(() => Promise.resolve('next'));
    held.fail();
    await expect(end).rejects.toThrow('broken');
    expect(await next).toBe('next');
    expect(await gate(() => Promise.resolve('last'))).toBe('last');
  });

  const stranger = (network: string) => ({ trusted: false, network });
  const trusted = (network: string) => ({ trusted: true, network });

  /** A gate whose only place is taken until `open`, and who went through it in which order. */
  function closedGate(options: { readonly maxWaiting: number; readonly maxFromNetwork: number }) {
    const gate = createGate({ maxRunning: 1, ...options });
    const held = heldWork();
    const first = gate(held.work);
    const order: string[] = [];
    const ends: Promise<string>[] = [first];
    const come = (name: string, standing?: LoginStanding): Promise<string> => {
      const end = codeOf(() => gate(() => Promise.resolve(order.push(name)), standing));
      ends.push(end);
      return end;
    };
    const open = async (): Promise<readonly string[]> => {
      held.release();
      await Promise.all(ends);
      return order;
    };
    return { come, open };
  }

  it('keeps places for people who are trusted, whatever strangers do', async () => {
    const { come, open } = closedGate({ maxWaiting: 3, maxFromNetwork: 2 });
    const bots = Array.from({ length: 60 }, (_, bot) => come(`bot${bot}`, stranger(`10.0.${bot}.0/24`)));
    const alice = come('alice', trusted('192.0.2.0/24'));
    expect(await open()).toEqual(['alice', 'bot0', 'bot1', 'bot2']);
    expect(await alice).toBe('accepted');
    expect((await Promise.all(bots)).filter((code) => code === 'identity.busy')).toHaveLength(57);
  });
  it('serves both queues in turn, so that neither starves', async () => {
    const { come, open } = closedGate({ maxWaiting: 3, maxFromNetwork: 3 });
    for (const name of ['a', 'b', 'c']) void come(name, stranger('n'));
    for (const name of ['A', 'B', 'C']) void come(name, trusted('n'));
    expect(await open()).toEqual(['A', 'a', 'B', 'b', 'C', 'c']);
  });
  it.each([
    ['strangers', stranger],
    ['the trusted', trusted],
  ])('gives one network of %s no more than its share', async (_title, standing) => {
    const { come, open } = closedGate({ maxWaiting: 4, maxFromNetwork: 2 });
    const crowd = ['a', 'b', 'c'].map((name) => come(name, standing('10.0.0.0/24')));
    const other = come('d', standing('10.0.1.0/24'));
    expect(await open()).toEqual(['a', 'b', 'd']);
    expect(await Promise.all(crowd)).toEqual(['accepted', 'accepted', 'identity.busy']);
    expect(await other).toBe('accepted');
  });
  it('takes work of unknown standing for a stranger’s, of no network in particular', async () => {
    const { come, open } = closedGate({ maxWaiting: 3, maxFromNetwork: 1 });
    const ends = ['a', 'b', 'c', 'd'].map((name) => come(name));
    expect(await open()).toEqual(['a', 'b', 'c']);
    expect(await ends[3]).toBe('identity.busy');
  });
});
