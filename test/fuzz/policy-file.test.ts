import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCodedError, parsePeerAddress } from '../../src/kernel/index.ts';
import { defaultPolicyYaml, parsePolicy } from '../../src/policy/index.ts';
import type { Policy } from '../../src/policy/index.ts';
import { foldDistinguishedName, parseDistinguishedName } from '../../src/policy/distinguished-name.ts';
import { isWithin, parseListedNetwork } from '../../src/policy/networks.ts';
import { decide } from '../policy/support.ts';

const seed = 20_261_123;

const rich = `version: 1
roles:
  admin: {groups: ["corp:CN=Ops,OU=A,DC=x", corp:S-1-5-21-1-2-3-512], people: [builtin:alice]}
protected-principals: [oracle]
profiles:
  users:
    who:
      attributes: [{attribute: type, any-of: [staff, 7]}]
    principals:
      explicit: [deploy]
      from: [{attribute: uid, transforms: [strip-domain, lower, max-length 8]}]
    lifetime: {min: 10m, default: 1h, max: 12h}
    extensions: [permit-pty]
    critical-options: {force-command: /bin/true, source-address: [10.0.0.0/8]}
    keys: {types: [ssh-ed25519], rsa-min-bits: 3072}
    sources: [10.0.0.0/8, 2001:db8::/32]
    windows: [{days: [mon-fri], from: "22:00", to: "06:00", timezone: Europe/Berlin}]
    reason: required
`;

const splices = [
  '&a ',
  '*a',
  '!!str ',
  '\n',
  '  ',
  '\t',
  '- ',
  '? ',
  ': ',
  '[',
  ']',
  '{',
  '}',
  '"',
  "'",
  '|',
  '>',
  '#',
  '%',
  '---\n',
  '...\n',
  '<<: ',
  '\0',
  '\u202e',
  '\ufeff',
  'null',
  '~',
  '-1',
  '1e9',
  '0x7f',
  'true',
  '/129',
  '/0',
  ',',
  'x'.repeat(300),
];

const mutation = fc.record({
  at: fc.nat({ max: 2000 }),
  remove: fc.integer({ min: 0, max: 12 }),
  insert: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('', ...splices) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 4 }) },
  ),
});

/** @returns the policy, or the problems of the refusal; anything else that is thrown fails the test. */
function read(source: string | Uint8Array): Policy | readonly string[] {
  try {
    return parsePolicy(source, 'policy.yaml');
  } catch (error) {
    if (!isCodedError(error, 'policy.invalid')) throw error;
    return error.message.split('\n').slice(1);
  }
}

describe('a policy file that was changed at random', () => {
  it('is a policy that decides, or is refused with lines that exist', () => {
    let accepted = 0;
    let refused = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(rich, defaultPolicyYaml()),
        fc.array(mutation, { minLength: 1, maxLength: 3 }),
        (base, mutations) => {
          let text = base;
          for (const { at, remove, insert } of mutations) {
            const start = at % (text.length + 1);
            text = text.slice(0, start) + insert + text.slice(start + remove);
          }
          const result = read(text);
          if ('profiles' in result) {
            accepted += 1;
            const decision = decide(
              result,
              { attributes: { uid: ['alice'], type: ['staff'] } },
              { sourceAddress: '10.0.0.1' },
            );
            return decision.outcome === 'refused' || decision.grant.principals.length > 0;
          }
          refused += 1;
          const lineCount = text.split(/\r\n|\n|\r/).length;
          return result.every((problem) => {
            const [, line, column] = /^policy\.yaml:(\d+):(\d+): ./.exec(problem) ?? [];
            const isListed = Number(line) >= 1 && Number(line) <= lineCount && Number(column) >= 1;
            return (isListed || /… and \d+ more$/.test(problem)) && !/[\p{Cc}\p{Cf}]/u.test(problem);
          });
        },
      ),
      { seed, numRuns: 4000 },
    );
    expect(accepted).toBeGreaterThan(200);
    expect(refused).toBeGreaterThan(1000);
  });

  it('made of arbitrary bytes or text is refused', () => {
    const isRefused = (source: string | Uint8Array): boolean => Array.isArray(read(source));
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), isRefused), { seed, numRuns: 1000 });
    fc.assert(
      fc.property(fc.array(fc.constantFrom('version: 1\n', ...splices), { maxLength: 40 }), (parts) =>
        isRefused(parts.join('')),
      ),
      { seed, numRuns: 2000 },
    );
  });
});

describe('distinguished names at random', () => {
  const value = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
    .filter((text) => text.isWellFormed() && !text.includes('\0'));
  const rdns = fc.array(fc.tuple(fc.constantFrom('CN', 'OU', 'DC'), value), { minLength: 2, maxLength: 4 });
  const escape = (text: string): string => text.replaceAll(/["#+,;<=>\\]|^ | $/g, (char) => `\\${char}`);
  const escapeHex = (text: string): string =>
    [...Buffer.from(text)].map((byte) => `\\${byte.toString(16).padStart(2, '0')}`).join('');
  const fold = (text: string): string =>
    text.normalize('NFC').toLowerCase().replaceAll(/ +/g, ' ').replaceAll(/^ | $/g, '');

  it('are equal however they are escaped and spaced', () => {
    fc.assert(
      fc.property(rdns, (names) => {
        const one = foldDistinguishedName(names.map(([type, text]) => `${type}=${escape(text)}`).join(','));
        const other = foldDistinguishedName(
          names.map(([type, text]) => ` ${type.toLowerCase()} = ${escapeHex(text)} `).join(','),
        );
        return one !== undefined && one === other;
      }),
      { seed, numRuns: 5000 },
    );
  });

  it('are equal only when their folded parts are', () => {
    fc.assert(
      fc.property(rdns, rdns, (left, right) => {
        const [one, other] = [left, right].map((names) =>
          foldDistinguishedName(names.map(([type, text]) => `${type}=${escape(text)}`).join(',')),
        );
        const isSame =
          JSON.stringify(left.map(([type, text]) => [type, fold(text)])) ===
          JSON.stringify(right.map(([type, text]) => [type, fold(text)]));
        return (one === other) === isSame;
      }),
      { seed, numRuns: 5000 },
    );
  });

  it('are read or refused, never a crash', () => {
    const pieces = fc.array(
      fc.constantFrom('CN', '=', ',', '+', '\\', '#', '"', ' ', '0c', 'a', '2.5.4.3', '\\2', 'é', '\ud800'),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(pieces, (parts) => {
        const names = parseDistinguishedName(parts.join(''));
        return names === undefined || (names.length > 0 && names.every((name) => name.includes('=')));
      }),
      { seed, numRuns: 20_000 },
    );
  });
});

describe('networks at random', () => {
  it('hold their own first address, in any spelling', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const address = parsePeerAddress(text);
        const network = parseListedNetwork(text);
        // IPv4 written as IPv6 is an address, but no network.
        if (typeof network === 'string') return address?.bits === 32 && text.includes(':');
        return address !== undefined && isWithin(address, { list: [network], line: 1 });
      }),
      { seed, numRuns: 5000 },
    );
  });

  it('are read or refused, never a crash', () => {
    const pieces = fc.array(fc.constantFrom('10', '.', ':', '/', '0', 'ffff', '255', '%', '8', '-', ' '), {
      maxLength: 14,
    });
    fc.assert(
      fc.property(pieces, (parts) => {
        const network = parseListedNetwork(parts.join(''));
        return typeof network === 'string' || /^[0-9a-f.:]+(?:\/\d{1,3})?$/.test(network.text);
      }),
      { seed, numRuns: 10_000 },
    );
  });
});
