import { describe, expect, it, test } from 'vitest';
import {
  parsePortMapperAnswer,
  parseTelnet,
  portMapperQuestion,
  recogniseTelnet,
} from '../../src/tn5250/index.ts';
import { codeOfSync } from '../support/code-of.ts';
import { signOnRecord } from '../support/tn5250-server.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('what a telnet server says', () => {
  it('is read in order', () => {
    const { items, restBytes } = parseTelnet(hex('fffd27 fffd18 fffa18 01 fff0 41ffff42 ffef fffb'));
    expect(items).toEqual([
      { kind: 'negotiate', verb: 'do', option: 39 },
      { kind: 'negotiate', verb: 'do', option: 24 },
      { kind: 'subnegotiation', option: 24, bytes: hex('01') },
      { kind: 'text', bytes: hex('41ff42') },
      { kind: 'command', code: 239 },
    ]);
    expect(restBytes).toBe(2);
  });

  it('keeps a doubled IAC inside a subnegotiation as one', () => {
    expect(parseTelnet(hex('fffa27 00ffff03 fff0')).items).toEqual([
      { kind: 'subnegotiation', option: 39, bytes: hex('00ff03') },
    ]);
  });

  it('reads a whole sign-on screen', () => {
    const { items } = parseTelnet(signOnRecord());
    expect(items.map(({ kind }) => kind)).toEqual(['text', 'command']);
  });

  test.each(['ff', 'fffd', 'fffa', 'fffa27', 'fffa2701ff', 'fffa270102'])(
    'waits for the rest of %s',
    (text) => {
      expect(parseTelnet(hex(text))).toEqual({ items: [], restBytes: hex(text).length });
    },
  );

  test.each([
    ['an IAC before what is no command', 'ff41', 'tn5250.malformed'],
    ['an IAC before a lower code', 'ffeb', 'tn5250.malformed'],
    ['a command inside a subnegotiation', 'fffa27 fffd18 fff0', 'tn5250.malformed'],
    ['over 512 items', 'fff1'.repeat(513), 'tn5250.too_long'],
    ['over 16,384 bytes', '41'.repeat(16_385), 'tn5250.too_long'],
  ])('is refused with %s', (_title, text, code) => {
    expect(codeOfSync(() => parseTelnet(hex(text)))).toBe(code);
  });
});

describe('the first bytes', () => {
  test.each([
    ['tn5250', 'of a 5250 host', 'fffd27 fffd18'],
    ['tn5250', 'of a host that asks for the terminal alone', 'fffd18'],
    ['telnet', 'of a server of line mode', 'fffd18 fffd20 fffd23 fffd27'],
    ['telnet', 'of a server that offers echo', 'fffb01 fffb03'],
    ['telnet', 'of a server that wants no terminal', 'fffd27'],
    ['unclear', 'that are none', ''],
    ['unclear', 'of which one came', 'ff'],
    ['unclear', 'of half a command', 'fffd'],
    ['other', 'of an SSH server', '5353482d322e30'],
    ['other', 'of a page', '485454502f312e31'],
    ['other', 'of noise that begins like telnet', 'ff00ff00'],
    ['other', 'of a telnet command that offers nothing', 'fff1'],
    ['other', 'of a TLS alert', '15030300020228'],
  ])('are %s: %s', (verdict, _title, text) => {
    expect(recogniseTelnet(hex(text))).toBe(verdict);
  });
});

describe('the port mapper', () => {
  it('is asked with the name of a service', () => {
    expect(portMapperQuestion('as-signon-s')).toEqual(Buffer.from('as-signon-s'));
  });

  test.each(['', 'AS-SIGNON', 'as signon', 'as-signon\n', '-s', 'a'.repeat(33)])(
    'is never asked for “%s”',
    (name) => {
      expect(codeOfSync(() => portMapperQuestion(name))).toBe('tn5250.bad_service');
    },
  );

  test.each([
    ['2b00002504', 9476],
    ['2b00000001', 1],
    ['2b0000ffff', 65_535],
    ['2b00010000', undefined],
    ['2b00000000', undefined],
    ['2d00002504', undefined],
    ['2b000025', undefined],
    ['2b0000250400', undefined],
    ['', undefined],
  ])('answers %s: %s', (text, port) => {
    expect(parsePortMapperAnswer(hex(text))).toBe(port);
  });
});
