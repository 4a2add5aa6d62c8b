import { isUtf8 } from 'node:buffer';
import { CodedError, printable } from '../kernel/index.ts';

const maxLines = 16_384;
/** The longest value is the line of an RSA key of 16,384 bits. */
const maxValueChars = 4096;
const line = /^([a-z][a-z-]{0,31})(?: ([^\p{Cc}]+))?$/u;

/** How often a word may stand in a document. */
export type Occurrence = 'one' | 'optional' | 'any';

/** A document of `word value` lines: every word known, every value within its bound. */
export interface Document {
  one(word: string): string;
  optional(word: string): string | undefined;
  all(word: string): readonly string[];
}

/**
 * Reads a document whose first line names its format, e.g. `sallyport-host-request 1`. Lines end with LF, the last one too. Nothing is
 * skipped: an empty line, an unknown word, a word too often or too seldom, a control character refuse the whole.
 * @throws CodedError `hosts.malformed`
 */
export function parseDocument(
  bytes: Uint8Array,
  format: string,
  words: Readonly<Record<string, Occurrence>>,
): Document {
  if (!isUtf8(bytes)) throw malformed('it is not UTF-8 text');
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  if (!text.endsWith('\n')) throw malformed('its last line does not end');
  const lines = text.slice(0, -1).split('\n');
  if (lines[0] !== format) throw malformed(`its first line is not “${format}”`);
  if (lines.length > maxLines) throw malformed(`it has more than ${maxLines} lines`);
  const values = new Map<string, string[]>();
  for (const one of lines.slice(1)) {
    const [, word = '', value = ''] = line.exec(one) ?? [];
    if (!Object.hasOwn(words, word) || value.length > maxValueChars)
      throw malformed(`it has the line “${printable(one, 60)}”`);
    const known = values.get(word);
    if (known === undefined) values.set(word, [value]);
    else known.push(value);
  }
  for (const [word, occurrence] of Object.entries(words)) {
    const count = values.get(word)?.length ?? 0;
    if ((occurrence === 'one' && count !== 1) || (occurrence === 'optional' && count > 1))
      throw malformed(`it has ${count} lines “${word}”`);
  }
  return {
    one: (word) => values.get(word)?.[0] ?? '',
    optional: (word) => values.get(word)?.[0],
    all: (word) => values.get(word) ?? [],
  };
}

/** What is wrong with a text that a host or a broker sent. */
export function malformed(why: string): CodedError {
  return new CodedError('hosts.malformed', `The document cannot be used: ${why}.`, {
    next: 'Use the host script of this very broker: GET /v1/hosts/enrol.sh.',
  });
}
