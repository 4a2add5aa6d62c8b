import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLoginThrottle, hashSessionToken } from '../../src/identity/index.ts';
import { parseDomainLogin } from '../../src/identity/active-directory/names.ts';
import { canonicalLogin } from '../../src/identity/built-in/login.ts';
import { isDistinguishedName, isWithin } from '../../src/identity/ldap/distinguished-name.ts';
import * as kernel from '../../src/kernel/index.ts';
import { foldText, parseDistinguishedName } from '../../src/policy/distinguished-name.ts';
import {
  parseCertificate,
  parsePublicKey,
  parseSourceAddressList,
  parseSshsig,
} from '../../src/ssh/index.ts';

const [short, long] = [500, 2000];

/** The readers of texts that strangers send, or that a directory holds of them. */
const readers: readonly (readonly [name: string, read: (text: string) => unknown])[] = [
  ['parsePublicKey', parsePublicKey],
  ['parseCertificate', parseCertificate],
  ['parseSshsig', parseSshsig],
  ['parseSourceAddressList', parseSourceAddressList],
  ['parseSerial', kernel.parseSerial],
  ['parsePrincipal', kernel.parsePrincipal],
  ['parseKeyId', kernel.parseKeyId],
  ['parsePersonId', kernel.parsePersonId],
  ['parseRfc3339', kernel.parseRfc3339],
  ['decodeBase64', kernel.decodeBase64],
  ['decodeBase64Url', kernel.decodeBase64Url],
  ['parsePeerAddress', kernel.parsePeerAddress],
  ['parseNetwork', kernel.parseNetwork],
  ['printable', (text) => kernel.printable(text)],
  ['canonicalLogin', canonicalLogin],
  ['hashSessionToken', hashSessionToken],
  ['the throttle’s name', nameForThrottle],
  ['the throttle’s address', addressForThrottle],
  [
    'parseDomainLogin',
    (text) => parseDomainLogin(text, { domain: 'x', netbiosName: 'x', suffixes: new Set(['x']) }),
  ],
  ['isDistinguishedName', isDistinguishedName],
  ['isWithin', (text) => isWithin(text, 'dc=x')],
  ['parseDistinguishedName', parseDistinguishedName],
  ['foldText', foldText],
];

function nameForThrottle(login: string): unknown {
  return createLoginThrottle({ clock: kernel.systemClock }).admit({ login, address: '192.0.2.1' });
}
function addressForThrottle(address: string): unknown {
  return createLoginThrottle({ clock: kernel.systemClock }).admit({ login: 'x', address });
}

const separators = [
  ' ',
  '\t',
  '\n',
  '\r',
  '\r\n',
  '\\\n',
  '\\',
  '"',
  ',',
  '=',
  '-',
  '.',
  ':',
  '/',
  '%',
  '@',
  '+',
  '#',
  ';',
  '*',
  '0',
  'A',
  'a ',
  'a=',
  'a,',
  '=a,',
  '0.',
  '::',
  '\0',
  '\u00a0',
  '\u2028',
  '\u202e',
  'é',
  '😀',
  '-BEGIN ',
];
const openings = [
  '',
  'a',
  'a=',
  'ssh-a b',
  'ssh-ed25519 ',
  '-----BEGIN PUBLIC KEY-----\n',
  '-----BEGIN ',
  'PuTTY-User-Key-File-2: ',
  '---- BEGIN SSH2 PUBLIC KEY ----\n',
  '---- BEGIN SSH2 PUBLIC KEY ----\ncomment:',
  '-----BEGIN SSH SIGNATURE-----\n',
];
const endings = [
  '',
  'a',
  '\nx',
  '"',
  '"\n',
  '!',
  'a\u2028y\nAAAA\n---- END SSH2 PUBLIC KEY ----',
  '\nAAAA\n---- END SSH2 PUBLIC KEY ----',
  '\n-----END PUBLIC KEY-----',
  '\n-----END SSH SIGNATURE-----',
];

interface Text {
  readonly opening: string;
  /** What fills the middle, in one long run each. */
  readonly runs: readonly string[];
  readonly ending: string;
}

const textOf = ({ opening, runs, ending }: Text, sizeChars: number): string =>
  opening + runs.map((run) => run.repeat(Math.ceil(sizeChars / runs.length / run.length))).join('') + ending;

function runMs(work: () => unknown): number {
  const start = performance.now();
  try {
    work();
  } catch (error) {
    if (!kernel.isCodedError(error)) throw error;
  }
  return performance.now() - start;
}

/** What reading each character of the long text fifty times costs here: work that is done sooner is never too slow. */
const littleMs = Math.min(
  ...Array.from({ length: 20 }, () =>
    runMs(() => {
      let sum = 0;
      for (let pass = 0; pass < 50; pass += 1)
        for (let at = 0; at < long; at += 1) sum = (sum + 'separator'.charCodeAt(at % 9)) % 65_521;
      return sum;
    }),
  ),
);

/**
 * How much more time four times the text takes: about 4 where the work is linear, 16 where it is quadratic; 1 where it is little
 * anyway. The best of several runs counts, so that a busy machine does not look like bad code.
 */
function growth(read: (text: string) => unknown, text: Text): number {
  const [a, b] = [textOf(text, short), textOf(text, long)];
  let [workA, workB, ratio] = [Infinity, Infinity, Infinity];
  // What is slower than any hiccup need not be asked twenty times.
  for (let round = 0; ratio > 8 && round < (workB > 100 * littleMs ? 2 : 20); round += 1) {
    workB = Math.min(
      workB,
      runMs(() => read(b)),
    );
    if (workB < littleMs) return 1;
    // The short text costs little: with many tries one of them is undisturbed, however busy the machine.
    workA = Math.min(workA, ...Array.from({ length: 8 }, () => runMs(() => read(a))));
    ratio = workB / workA;
  }
  return ratio;
}

describe('work grows with the length of the text and no faster', () => {
  it('sees an expression that tries every split of a run', () => {
    const splits = (text: string): unknown => /^ *x? *!$/.test(text);
    const ends = (text: string): unknown => text.replace(/ +$/, '');
    for (const read of [splits, ends])
      expect(growth(read, { opening: '', runs: [' '], ending: '\n' })).toBeGreaterThan(8);
  });

  it.each(readers)('in %s, for a long run of each separator', (_name, read) => {
    for (const run of separators)
      for (const opening of openings)
        for (const ending of endings) {
          const text = { opening, runs: [run], ending };
          expect(growth(read, text), JSON.stringify(text)).toBeLessThanOrEqual(8);
        }
  });

  it.each(readers)('in %s, for runs of several', (_name, read) => {
    const text = fc.record({
      opening: fc.constantFrom(...openings),
      runs: fc.array(fc.constantFrom(...separators), { minLength: 2, maxLength: 4 }),
      ending: fc.constantFrom(...endings),
    });
    fc.assert(
      fc.property(text, (one) => growth(read, one) <= 8),
      { seed: 20_261_123, numRuns: 200 },
    );
  });
});
