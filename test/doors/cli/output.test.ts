import { describe, expect, test } from 'vitest';
import { tableLines } from '../../../src/doors/cli/output.ts';

const screen = (columns: number): { isTTY: boolean; columns: number; write: () => undefined } => ({
  isTTY: true,
  columns,
  write: () => undefined,
});
const text = (lines: ReturnType<typeof tableLines>): string[] =>
  lines.map((line) => (typeof line === 'string' ? line : line.text));

describe('a table whose last column wraps', () => {
  const rows = [
    ['1', 'policy.principal_not_granted, for a reason'],
    ['2', ''],
  ];
  const wide = ['NR  '.padEnd(60), 'WHAT'];

  test('loses nothing on a narrow screen, also of words that are too long', () => {
    const lines = text(tableLines(screen(80), wide, rows, { wrapLast: true })).map((line) => line.trim());
    expect(lines).toEqual([
      'NR'.padEnd(62) + 'WHAT',
      expect.stringMatching(/^1 +policy\.principal_/),
      'ot_granted, for a',
      'reason',
      expect.stringMatching(/^2 +-$/),
    ]);
  });

  test('is one line for each row elsewhere', () => {
    expect(text(tableLines({ write: () => undefined }, wide, rows, { wrapLast: true }))).toHaveLength(3);
  });
});
