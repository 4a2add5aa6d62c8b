import { describe, expect, test } from 'vitest';
import { sha256 } from '../../src/kernel/index.ts';
import type { SshBlob } from '../../src/kernel/index.ts';
import { encodeKrl } from '../../src/ssh/krl-encode.ts';
import { parseKrl } from '../../src/ssh/krl-parse.ts';
import { keyBlob, krlWith, sectionsOf, seededNumbers, subsectionsOf } from './krl-fixtures.ts';

const max = 2n ** 64n - 1n;
const ca = keyBlob(1);

function serials(...values: readonly bigint[]) {
  return krlWith({ certificates: [{ caKey: ca, serials: BigUint64Array.from(values), keyIds: [] }] });
}

function forms(...values: readonly bigint[]): string[] {
  return subsectionsOf(encodeKrl(serials(...values))).map(
    ({ type, body }) => `${type.toString(16)}:${body.toString('hex')}`,
  );
}

function span(first: bigint, count: number, step = 1n): bigint[] {
  return Array.from({ length: count }, (_, i) => first + BigInt(i) * step);
}

describe('what a list is written as', () => {
  test('an empty list is a header of 44 bytes and the comment', () => {
    const bytes = encodeKrl(krlWith({ comment: 'empty' }));
    expect(bytes.toString('hex')).toBe(
      [
        '5353484b524c0a00',
        '00000001',
        '0000000000000007',
        '000000006553f100',
        '0000000000000000',
        '00000000',
      ].join('') + '00000005656d707479',
    );
    expect(bytes.length).toBe(44 + 5);
  });

  test('one serial is a list', () => {
    expect(forms(42n)).toEqual(['20:000000000000002a']);
  });

  test('a long run is a range, to the last serial of all', () => {
    expect(forms(...span(5n, 100))).toEqual(['21:00000000000000050000000000000068']);
    expect(forms(...span(max - 99n, 100))).toEqual(['21:ffffffffffffff9cffffffffffffffff']);
  });

  test('near serials are a bitmap with a leading zero byte only where its top bit is set', () => {
    expect(forms(8n, 10n, 12n, 14n)).toEqual(['22:00000000000000080000000155']);
    expect(forms(8n, 10n, 12n, 15n)).toEqual(['22:0000000000000008000000020095']);
  });

  test('far serials share one list, whatever their order and repetition', () => {
    expect(forms(900_000n, 7n, 900_000n, 2n ** 63n)).toEqual([
      '20:000000000000000700000000000dbba08000000000000000',
    ]);
  });

  test('two far serials in one run cross the 32-bit border in a list', () => {
    expect(forms(0xffffffffn, 0x100000000n, 5n, 2n ** 50n)).toEqual([
      '20:000000000000000500000000ffffffff00000001000000000004000000000000',
    ]);
  });

  test.each([
    ['every second of 100,000', 100_000, 2n, 25_400],
    ['a block of 100,000', 100_000, 1n, 100 + 51],
    ['every thousandth', 1000, 1000n, 8120],
  ])('%s stays small', (_name, count, step, most) => {
    expect(encodeKrl(serials(...span(1n, count, step))).length).toBeLessThan(most);
  });

  test('no CA, no serials, no key ids: nothing is written for it', () => {
    const nothing = { caKey: ca, serials: new BigUint64Array(), keyIds: [] };
    expect(encodeKrl(krlWith({ certificates: [nothing] }))).toEqual(encodeKrl(krlWith({})));
  });

  test('keys, fingerprints and key ids ascend, once each', () => {
    const hashes = [3, 1, 2, 1].map((byte) => Buffer.alloc(32, byte));
    const bytes = encodeKrl(
      krlWith({
        keys: [keyBlob(9), keyBlob(4), keyBlob(9)],
        sha256: hashes,
        certificates: [{ caKey: undefined, serials: new BigUint64Array(), keyIds: ['b', 'a', 'b'] }],
      }),
    );
    const parsed = parseKrl(bytes);
    expect(parsed.keys).toEqual([keyBlob(4), keyBlob(9)]);
    expect(parsed.sha256).toEqual([1, 2, 3].map((byte) => Buffer.alloc(32, byte)));
    expect(parsed.certificates[0]?.keyIds).toEqual(['a', 'b']);
    expect(parsed.certificates[0]?.caKey).toBeUndefined();
    expect(sectionsOf(bytes).map(({ type }) => type)).toEqual([1, 2, 5]);
  });

  test('100,000 of 1,000,000 dense serials need at most 130 KB', () => {
    const random = seededNumbers(1);
    const chosen = new Set<bigint>();
    while (chosen.size < 100_000) chosen.add(1n + BigInt(Math.floor(random() * 1_000_000)));
    const bytes = encodeKrl(serials(...chosen));
    expect(bytes.length).toBeLessThanOrEqual(130_000);
    const parsed = parseKrl(bytes);
    const wrong = span(0n, 1_000_002).filter(
      (serial) => parsed.isRevoked({ key: keyBlob(9), caKey: ca, serial }).revoked !== chosen.has(serial),
    );
    expect(wrong).toEqual([]);
  });

  test('the same content gives the same bytes in any order', () => {
    const random = seededNumbers(2);
    const values = span(1n, 500, 7n);
    const shuffled = values.toSorted(() => random() - 0.5);
    expect(encodeKrl(serials(...shuffled))).toEqual(encodeKrl(serials(...values)));
  });

  test('serials of the caller stay as they were', () => {
    const mine = BigUint64Array.from([3n, 1n, 2n]);
    encodeKrl(krlWith({ certificates: [{ caKey: ca, serials: mine, keyIds: [] }] }));
    expect([...mine]).toEqual([3n, 1n, 2n]);
  });
});

describe('what the writer refuses', () => {
  const runs = (first: bigint, last: bigint) =>
    krlWith({
      certificates: [
        {
          caKey: ca,
          serials: { firsts: BigUint64Array.of(first), lasts: BigUint64Array.of(last) },
          keyIds: [],
        },
      ],
    });
  const keyIds = (keyId: string) =>
    krlWith({ certificates: [{ caKey: ca, serials: new BigUint64Array(), keyIds: [keyId] }] });
  const certificate = Buffer.from(
    keyBlob(1)
      .toString('latin1')
      .replace('\0\0\0\x0bssh-ed25519', '\0\0\0\x20ssh-ed25519-cert-v01@openssh.com'),
    'latin1',
  ) as SshBlob;

  test.each([
    ['serial 0', serials(0n, 5n), 'ssh.krl_bad_serial'],
    ['a run from 0', runs(0n, 5n), 'ssh.krl_bad_serial'],
    ['a run upside down', runs(6n, 5n), 'ssh.krl_bad_serial'],
    ['a key id with NUL', keyIds('a\0b'), 'ssh.krl_bad_value'],
    ['a key id that is not Unicode', keyIds('a\ud800'), 'ssh.krl_bad_value'],
    ['a key id of 4097 bytes', keyIds('é'.repeat(2048) + 'a'), 'ssh.krl_bad_value'],
    ['a comment with NUL', krlWith({ comment: '\0' }), 'ssh.krl_bad_value'],
    ['a version of 65 bits', krlWith({ version: 2n ** 64n }), 'ssh.krl_bad_value'],
    ['a negative time', krlWith({ generatedSeconds: -1n }), 'ssh.krl_bad_value'],
    ['a fingerprint of 31 bytes', krlWith({ sha256: [sha256('x').subarray(1)] }), 'ssh.krl_bad_value'],
    ['a certificate as key', krlWith({ keys: [certificate] }), 'ssh.krl_bad_value'],
    ['an empty key', krlWith({ keys: [Buffer.alloc(0) as SshBlob] }), 'ssh.malformed'],
    [
      'a certificate as CA',
      krlWith({ certificates: [{ caKey: certificate, serials: BigUint64Array.of(1n), keyIds: [] }] }),
      'ssh.certificate_as_key',
    ],
  ])('%s', (_name, krl, code) => {
    expect(() => encodeKrl(krl)).toThrow(expect.objectContaining({ code }));
  });
});
