import { describe, expect, test } from 'vitest';
import { collectPages } from '../../../src/doors/cli/pages.ts';

describe('pages', () => {
  const pages =
    (
      total: number,
    ): ((
      after: string | undefined,
      limit: string,
    ) => Promise<{ items: number[]; next: string | undefined }>) =>
    (after, limit) => {
      const first = Number(after ?? 0);
      const last = Math.min(total, first + Math.min(Number(limit), 3));
      const items = Array.from({ length: last - first }, (_none, nth) => first + nth);
      return Promise.resolve({ items, next: last < total ? String(last) : undefined });
    };

  test.each([
    [10, 100, 10, false],
    [10, 10, 10, false],
    [10, 7, 7, true],
    [3, 3, 3, false],
    [0, 5, 0, false],
  ])('of %i items, at most %i: %i come, more: %s', async (total, limit, count, more) => {
    const found = await collectPages(limit, pages(total));
    expect(found).toEqual({ items: Array.from({ length: count }, (_none, nth) => nth), more });
  });

  test('that are empty but promise more end the walk', async () => {
    const found = await collectPages(10, () => Promise.resolve({ items: [], next: 'again' }));
    expect(found).toEqual({ items: [], more: false });
  });
});
