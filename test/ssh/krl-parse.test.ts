import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { sha256 } from '../../src/kernel/index.ts';
import { encodeKrl } from '../../src/ssh/krl-encode.ts';
import { krlLimit } from '../../src/ssh/krl.ts';
import { parseKrl } from '../../src/ssh/krl-parse.ts';
import { keyBlob, krlWith, rawKrl, section, sshString, uint32, uint64 } from './krl-fixtures.ts';

const ca = keyBlob(1);
const otherCa = keyBlob(2);
const user = keyBlob(3);
const max = 2n ** 64n - 1n;

/** A certificates section of one CA with hand-written subsections. */
function under(caBytes: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  return section(1, sshString(caBytes), sshString(''), ...parts);
}

function asked(bytes: Buffer, serial: bigint, caKey = ca): boolean {
  return parseKrl(bytes).isRevoked({ key: user, caKey, serial, keyId: 'id' }).revoked;
}

describe('what a list revokes', () => {
  test('a range of nearly all serials is not expanded', () => {
    const bytes = rawKrl(under(ca, section(0x21, uint64(2n), uint64(max))));
    expect([1n, 2n, 2n ** 63n, max].map((serial) => asked(bytes, serial))).toEqual([false, true, true, true]);
    expect(parseKrl(bytes).certificates[0]?.serials.firsts.length).toBe(1);
    expect(encodeKrl(parseKrl(bytes))).toEqual(bytes);
  });

  test('subsections and sections of one CA add up, in any order and overlapping', () => {
    const bytes = rawKrl(
      under(ca, section(0x21, uint64(10n), uint64(20n)), section(0x20, uint64(30n), uint64(9n), uint64(15n))),
      under(ca, section(0x22, uint64(19n), sshString([0b110])), section(0x21, uint64(11n), uint64(12n))),
    );
    const { certificates } = parseKrl(bytes);
    expect(certificates.map(({ serials }) => [[...serials.firsts], [...serials.lasts]])).toEqual([
      [
        [9n, 30n],
        [21n, 30n],
      ],
    ]);
  });

  test('a bitmap may start at 0 with its lowest bit clear, and end at the last serial', () => {
    const bytes = rawKrl(
      under(
        ca,
        section(0x22, uint64(0n), sshString([2])),
        section(0x22, uint64(max - 7n), sshString([0, 0x80])),
      ),
    );
    expect([1n, 2n, max - 1n, max].map((serial) => asked(bytes, serial))).toEqual([true, false, false, true]);
  });

  test('serial 0 is never revoked by serial', () => {
    expect(asked(rawKrl(under(ca, section(0x21, uint64(1n), uint64(max)))), 0n)).toBe(false);
  });

  test('a serial counts under its own CA only; without a CA key it counts for all', () => {
    const own = rawKrl(under(ca, section(0x20, uint64(5n))));
    expect([asked(own, 5n), asked(own, 5n, otherCa)]).toEqual([true, false]);
    const all = rawKrl(under(Buffer.alloc(0), section(0x20, uint64(5n))));
    expect([asked(all, 5n), asked(all, 5n, otherCa), asked(all, 6n)]).toEqual([true, true, false]);
  });

  test('each kind of entry says by what', () => {
    const by = (krl: Buffer) => parseKrl(krl).isRevoked({ key: user, caKey: ca, serial: 5n, keyId: 'id' });
    const sha1 = (key: Buffer) => createHash('sha1').update(key).digest();
    expect(by(rawKrl(under(ca, section(0x20, uint64(5n)))))).toEqual({ revoked: true, by: 'serial' });
    expect(by(rawKrl(under(ca, section(0x23, sshString('id')))))).toEqual({ revoked: true, by: 'key_id' });
    expect(by(rawKrl(section(2, sshString(user))))).toEqual({ revoked: true, by: 'key' });
    expect(by(rawKrl(section(3, sshString(sha1(user)))))).toEqual({ revoked: true, by: 'sha1' });
    expect(by(rawKrl(section(5, sshString(sha256(user)))))).toEqual({ revoked: true, by: 'sha256' });
    expect(by(rawKrl(section(2, sshString(ca))))).toEqual({ revoked: true, by: 'ca' });
    expect(by(rawKrl(section(3, sshString(sha1(ca)))))).toEqual({ revoked: true, by: 'ca' });
    expect(by(rawKrl(section(5, sshString(sha256(ca)))))).toEqual({ revoked: true, by: 'ca' });
    expect(by(rawKrl(section(2, sshString(otherCa)), under(ca, section(0x23, sshString('ID')))))).toEqual({
      revoked: false,
    });
  });

  test('a plain key is revoked by key or hash only', () => {
    const krl = parseKrl(
      rawKrl(under(ca, section(0x21, uint64(1n), uint64(max))), section(2, sshString(otherCa))),
    );
    expect(krl.isRevoked({ key: user })).toEqual({ revoked: false });
    expect(krl.isRevoked({ key: otherCa })).toEqual({ revoked: true, by: 'key' });
  });

  test('what is read can be written and reads the same', () => {
    const krl = krlWith({
      comment: 'née',
      certificates: [
        { caKey: ca, serials: BigUint64Array.of(1n, 5n, 9n, max), keyIds: ['a', 'é'] },
        { caKey: undefined, serials: BigUint64Array.of(3n), keyIds: [] },
        { caKey: otherCa, serials: new BigUint64Array(), keyIds: [''] },
      ],
      keys: [user],
      sha256: [sha256(user)],
    });
    const bytes = encodeKrl(krl);
    const parsed = parseKrl(bytes);
    expect(encodeKrl(parsed)).toEqual(bytes);
    expect([parsed.version, parsed.generatedSeconds, parsed.comment]).toEqual([7n, 1_700_000_000n, 'née']);
    expect(parsed.certificates.map(({ keyIds }) => keyIds)).toEqual([['a', 'é'], [], ['']]);
  });

  test('empty subsections and unsorted hashes are read, as OpenSSH reads them', () => {
    const hashes = [sshString(sha256('b')), sshString(sha256('a'))].toSorted((a, b) => b.compare(a));
    const bytes = rawKrl(
      under(ca, section(0x20), section(0x23), section(0x22, uint64(1n), sshString(''))),
      under(ca),
      section(2),
      section(5, ...hashes),
    );
    expect(parseKrl(bytes).sha256.length).toBe(2);
  });
});

describe('what the reader refuses', () => {
  const wide = (sizeBytes: number) => Buffer.alloc(sizeBytes, 0x7f);
  const header = (format: number, flags: bigint, reserved: string) =>
    Buffer.concat([
      Buffer.from('SSHKRL\n\0'),
      uint32(format),
      ...[7n, 0n, flags].map(uint64),
      sshString(reserved),
      sshString(''),
    ]);
  const manyCas = Array.from({ length: krlLimit.authorities + 1 }, (_, i) => {
    const key = keyBlob(5);
    key.writeUInt32BE(i, key.length - 4);
    return under(key);
  });

  test.each([
    ['zero bytes', Buffer.alloc(0), 'ssh.krl_magic'],
    ['seven bytes', Buffer.from('SSHKRL\n'), 'ssh.krl_magic'],
    ['a text file', Buffer.from('<!doctype html><title>404</title>'), 'ssh.krl_magic'],
    ['the magic alone', Buffer.from('SSHKRL\n\0'), 'ssh.malformed'],
    ['format version 2', header(2, 0n, ''), 'ssh.krl_version'],
    ['flags', header(1, 1n, ''), 'ssh.krl_version'],
    ['a reserved field', header(1, 0n, 'x'), 'ssh.krl_version'],
    [
      'a comment of 4097 bytes',
      Buffer.concat([header(1, 0n, '').subarray(0, 40), sshString('x'.repeat(4097))]),
      'ssh.malformed',
    ],
    ['a byte after the last section', Buffer.concat([rawKrl(), Buffer.of(1)]), 'ssh.malformed'],
    ['a section cut off', rawKrl(section(2, sshString(user)).subarray(0, -1)), 'ssh.malformed'],
    ['a signature section', rawKrl(section(4, sshString(user))), 'ssh.krl_signature'],
    ['an extension section', rawKrl(section(255, sshString('x'))), 'ssh.krl_extension'],
    ['an unknown section', rawKrl(section(6)), 'ssh.krl_unknown_section'],
    ['section type 0', rawKrl(section(0)), 'ssh.krl_unknown_section'],
    ['an extension subsection', rawKrl(under(ca, section(0x39, sshString('x')))), 'ssh.krl_extension'],
    ['an unknown subsection', rawKrl(under(ca, section(0x24))), 'ssh.krl_unknown_section'],
    ['a reserved field in a section', rawKrl(section(1, sshString(ca), sshString('x'))), 'ssh.malformed'],
    ['a CA key that is no key', rawKrl(under(Buffer.from('x'))), 'ssh.malformed'],
    ['a CA key of an unknown type', rawKrl(under(sshString('ssh-foo'))), 'ssh.unknown_key_type'],
    ['serial 0 in a list', rawKrl(under(ca, section(0x20, uint64(3n), uint64(0n)))), 'ssh.krl_bad_serial'],
    ['a list of 12 bytes', rawKrl(under(ca, section(0x20, uint64(3n), uint32(1)))), 'ssh.malformed'],
    ['serial 0 in a range', rawKrl(under(ca, section(0x21, uint64(0n), uint64(3n)))), 'ssh.krl_bad_serial'],
    ['a range upside down', rawKrl(under(ca, section(0x21, uint64(4n), uint64(3n)))), 'ssh.krl_bad_serial'],
    ['two ranges in one', rawKrl(under(ca, section(0x21, ...[1n, 2n, 3n, 4n].map(uint64)))), 'ssh.malformed'],
    [
      'serial 0 in a bitmap',
      rawKrl(under(ca, section(0x22, uint64(0n), sshString([1])))),
      'ssh.krl_bad_serial',
    ],
    [
      'a bitmap past 2^64',
      rawKrl(under(ca, section(0x22, uint64(max), sshString([2])))),
      'ssh.krl_bad_serial',
    ],
    ['a negative bitmap', rawKrl(under(ca, section(0x22, uint64(1n), sshString([0x80])))), 'ssh.malformed'],
    [
      'a bitmap with a needless zero',
      rawKrl(under(ca, section(0x22, uint64(1n), sshString([0, 1])))),
      'ssh.malformed',
    ],
    [
      'a bitmap of 2049 bytes',
      rawKrl(under(ca, section(0x22, uint64(1n), sshString(wide(2049))))),
      'ssh.krl_bad_bitmap',
    ],
    [
      'a bitmap of 25,000 bytes',
      rawKrl(under(ca, section(0x22, uint64(1n), sshString(wide(25_000))))),
      'ssh.krl_bad_bitmap',
    ],
    [
      'bytes after a bitmap',
      rawKrl(under(ca, section(0x22, uint64(1n), sshString([1]), Buffer.of(0)))),
      'ssh.malformed',
    ],
    ['a key id with NUL', rawKrl(under(ca, section(0x23, sshString('a\0b')))), 'ssh.malformed'],
    ['a key id that is not UTF-8', rawKrl(under(ca, section(0x23, sshString([0xff])))), 'ssh.malformed'],
    ['an empty key', rawKrl(section(2, sshString(''))), 'ssh.krl_bad_hash'],
    ['a SHA-1 of 19 bytes', rawKrl(section(3, sshString(Buffer.alloc(19)))), 'ssh.krl_bad_hash'],
    ['a SHA-256 of 20 bytes', rawKrl(section(5, sshString(Buffer.alloc(20)))), 'ssh.krl_bad_hash'],
    ['a field of 4 GiB', rawKrl(Buffer.of(2, 0xff, 0xff, 0xff, 0xff)), 'ssh.malformed'],
    ['1025 CAs', rawKrl(...manyCas), 'ssh.krl_too_large'],
    ['more than 64 MiB', Buffer.alloc(krlLimit.bytes + 1), 'ssh.krl_too_large'],
  ])('%s', (_name, bytes, code) => {
    expect(() => parseKrl(bytes)).toThrow(expect.objectContaining({ code }));
  });

  test('bitmaps that hold more runs than the limit', () => {
    // 8192 runs in 2 KB: the same bitmap over and over, until memory would grow beyond bounds.
    const dense = section(0x22, uint64(1n), sshString(Buffer.alloc(2048, 0x55)));
    const bytes = rawKrl(under(ca, ...Array.from({ length: krlLimit.runs / 8192 + 1 }, () => dense)));
    expect(() => parseKrl(bytes)).toThrow(expect.objectContaining({ code: 'ssh.krl_too_large' }));
  });

  test('more entries than the limit', () => {
    const ids = Buffer.alloc(4 * (krlLimit.entries + 1));
    expect(() => parseKrl(rawKrl(under(ca, section(0x23, ids))))).toThrow(
      expect.objectContaining({ code: 'ssh.krl_too_large' }),
    );
  });

  test('every truncation that is not at the border of a section', () => {
    const whole = encodeKrl(
      krlWith({
        certificates: [{ caKey: ca, serials: BigUint64Array.of(1n, 3n, 4n, 5n, 900n), keyIds: ['a'] }],
        keys: [user],
        sha256: [sha256(user)],
      }),
    );
    const borders = [48, whole.length - 41 - 60, whole.length - 41];
    for (let size = 0; size < whole.length; size += 1) {
      if (borders.includes(size)) expect(parseKrl(whole.subarray(0, size)).version).toBe(7n);
      else expect(() => parseKrl(whole.subarray(0, size)), `cut at ${size}`).toThrow(/revocation list/);
    }
  });
});
