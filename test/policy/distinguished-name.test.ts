import { describe, expect, it } from 'vitest';
import {
  foldDistinguishedName,
  foldText,
  parseDistinguishedName,
} from '../../src/policy/distinguished-name.ts';

const ops = 'CN=Ops,OU=Groups,DC=corp,DC=example';

describe('distinguished names that are the same', () => {
  it.each([
    ['case of types and values', 'cn=OPS,ou=groups,dc=CORP,dc=Example'],
    ['spaces around = and ,', ' CN = Ops , OU = Groups,DC= corp ,DC=example '],
    ['numeric types', '2.5.4.3=Ops,2.5.4.11=Groups,0.9.2342.19200300.100.1.25=corp,DC=example'],
    ['hexadecimal escapes', 'CN=\\4Fp\\73,OU=Groups,DC=corp,DC=example'],
    ['a value as BER UTF8String', 'CN=#0c034f7073,OU=Groups,DC=corp,DC=example'],
    ['a value as BER PrintableString', 'CN=#13034F7073 ,OU=Groups,DC=corp,DC=example'],
  ])('%s', (_, other) => {
    expect(foldDistinguishedName(other)).toBe(foldDistinguishedName(ops));
  });

  it.each([
    ['escaped and hex-escaped comma', 'CN=Ops\\, Berlin,DC=x', 'cn=ops\\2c berlin,dc=X'],
    ['inner runs of spaces', 'CN=a   b,DC=x', 'CN=a b,DC=x'],
    ['escaped outer spaces, which matching drops', 'CN=\\ a\\ ,DC=x', 'CN=a,DC=x'],
    ['letters outside ASCII, escaped or not', 'CN=M\\c3\\bcller,DC=x', 'CN=MÜLLER,DC=x'],
    ['composed and decomposed letters', 'CN=M\u00fcller,DC=x', 'CN=Mu\u0308ller,DC=x'],
    ['order within a multi-valued RDN', 'CN=a+UID=b,DC=x', 'uid=B + cn=A,dc=x'],
    ['an escaped # and a hex-escaped #', 'CN=\\#0c,DC=x', 'CN=\\230c,DC=x'],
    ['letters beyond the basic plane', 'CN=\u{1f600},DC=x', 'CN=\\f0\\9f\\98\\80,DC=x'],
  ])('%s', (_, one, other) => {
    expect(foldDistinguishedName(one)).toBeDefined();
    expect(foldDistinguishedName(one)).toBe(foldDistinguishedName(other));
  });
});

describe('distinguished names that differ', () => {
  it.each([
    ['one CN in two OUs', 'CN=Ops,OU=A,DC=x', 'CN=Ops,OU=B,DC=x'],
    ['a parent and its child', 'OU=Groups,DC=x', 'CN=Ops,OU=Groups,DC=x'],
    ['another order', 'OU=a,OU=b,DC=x', 'OU=b,OU=a,DC=x'],
    ['an escaped comma and a border', 'CN=a\\,OU=b,DC=x', 'CN=a,OU=b,DC=x'],
    ['an escaped plus and a border', 'CN=a\\+UID=b,DC=x', 'CN=a+UID=b,DC=x'],
    ['text that looks like BER and BER', 'CN=\\#0403414243,DC=x', 'CN=#0403414243,DC=x'],
    ['full-width letters', 'CN=Ｏps,DC=x', 'CN=Ops,DC=x'],
    ['accents', 'CN=Opś,DC=x', 'CN=Ops,DC=x'],
    ['a space and none', 'CN=a b,DC=x', 'CN=ab,DC=x'],
    ['long s and s', 'CN=Opſ,DC=x', 'CN=Ops,DC=x'],
    ['dotless i and i', 'CN=adm\u0131n,DC=x', 'CN=admin,DC=x'],
    ['an invisible space', 'CN=Ops\u200b,DC=x', 'CN=Ops,DC=x'],
    ['a folded border imitated by a value', 'CN=1:a\\,dc=1:x,O=y', 'CN=1:a,DC=1:x,O=y'],
    ['an OID that only starts like cn', '2.5.4.30=Ops,DC=x', 'CN=Ops,DC=x'],
  ])('%s', (_, one, other) => {
    expect(foldDistinguishedName(one)).toBeDefined();
    expect(foldDistinguishedName(other)).toBeDefined();
    expect(foldDistinguishedName(one)).not.toBe(foldDistinguishedName(other));
  });
});

describe('texts that are no distinguished names', () => {
  it.each([
    [''],
    ['Ops'],
    [','],
    ['=x'],
    ['CN'],
    ['CN=Ops,'],
    [',CN=Ops'],
    ['CN=a,,DC=x'],
    ['CN=a+,DC=x'],
    ['CN=a;DC=x'],
    ['CN="a",DC=x'],
    ['CN=a<b,DC=x'],
    ['CN=a\0,DC=x'],
    ['CN=a\\'],
    ['CN=a\\x,DC=x'],
    ['CN=\\ff,DC=x'],
    ['CN=\\c3,DC=x'],
    ['CN=#,DC=x'],
    ['CN=#0,DC=x'],
    ['CN=#0g,DC=x'],
    ['CN=#0c01 61,DC=x'],
    ['C N=a,DC=x'],
    ['2.05.4=a,DC=x'],
    ['2=a,DC=x'],
    ['CN=\ud800,DC=x'],
    [`CN=${'a'.repeat(4096)}`],
  ])('%j', (text) => {
    expect(parseDistinguishedName(text)).toBeUndefined();
  });

  it('takes empty values and = within a value, as RFC 4514 does', () => {
    expect(parseDistinguishedName('CN=,DC=x')).toHaveLength(2);
    expect(parseDistinguishedName('CN=a=b,DC=x')).toHaveLength(2);
  });
});

describe('folding of text', () => {
  it('ignores case, outer spaces and the number of inner ones, and nothing else', () => {
    expect(foldText('  Alice   B ')).toBe('alice b');
    expect(foldText('alice\tb')).not.toBe(foldText('alice b'));
    expect(foldText('ａlice')).not.toBe('alice');
  });
});
