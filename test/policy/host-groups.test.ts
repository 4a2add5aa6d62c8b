import { describe, expect, it } from 'vitest';
import { parsePolicy, type Policy } from '../../src/policy/index.ts';
import { codeOfSync } from '../support/code-of.ts';

const parse = (groups: string): Policy =>
  parsePolicy(`version: 1\nprofiles: {}\nhost-groups:\n${groups}\n`, 'policy.yaml');

describe('groups of hosts', () => {
  it('have a default that need not be written down', () => {
    const plain = parsePolicy('version: 1\nprofiles: {}\n', 'policy.yaml').hostGroups;
    expect([...plain.keys()]).toEqual(['default']);
    expect(plain.get('default')).toMatchObject({
      endSessions: 'off',
      whenStale: 'warn',
      freshForSeconds: 86_400,
    });
    expect(parse('  default: {when-stale: close}').hostGroups.get('default')?.whenStale).toBe('close');
  });

  it('are read as they are written', () => {
    const web = `  web:
    end-sessions: report
    when-stale: close
    fresh-for: 1h30m
    certificate: 7d
    principals: {deploy: [web-deployers, release], QSECOFR: [emergency]}`;
    expect(parse(web).hostGroups.get('web')).toEqual({
      name: 'web',
      endSessions: 'report',
      whenStale: 'close',
      freshForSeconds: 5400,
      certificateSeconds: 7 * 86_400,
      principals: [
        { account: 'deploy', names: ['web-deployers', 'release'] },
        { account: 'QSECOFR', names: ['emergency'] },
      ],
    });
  });

  it.each([
    '  Web: {}',
    `  ${'x'.repeat(33)}: {}`,
    '  web: []',
    '  web: {colour: red}',
    '  web: {end-sessions: sometimes}',
    '  web: {when-stale: open}',
    '  web: {fresh-for: 5m}',
    '  web: {fresh-for: 31d}',
    '  web: {fresh-for: soon}',
    '  web: {certificate: 91d}',
    '  web: {certificate: 1h}',
    '  web: {principals: [deploy]}',
    '  web: {principals: {deploy: []}}',
    '  web: {principals: {deploy: [a, a]}}',
    '  web: {principals: {deploy: ["a b"]}}',
    '  web: {principals: {deploy: ["*"]}}',
    '  web: {principals: {"../x": [a]}}',
    '  web: {principals: {"..": [a]}}',
    '  web: {principals: {"a b": [a]}}',
    '  web: {}\n  web: {}',
  ])('are refused as %j', (groups) => {
    expect(codeOfSync(() => parse(groups))).toBe('policy.invalid');
  });
});
