import { describe, expect, it } from 'vitest';
import { meetsQuorum, parseWitnessPolicy } from '../../src/accounting/index.ts';
import { judgeWitnesses, parsePinnedPolicy } from '../../src/accounting/verify/witnesses.ts';
import { isCodedError } from '../../src/kernel/index.ts';
import { dayDrafts, makeLog } from './log-fixture.ts';
import { makeWitness, policyOf, textOf } from './witness-fixture.ts';

const log = makeLog(dayDrafts(9));
const [x1, x2, x3, y1, y2] = ['X1', 'X2', 'X3', 'Y1', 'Y2'].map(makeWitness) as [
  ReturnType<typeof makeWitness>,
  ReturnType<typeof makeWitness>,
  ReturnType<typeof makeWitness>,
  ReturnType<typeof makeWitness>,
  ReturnType<typeof makeWitness>,
];
const all = [x1, x2, x3, y1, y2];

/** The shape of the example in C2SP tlog-policy: two of one house, and any of the other. */
const twoHouses = `# whose word counts
log ${log.key}

witness X1 ${x1.vkey} https://x1.example/w
\twitness X2\t${x2.vkey}
witness X3  ${x3.vkey}  
group X-witnesses 2 X1 X2 X3
witness Y1 ${y1.vkey}
witness Y2 ${y2.vkey}
  # a comment that is indented
group Y-witnesses any Y1 Y2
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
`;

const parse = (text: string): ReturnType<typeof parseWitnessPolicy> =>
  parseWitnessPolicy(Buffer.from(text), 'policy');

/** What both halves say of those who cosigned. */
function both(policy: string, names: readonly string[]): boolean {
  const pinned = parsePinnedPolicy(policy);
  if (typeof pinned === 'string') throw new Error(pinned);
  const lines = all
    .filter(({ name }) => names.includes(name))
    .map((one) => one.cosign(log.checkpoint).trim());
  const { state } = judgeWitnesses(textOf(log.checkpoint), lines, pinned);
  const met = meetsQuorum(parse(policy), new Set(names));
  expect(state).toBe(met ? 'verified' : 'incomplete');
  return met;
}

describe('a witness policy', () => {
  it('counts what its groups ask for, the same for the broker and for the auditor', () => {
    expect(both(twoHouses, ['X1', 'X2', 'Y1'])).toBe(true);
    expect(both(twoHouses, ['X1', 'X3', 'Y2'])).toBe(true);
    expect(both(twoHouses, ['X1', 'X2', 'X3'])).toBe(false);
    expect(both(twoHouses, ['X1', 'Y1', 'Y2'])).toBe(false);
    expect(both(twoHouses, [])).toBe(false);
    expect(both(policyOf(2, [x1, x2, x3]), ['X1', 'X3'])).toBe(true);
    expect(both(policyOf(2, [x1, x2, x3]), ['X3'])).toBe(false);
    expect(both(`witness X1 ${x1.vkey}\nquorum X1\n`, ['X1'])).toBe(true);
    expect(both(`witness X1 ${x1.vkey}\nquorum X1\n`, ['X2'])).toBe(false);
  });

  it('knows where witnesses are, and for which logs it is', () => {
    const policy = parse(twoHouses);
    expect(policy.logs).toEqual([log.key]);
    expect(policy.witnesses.map(({ name, url }) => [name, url])).toEqual([
      ['X1', 'https://x1.example/w'],
      ['X2', undefined],
      ['X3', undefined],
      ['Y1', undefined],
      ['Y2', undefined],
    ]);
  });

  it('may ask for nobody, and then nothing is concluded', () => {
    expect(meetsQuorum(parse('quorum none\n'), new Set())).toBe(true);
    const pinned = parsePinnedPolicy('quorum none\n');
    if (typeof pinned === 'string') throw new Error(pinned);
    expect(judgeWitnesses(textOf(log.checkpoint), [], pinned).state).toBe('not_checked');
  });

  it('takes other lines for nothing, and a broken line of a listed witness for a forgery', () => {
    const pinned = parsePinnedPolicy(policyOf(1, [x1, x2]));
    if (typeof pinned === 'string') throw new Error(pinned);
    const text = textOf(log.checkpoint);
    const good = x1.cosign(log.checkpoint).trim();
    const grease = '— grease 3q2+7wABAgM=';
    expect(judgeWitnesses(text, [grease, good], pinned).state).toBe('verified');
    expect(judgeWitnesses(text, [grease], pinned).state).toBe('incomplete');
    const forged = x2.cosign(log.checkpoint.replace(/\n\d+\n/, '\n8\n')).trim();
    expect(judgeWitnesses(text, [good, forged], pinned).state).toBe('failed');
  });

  it.each<readonly [line: number | undefined, what: string, text: string]>([
    [undefined, 'nothing', ''],
    [1, 'no quorum', `witness X1 ${x1.vkey}\n`],
    [1, 'a last line without its end', 'quorum none\nquorum no'],
    [2, 'a second quorum', 'quorum none\nquorum none\n'],
    [1, 'a quorum that is not defined', 'quorum X1\n'],
    [1, 'a quorum defined below', `quorum X1\nwitness X1 ${x1.vkey}\n`],
    [1, 'a word too many', 'quorum none none\n'],
    [1, 'no name', 'quorum\n'],
    [2, 'an unknown keyword', 'quorum none\nwitnesses X1\n'],
    [1, 'a keyword in capitals', 'Quorum none\n'],
    [1, 'lines that end in CR LF', 'quorum none\r\n'],
    [1, 'a NUL', 'quorum none\0\n'],
    [1, 'a DEL', '# \u007f\nquorum none\n'],
    [1, 'a byte order mark', '\uFEFFquorum none\n'],
    [1, 'a witness without a key', 'witness X1\nquorum none\n'],
    [1, 'a witness with the key of a log', `witness X1 ${log.key}\nquorum none\n`],
    [1, 'a log with the key of a witness', `log ${x1.vkey}\nquorum none\n`],
    [1, 'a log without a key', 'log\nquorum none\n'],
    [2, 'a log given twice', `log ${log.key}\nlog ${log.key} https://a.example\nquorum none\n`],
    [2, 'a witness given twice', `witness A ${x1.vkey}\nwitness B ${x1.vkey}\nquorum none\n`],
    [2, 'a name given twice', `witness A ${x1.vkey}\nwitness A ${x2.vkey}\nquorum none\n`],
    [1, 'the name none', `witness none ${x1.vkey}\nquorum none\n`],
    [2, 'a group that nobody is in', `witness A ${x1.vkey}\ngroup g all\nquorum g\n`],
    [2, 'more than there are', `witness A ${x1.vkey}\ngroup g 2 A\nquorum g\n`],
    [2, 'none of them', `witness A ${x1.vkey}\ngroup g 0 A\nquorum g\n`],
    [2, 'a leading zero', `witness A ${x1.vkey}\ngroup g 01 A\nquorum g\n`],
    [2, 'less than none', `witness A ${x1.vkey}\ngroup g -1 A\nquorum g\n`],
    [2, 'a word for a number', `witness A ${x1.vkey}\ngroup g constructor A\nquorum g\n`],
    [2, 'a member twice', `witness A ${x1.vkey}\ngroup g any A A\nquorum g\n`],
    [3, 'a member of two groups', `witness A ${x1.vkey}\ngroup g any A\ngroup h any A\nquorum h\n`],
    [2, 'a group within itself', `witness A ${x1.vkey}\ngroup g any g\nquorum g\n`],
    [1, 'the member none', 'group g any none\nquorum g\n'],
  ])('names line %s of one with %s', (line, _what, text) => {
    const expected = line === undefined ? 'policy: ' : `policy:${line}: `;
    let thrown: unknown;
    try {
      parse(text);
    } catch (error) {
      thrown = error;
    }
    if (!isCodedError(thrown, 'accounting.bad_witness_policy')) throw new Error('it was taken');
    expect(thrown.message.startsWith(expected), thrown.message).toBe(true);
    expect(typeof parsePinnedPolicy(text)).toBe('string');
  });

  it('is refused when it is too long, or not UTF-8', () => {
    expect(() => parse(`${'#'.repeat(300_000)}\nquorum none\n`)).toThrow(/longer/);
    expect(typeof parsePinnedPolicy(`${'#'.repeat(300_000)}\nquorum none\n`)).toBe('string');
    expect(() => parseWitnessPolicy(Buffer.from([0x23, 0xff, 0x0a]), 'policy')).toThrow(/UTF-8/);
  });

  it('takes names that are no ASCII, and compares them byte by byte', () => {
    const kelvin = '\u212A';
    const policy = `witness ${kelvin} ${x1.vkey}\nwitness K ${x2.vkey}\nquorum ${kelvin}\n`;
    expect(meetsQuorum(parse(policy), new Set(['K']))).toBe(false);
    expect(meetsQuorum(parse(policy), new Set([kelvin]))).toBe(true);
  });
});
