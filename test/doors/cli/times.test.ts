import { describe, expect, test } from 'vitest';
import { formatDuration, parseDuration } from '../../../src/doors/cli/times.ts';
import { codeOfSync } from '../../support/code-of.ts';

describe('lengths of time', () => {
  test.each([
    ['8h', 28_800, '8h'],
    ['90m', 5400, '1h30m'],
    ['1h30m', 5400, '1h30m'],
    ['45s', 45, '45s'],
    ['25h', 90_000, '25h'],
    ['30d', 2_592_000, '30d'],
    ['24h', 86_400, '1d'],
    ['1d1s', 86_401, '24h1s'],
    ['366d', 31_622_400, '366d'],
  ])('%s are %i s, written %s', (text, seconds, written) => {
    expect(parseDuration(text)).toBe(seconds);
    expect(formatDuration(seconds)).toBe(written);
    expect(parseDuration(written)).toBe(seconds);
  });

  test.each([
    '',
    '8',
    '3600',
    '0',
    '0h',
    '-1h',
    '1.5h',
    '8 h',
    ' 8h',
    '8h ',
    'h',
    '8w',
    '8H',
    '367d',
    '1e3s',
  ])('“%s” is none', (text) => {
    expect(codeOfSync(() => parseDuration(text))).toBe('cli.usage');
  });
});
