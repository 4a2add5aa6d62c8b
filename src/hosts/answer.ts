import { printable } from '../kernel/index.ts';

const format = 'sallyport-host-answer 1';

/** An answer as a shell reads it: the format, then `word value` lines. Values are single lines without control characters. */
export function encodeHostAnswer(lines: readonly (readonly [word: string, value: string])[]): Buffer {
  const body = lines.map(([word, value]) => `${word} ${printable(value, 8192)}\n`);
  return Buffer.from(`${format}\n${body.join('')}`);
}

/** A refusal in the same shape, for a script to print. */
export function encodeHostRefusal(problem: {
  readonly code: string;
  readonly detail: string;
  readonly next?: string | undefined;
}): Buffer {
  const { code, detail, next } = problem;
  return encodeHostAnswer([
    ['error', code],
    ['detail', oneLine(detail)],
    ...(next === undefined ? [] : [['next', oneLine(next)] as const]),
  ]);
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
