import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { granted, decide, problemsOf } from './support.ts';
import { parsePolicy } from '../../src/policy/index.ts';

const page = readFileSync(new URL('../../docs/operations/policy.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/^## (.+?)$|^```yaml\n([\s\S]*?)^```$/gm)].reduce<[string, string][]>(
  (list, match) => {
    const [, title, yaml] = match;
    if (title !== undefined) list.push([title, '']);
    const last = list.at(-1);
    if (yaml !== undefined && last !== undefined) last[1] = yaml;
    return list;
  },
  [],
);
const example = (title: string): string =>
  examples.find(([name]) => name === title)?.[1] ?? expect.unreachable(title);

describe('the examples of docs/operations/policy.md', () => {
  it.each(['The whole file', 'Linux', 'AIX', 'IBM i', 'Windows'])('“%s” is a policy', (title) => {
    expect(problemsOf(example(title))).toEqual([]);
  });

  it('for IBM i gives both spellings of a name, cut to ten characters', () => {
    const person = {
      directory: 'corp',
      groups: [{ dn: 'CN=IBM i Users,OU=Groups,DC=corp,DC=example' }],
      attributes: { samaccountname: ['Alexander.Smith'] },
    };
    const grant = granted(decide(parsePolicy(example('IBM i'), 'p'), person));
    expect(grant.principals).toEqual(['alexander.', 'ALEXANDER.']);
  });

  it('for AIX cuts names to eight characters', () => {
    const person = {
      directory: 'corp',
      groups: [{ sid: 'S-1-5-21-1004336348-1177238915-682003330-1204' }],
      attributes: { samaccountname: ['Alexander'] },
    };
    expect(granted(decide(parsePolicy(example('AIX'), 'p'), person)).principals).toEqual(['alexande']);
  });
});

describe('the table of refusals', () => {
  it('names every code that the room can give, and no other', () => {
    const files = ['decide', 'checks', 'choose-principals', 'parse-policy', 'yaml-reader'];
    const source = files
      .map((name) => readFileSync(new URL(`../../src/policy/${name}.ts`, import.meta.url), 'utf8'))
      .join('');
    const given = new Set([...source.matchAll(/'(policy\.[a-z_]+)'/g)].map(([, code]) => code ?? ''));
    const documented = new Set([...page.matchAll(/`(policy\.[a-z_]+)`/g)].map(([, code]) => code ?? ''));
    documented.delete('policy.yaml');
    expect([...documented].toSorted()).toEqual([...given].toSorted());
  });
});
