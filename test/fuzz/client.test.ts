import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeJson, wrap } from '../../src/doors/cli/output.ts';
import { parseDuration, parseMoment } from '../../src/doors/cli/times.ts';
import * as client from '../../src/doors/client/index.ts';
import { CodedError } from '../../src/kernel/index.ts';

const runs = { seed: 20_261_123, numRuns: 1000 };
const now = 1_800_000_000_000;

/** Whatever comes in, the answer is a value or a coded error. */
function isTotal(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (error instanceof CodedError) return true;
    throw error;
  }
}

/** JSON that often has the fields that are asked for, with values of any kind. */
const fields = [
  'token',
  'expiresAt',
  'person',
  'roles',
  'serial',
  'certificate',
  'steps',
  'credentials',
  'state',
];
const answers = fc.oneof(
  fc.json({ maxDepth: 4 }),
  fc
    .dictionary(fc.constantFrom(...fields, '__proto__', 'id', 'login'), fc.jsonValue())
    .map((value) => JSON.stringify(value)),
  fc.string(),
);
const readers = [
  client.readLogin,
  client.readSession,
  client.readSigned,
  client.readAuthority,
  client.readExplanation,
  client.readCredential,
  client.readRevoked,
  client.readLock,
  client.readLogEntry,
];

describe('whatever a broker or a file holds', () => {
  test('every reader of answers gives a value or a coded error', () => {
    fc.assert(
      fc.property(answers, (text) =>
        readers.every((read) => isTotal(() => read(client.parseAnswer(text, 'answer')))),
      ),
      runs,
    );
  });

  test('every problem document becomes an error with a code of our grammar', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc
            .record({ code: fc.string(), detail: fc.anything(), next: fc.anything(), details: fc.anything() })
            .map((problem) => JSON.stringify(problem) ?? ''),
        ),
        fc.option(fc.string(), { nil: undefined }),
        (body, retryAfter) =>
          /^[a-z][a-z0-9-]*\.[a-z0-9_]+$/.test(client.readProblem(400, body, retryAfter).code),
      ),
      runs,
    );
  });

  test('addresses of brokers are https origins or refused', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.webUrl(),
          fc.webAuthority().map((name) => `https://${name}`),
        ),
        (text) => {
          let origin: string | undefined;
          const total = isTotal(() => {
            origin = client.parseBrokerUrl(text);
          });
          return (
            total &&
            (origin === undefined || (origin.startsWith('https://') && new URL(origin).origin === origin))
          );
        },
      ),
      runs,
    );
  });

  test('lengths of time and moments are values in bounds or refused', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9dhms]{1,12}$/)), (text) => {
        let seconds = 1;
        let moment = '2000-01-01T00:00:00.000Z';
        const total =
          isTotal(() => {
            seconds = parseDuration(text);
          }) &&
          isTotal(() => {
            moment = parseMoment(text, now);
          });
        return total && Number.isSafeInteger(seconds) && seconds > 0 && !Number.isNaN(Date.parse(moment));
      }),
      runs,
    );
  });

  test('JSON for the terminal means the same and steers nothing', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
        const text = encodeJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        return !/[\p{Cf}\p{Zl}\p{Zp}]|(?!\n)\p{Cc}/u.test(text);
      }),
      runs,
    );
  });

  test('wrapped text keeps every word and no line is wider than one word needs', () => {
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[a-z]{1,30}$/), { minLength: 1 }),
        fc.integer({ min: 1, max: 50 }),
        (words, width) => {
          const lines = wrap(words.join(' '), width);
          expect(lines.join(' ')).toBe(words.join(' '));
          return lines.every((line) => line.length <= width || !line.includes(' '));
        },
      ),
      runs,
    );
  });
});
