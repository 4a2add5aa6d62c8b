import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isCodedError, sha256 } from '../../src/kernel/index.ts';
import { encodeKrl, krlLimit, parseKrl } from '../../src/ssh/index.ts';
import type { ParsedKrl, SerialRuns } from '../../src/ssh/index.ts';
import { keyBlob, krlWith, rawKrl, section, sshString, subsectionsOf } from '../ssh/krl-fixtures.ts';

const options = { seed: 20_261_123, numRuns: 20_000 };
const ca = keyBlob(1);

/** A coded error of this room, or a list that answers and reads the same when it is written again. */
function survives(bytes: Uint8Array): 'refused' | 'read' {
  let krl: ParsedKrl;
  try {
    krl = parseKrl(bytes);
  } catch (error) {
    if (isCodedError(error) && error.code.startsWith('ssh.')) return 'refused';
    throw error;
  }
  krl.isRevoked({ key: keyBlob(9), caKey: ca, serial: 5n, keyId: 'a' });
  // The reader takes explicit keys of any type, as sshd does; the writer takes only those it knows.
  const again = parseKrl(encodeKrl({ ...krl, keys: [] }));
  expect(serialsOf(again)).toEqual(serialsOf(krl));
  return 'read';
}

function serialsOf(krl: ParsedKrl): readonly SerialRuns[] {
  return krl.certificates.map(({ serials }) => serials).filter(({ firsts }) => firsts.length > 0);
}

const whole = encodeKrl(
  krlWith({
    certificates: [
      {
        caKey: ca,
        serials: BigUint64Array.of(
          1n,
          3n,
          4n,
          6n,
          9n,
          ...Array.from({ length: 90 }, (_, i) => 5000n + BigInt(i)),
          2n ** 64n - 1n,
        ),
        keyIds: ['a', 'b@host'],
      },
      { caKey: undefined, serials: BigUint64Array.of(7n), keyIds: ['c'] },
    ],
    keys: [keyBlob(3), keyBlob(4)],
    sha256: [sha256('x'), sha256('y')],
  }),
);

describe('hostile revocation lists', () => {
  test('the list to damage has every form', () => {
    expect(new Set(subsectionsOf(whole).map(({ type }) => type))).toEqual(new Set([0x20, 0x21, 0x22, 0x23]));
  });

  test('random bytes, bare and behind a good header', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        survives(bytes);
        survives(rawKrl(bytes));
      }),
      options,
    );
  });

  test('random sections with random bodies', () => {
    const type = fc.oneof(fc.constantFrom(1, 2, 3, 4, 5, 255), fc.nat(255));
    const subtype = fc.oneof(fc.constantFrom(0x20, 0x21, 0x22, 0x23, 0x39), fc.nat(255));
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc
        .array(fc.uint8Array({ maxLength: 40 }), { maxLength: 4 })
        .map((parts) => Buffer.concat(parts.map(sshString))),
      fc
        .array(fc.tuple(subtype, fc.uint8Array({ maxLength: 40 })), { maxLength: 4 })
        .map((parts) =>
          Buffer.concat([sshString(ca), sshString(''), ...parts.map(([t, b]) => section(t, b))]),
        ),
    );
    let read = 0;
    fc.assert(
      fc.property(fc.array(fc.tuple(type, body), { maxLength: 3 }), (sections) => {
        if (survives(rawKrl(...sections.map(([t, b]) => section(t, b)))) === 'read') read += 1;
      }),
      options,
    );
    expect(read).toBeGreaterThan(100);
  });

  test('a good list with bytes changed, cut out, doubled or cut off', () => {
    const at = fc.nat(whole.length - 1);
    let [read, refused] = [0, 0];
    fc.assert(
      fc.property(
        fc.array(fc.tuple(at, fc.nat(255)), { minLength: 1, maxLength: 4 }),
        at,
        at,
        fc.nat(4),
        (changes, a, b, kind) => {
          let bytes = Buffer.from(whole);
          for (const [index, value] of changes) bytes[index] = value;
          const [from, to] = [Math.min(a, b), Math.max(a, b)];
          if (kind === 1) bytes = bytes.subarray(0, to);
          if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
          if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
          if (survives(bytes) === 'read') read += 1;
          else refused += 1;
        },
      ),
      options,
    );
    expect(Math.min(read, refused)).toBeGreaterThan(100);
  });

  test('a small list cannot ask for much memory or time', () => {
    const before = process.memoryUsage().arrayBuffers;
    const endless = section(0x21, Buffer.alloc(7), Buffer.of(1), Buffer.alloc(8, 0xff));
    const parsed = parseKrl(
      rawKrl(section(1, sshString(ca), sshString(''), ...Array.from({ length: 1000 }, () => endless))),
    );
    expect(parsed.certificates[0]?.serials.firsts.length).toBe(1);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
    expect(krlLimit.runs * 16).toBeLessThanOrEqual(128 * 1024 * 1024);
  });
});
