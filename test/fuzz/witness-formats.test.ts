import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  findCosignature,
  meetsQuorum,
  parseCosignerKey,
  parseWitnessPolicy,
} from '../../src/accounting/index.ts';
import { cosignatureState, parseWitnessKey } from '../../src/accounting/verify/cosignature.ts';
import { parsePinnedPolicy } from '../../src/accounting/verify/witnesses.ts';
import { isCodedError } from '../../src/kernel/index.ts';
import { dayDrafts, makeLog } from '../accounting/log-fixture.ts';
import { makeWitness, policyOf, textOf } from '../accounting/witness-fixture.ts';

const runs = { seed: 20_261_124, numRuns: 500 };
const log = makeLog(dayDrafts(5));
const witnesses = ['a', 'b', 'c'].map(makeWitness);
const policy = `log ${log.key}\n${policyOf(2, witnesses)}`;

/** True when the broker's reader takes it. Anything but a coded refusal is a fault. */
function taken(text: string): boolean {
  try {
    parseWitnessPolicy(Buffer.from(text), 'policy');
    return true;
  } catch (error) {
    expect(isCodedError(error, 'accounting.bad_witness_policy')).toBe(true);
    return false;
  }
}

const word = fc.constantFrom(
  'log',
  'witness',
  'group',
  'quorum',
  'none',
  'any',
  'all',
  '1',
  '2',
  'a',
  'b',
  'g',
  '#',
  '\t',
  log.key,
  ...witnesses.map(({ vkey }) => vkey),
);
const line = fc.array(word, { maxLength: 6 }).map((words) => `${words.join(' ')}\n`);

describe('the two readers of a witness policy', () => {
  it('take the same files, made of its words', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
        const text = `${lines.join('')}quorum none\n`;
        expect(taken(text)).toBe(typeof parsePinnedPolicy(text) !== 'string');
      }),
      { ...runs, numRuns: 5000 },
    );
  });

  it('take the same files, bent anywhere', () => {
    fc.assert(
      fc.property(fc.nat(policy.length), fc.string({ unit: 'binary', maxLength: 4 }), (at, extra) => {
        const well = extra.toWellFormed();
        for (const text of [
          policy.slice(0, at) + well + policy.slice(at),
          policy.slice(0, at) + well + policy.slice(at + well.length),
          policy.slice(0, at),
        ])
          expect(taken(text), JSON.stringify(text)).toBe(typeof parsePinnedPolicy(text) !== 'string');
      }),
      runs,
    );
  });

  it('refuse bytes that mean nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const text = Buffer.from(bytes).toString('latin1');
        expect(taken(text)).toBe(false);
        expect(typeof parsePinnedPolicy(text)).toBe('string');
        expect(parseWitnessKey(text)).toBeUndefined();
      }),
      runs,
    );
  });
});

describe('the two readers of a cosignature', () => {
  it('say the same of lines that were bent', () => {
    const [witness] = witnesses;
    if (witness === undefined) throw new Error('there is a witness');
    const [key, pinned] = [parseCosignerKey(witness.vkey), parseWitnessKey(witness.vkey)];
    if (pinned === undefined) throw new Error('the key is one');
    const text = textOf(log.checkpoint);
    const good = witness.cosign(log.checkpoint);
    fc.assert(
      fc.property(fc.nat(good.length), fc.string({ unit: 'binary', maxLength: 3 }), (at, extra) => {
        const bent = good.slice(0, at) + extra.toWellFormed() + good.slice(at + extra.length);
        const found = findCosignature(text, bent, key);
        const state = cosignatureState(text, bent.split('\n').slice(0, -1), pinned);
        if (bent.endsWith('\n'))
          expect(state).toBe(found === undefined ? 'missing' : found === 'broken' ? 'broken' : 'valid');
        if (state === 'valid') expect(bent).toContain(good);
      }),
      { ...runs, numRuns: 2000 },
    );
  });

  it('count no witness twice', () => {
    const parsed = parseWitnessPolicy(Buffer.from(policy), 'policy');
    expect(meetsQuorum(parsed, new Set(['a']))).toBe(false);
  });
});
