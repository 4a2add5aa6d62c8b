/**
 * Distinguished names made comparable (RFC 4514 strings, RFC 4517 caseIgnoreMatch): attribute types in lower case with
 * numeric OIDs of the usual ones named, values unescaped, NFC, lower case, outer spaces dropped and inner runs made one,
 * parts of a multi-valued RDN sorted. Never coarser than the directories: where Active Directory also ignores accents and
 * width, names stay distinct here, which can refuse somebody but never admit a stranger.
 */

const typeNames: Readonly<Record<string, string>> = {
  '2.5.4.3': 'cn',
  '2.5.4.6': 'c',
  '2.5.4.7': 'l',
  '2.5.4.8': 'st',
  '2.5.4.9': 'street',
  '2.5.4.10': 'o',
  '2.5.4.11': 'ou',
  '0.9.2342.19200300.100.1.1': 'uid',
  '0.9.2342.19200300.100.1.25': 'dc',
};
const maxChars = 4096;

/** Text as directories compare it: Unicode NFC, lower case, no outer spaces, inner runs of spaces as one. */
export function foldText(text: string): string {
  const lower = text.normalize('NFC').toLowerCase();
  if (!lower.includes(' ')) return lower;
  return lower.replaceAll(/ +/g, ' ').replaceAll(/^ | $/g, '');
}

/** @returns one RDN per element, leaf first, each comparable with `===`; undefined when the text is not a DN. */
export function parseDistinguishedName(text: string): readonly string[] | undefined {
  if (text.length === 0 || text.length > maxChars || !text.isWellFormed()) return undefined;
  const names: string[] = [];
  let parts: string[] = [];
  let offset = 0;
  for (;;) {
    typeAtOffset.lastIndex = offset;
    const type = typeAtOffset.exec(text);
    if (type?.[1] === undefined) return undefined;
    const value = readValue(text, offset + type[0].length);
    if (value === undefined) return undefined;
    const name = type[1].toLowerCase();
    // Length-prefixed, so that no value can imitate the border between two parts.
    parts.push(`${typeNames[name] ?? name}=${value.folded.length}:${value.folded}`);
    const separator = text[value.end];
    if (separator !== '+') {
      names.push(parts.sort().join('+'));
      parts = [];
    }
    if (separator === undefined) return names;
    offset = value.end + 1;
  }
}

// The same few groups come with every person; at most about 10 MiB.
const foldedNames = new Map<string, string | undefined>();
const maxFoldedNames = 10_000;
const maxRememberedChars = 512;

/** @returns a comparable form of a DN, or undefined when the text is not one. */
export function foldDistinguishedName(text: string): string | undefined {
  if (foldedNames.has(text)) return foldedNames.get(text);
  const folded = parseDistinguishedName(text)?.join(',');
  if (text.length > maxRememberedChars) return folded;
  if (foldedNames.size >= maxFoldedNames) foldedNames.clear();
  foldedNames.set(text, folded);
  return folded;
}

const typeAtOffset = / *([A-Za-z][A-Za-z0-9-]*|(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))+) *= */y;
const plainAtOffset = /[^"+,;<>\\\0]*/y;

interface Value {
  readonly folded: string;
  readonly end: number;
}

/** Reads one attribute value up to an unescaped `,`, `+` or the end. */
function readValue(text: string, start: number): Value | undefined {
  if (text[start] === '#') return readHexValue(text, start);
  const chunks: Buffer[] = [];
  let offset = start;
  for (;;) {
    plainAtOffset.lastIndex = offset;
    const plain = plainAtOffset.exec(text)?.[0] ?? '';
    offset += plain.length;
    const next = text[offset];
    const isEnd = next === undefined || next === ',' || next === '+';
    if (isEnd && chunks.length === 0) return foldValue(plain, offset);
    chunks.push(Buffer.from(plain, 'utf8'));
    if (isEnd) {
      const bytes = Buffer.concat(chunks);
      const value = bytes.toString('utf8');
      return Buffer.from(value, 'utf8').equals(bytes) ? foldValue(value, offset) : undefined;
    }
    const escaped = next === '\\' ? text.slice(offset + 1, offset + 3) : '';
    if (/^[0-9a-fA-F]{2}$/.test(escaped)) {
      chunks.push(Buffer.from(escaped, 'hex'));
      offset += 3;
    } else if (/^[ "#+,;<=>\\]/.test(escaped)) {
      chunks.push(Buffer.from(escaped.slice(0, 1)));
      offset += 2;
    } else return undefined;
  }
}

/** `#` and the BER of the value: short strings of the usual types compare as text, anything else by its octets. */
function readHexValue(text: string, start: number): Value | undefined {
  const hex = /^#((?:[0-9a-fA-F]{2})+) *(?=[,+]|$)/.exec(text.slice(start));
  if (hex?.[1] === undefined) return undefined;
  const ber = Buffer.from(hex[1], 'hex');
  const end = start + hex[0].length;
  const content = ber.subarray(2);
  const value = content.toString('utf8');
  // UTF8String, PrintableString, IA5String, in the short form of length.
  const isText =
    (ber[0] === 0x0c || ber[0] === 0x13 || ber[0] === 0x16) &&
    ber[1] === content.length &&
    content.length < 0x80;
  if (isText && Buffer.from(value, 'utf8').equals(content)) return foldValue(value, end);
  return { folded: `#${hex[1].toLowerCase()}`, end };
}

function foldValue(value: string, end: number): Value {
  const folded = foldText(value);
  // A text that starts with # is not hexadecimal BER, and must not compare equal to it.
  return { folded: folded.startsWith('#') ? `\\${folded}` : folded, end };
}
