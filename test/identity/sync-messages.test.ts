import { describe, expect, it } from 'vitest';
import { readElements, readHeader, readNumber } from '../../src/identity/ldap/ber.ts';
import { parseSyncMessage } from '../../src/identity/ldap/sync-messages.ts';

/** BER by hand: a tag, then whatever is in it. */
const ber = (tag: number, ...parts: readonly (Buffer | string)[]): Buffer => {
  const value = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  const length = value.length < 0x80 ? [value.length] : [0x82, value.length >> 8, value.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), value]);
};
const number = (tag: number, value: number): Buffer => ber(tag, Buffer.from([value]));
const message = (...parts: readonly Buffer[]): Buffer => ber(0x30, number(0x02, 3), ...parts);
const uuidBytes = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
const uuid = '00112233-4455-6677-8899-aabbccddeeff';
const stateOf = (state: number, id = uuidBytes, ...more: readonly Buffer[]): Buffer =>
  ber(
    0xa0,
    ber(
      0x30,
      ber(0x04, '1.3.6.1.4.1.4203.1.9.1.2'),
      ber(0x04, ber(0x30, number(0x0a, state), ber(0x04, id), ...more)),
    ),
  );
const entry = (...attributes: readonly Buffer[]): Buffer =>
  ber(0x64, ber(0x04, 'uid=a,dc=x'), ber(0x30, ...attributes));
const classes = ber(
  0x30,
  ber(0x04, 'objectClass'),
  ber(0x31, ber(0x04, 'organizationalUnit'), ber(0x04, 'top')),
);
const info = (value: Buffer, oid = '1.3.6.1.4.1.4203.1.9.1.4'): Buffer =>
  message(ber(0x79, ber(0x80, oid), ber(0x81, value)));

describe('a message of a synchronisation', () => {
  it.each([
    [
      'an entry',
      message(entry(classes), stateOf(2)),
      {
        kind: 'entry',
        state: 'modify',
        uuid,
        dn: 'uid=a,dc=x',
        objectClasses: ['organizationalunit', 'top'],
      },
    ],
    [
      'an entry that is gone',
      message(entry(), stateOf(3, uuidBytes, ber(0x04, 'c'))),
      { kind: 'entry', state: 'delete', cookie: Buffer.from('c') },
    ],
    ['an entry of another search', message(entry(classes)), { kind: 'other', id: 3 }],
    [
      'the end of a refresh',
      info(ber(0xa1, ber(0x04, 'c'))),
      { kind: 'refreshed', deletionsTold: true, isDone: true },
    ],
    [
      'a part of one',
      info(ber(0xa2, number(0x01, 0))),
      { kind: 'refreshed', deletionsTold: false, isDone: false },
    ],
    ['a cookie', info(ber(0x80, 'rid=1')), { kind: 'cookie', cookie: Buffer.from('rid=1') }],
    [
      'ids',
      info(ber(0xa3, number(0x01, 255), ber(0x31, ber(0x04, uuidBytes)))),
      { kind: 'ids', areDeleted: true, uuids: [uuid] },
    ],
    ['what is not known', info(ber(0x80, 'x'), '1.2.3'), { kind: 'other' }],
    [
      'the end of a search',
      message(ber(0x65, number(0x0a, 53), ber(0x04), ber(0x04))),
      { kind: 'done', resultCode: 53 },
    ],
  ])('%s is read', (_, bytes, expected) => {
    expect(parseSyncMessage(bytes)).toMatchObject(expected);
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['two messages', Buffer.concat([info(ber(0x80, 'c')), info(ber(0x80, 'c'))])],
    ['another operation', message(ber(0x63, ber(0x04, 'x')))],
    ['no operation', ber(0x30, number(0x02, 3))],
    ['a negative id', ber(0x30, number(0x02, 0x80), ber(0x65, number(0x0a, 0)))],
    ['an id of five bytes', ber(0x30, ber(0x02, Buffer.alloc(5)), ber(0x65, number(0x0a, 0)))],
    ['an entry without a name', message(ber(0x64, ber(0x30)), stateOf(1))],
    ['an entryUUID of 15 bytes', message(entry(), stateOf(1, uuidBytes.subarray(1)))],
    ['an unknown state', message(entry(), stateOf(4))],
    [
      'a state with no id',
      message(
        entry(),
        ber(0xa0, ber(0x30, ber(0x04, '1.3.6.1.4.1.4203.1.9.1.2'), ber(0x04, ber(0x30, number(0x0a, 1))))),
      ),
    ],
    ['controls of another tag', message(entry(), ber(0xa1))],
    ['an empty cookie', info(ber(0x80))],
    ['a cookie of 5,000 bytes', info(ber(0x80, Buffer.alloc(5_000)))],
    ['a choice of no kind', info(ber(0xa4))],
    ['two choices', info(Buffer.concat([ber(0x80, 'c'), ber(0x80, 'c')]))],
    ['ids that are no set', info(ber(0xa3, ber(0x30, ber(0x04, uuidBytes))))],
    ['an id of one byte', info(ber(0xa3, ber(0x31, ber(0x04, 'x'))))],
    ['an inner length that is too long', message(Buffer.from([0x65, 0x7f, 0x0a, 0x01, 0x00]))],
  ])('%s is refused', (_, bytes) => {
    expect(() => parseSyncMessage(bytes)).toThrow(Error);
  });

  it('every beginning of a message is incomplete or refused', () => {
    const whole = message(entry(classes), stateOf(2));
    for (let length = 0; length < whole.length; length += 1)
      expect(() => parseSyncMessage(whole.subarray(0, length))).toThrow(Error);
  });
});

describe('BER', () => {
  it('tells a header that is not all there from one that is none', () => {
    expect(readHeader(Buffer.from([0x30]), 0)).toBeUndefined();
    expect(readHeader(Buffer.from([0x30, 0x82, 0x01]), 0)).toBeUndefined();
    expect(readHeader(Buffer.from([0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), 0)).toEqual({
      tag: 0x30,
      start: 6,
      end: 6 + 0xffff_ffff,
    });
    for (const bytes of [
      [0x1f, 0x01],
      [0x30, 0x80],
      [0x30, 0x85, 0, 0, 0, 0, 0],
    ])
      expect(() => readHeader(Buffer.from(bytes), 0)).toThrow(Error);
  });

  it('refuses what does not fill the bytes to the last one, and numbers that are none', () => {
    for (const bytes of [[0x04], [0x04, 2, 1], [0x04, 0, 0x04]])
      expect(() => readElements(Buffer.from(bytes))).toThrow(Error);
    for (const value of [[], [0x80], [0, 0, 0, 0, 1]])
      expect(() => readNumber({ tag: 2, value: Buffer.from(value) })).toThrow(Error);
    expect(readNumber({ tag: 2, value: Buffer.from([0x7f, 0xff, 0xff, 0xff]) })).toBe(0x7fff_ffff);
  });
});
