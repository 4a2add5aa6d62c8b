import { describe, expect, it } from 'vitest';
import { complete, names, problemsOf, profile, who } from './support.ts';

/** Title, text, and each problem as `line:col` and a fragment of its words. */
type Rejected = readonly [string, string, ...(readonly [string, string])[]];

const notYaml: readonly Rejected[] = [
  ['an empty file', '', ['1:1', 'empty']],
  ['only a comment', '# nothing\n', ['1:1', 'empty']],
  ['a list', '- version: 1', ['1:1', 'must be a mapping']],
  ['a word', 'policy', ['1:1', 'must be a mapping']],
  ['a tab as indentation', 'version: 1\nprofiles:\n\tp: 1', ['3:1', 'Tabs']],
  ['an open bracket', 'version: [1\n', ['2:1', ']']],
  ['a second document', 'version: 1\n---\nversion: 1\n', ['2:1', 'multiple documents']],
  ['a directive', '%YAML 1.1\n---\nversion: 1\nprofiles: {}', ['1:1', 'directives']],
  ['a control character', 'version: 1\nprofiles: {}\n# \u001b[31m', ['3:3', 'control']],
  ['NUL', 'version: 1\0', ['1:11', 'control']],
  ['an anchor', 'version: &v 1\nprofiles: {}', ['1:13', 'anchors']],
  [
    'an anchor and its alias',
    'version: 1\nprofiles:\n  a: &p {}\n  b: *p',
    ['3:9', 'anchors'],
    ['4:6', 'aliases'],
  ],
  ['an alias of nothing', 'version: 1\nprofiles: *p', ['2:11', 'aliases']],
  ['an anchor on a key', '&k version: 1\nprofiles: {}', ['1:4', 'anchors']],
  ['a tag', 'version: !!int 1\nprofiles: {}', ['1:16', 'tags']],
  ['an unknown tag', 'version: !js/function 1\nprofiles: {}', ['1:10', 'Unresolved tag']],
  ['a mapping as key', '? {a: 1}\n: 1\nversion: 1\nprofiles: {}', ['1:3', 'a key must be plain text']],
];

const notPolicy: readonly Rejected[] = [
  ['nothing of it', '{}', ['1:1', 'lacks “version”'], ['1:1', 'lacks “profiles”']],
  ['another version', 'version: 2\nprofiles: {}', ['1:10', 'version']],
  ['version 1.0', 'version: 1.0\nprofiles: {}', ['1:10', 'version']],
  ['a key twice', 'version: 1\nprofiles: {}\nversion: 1', ['3:1', 'twice, first on line 1']],
  ['a quoted key twice', 'version: 1\n"version": 1\nprofiles: {}', ['2:1', 'twice']],
  ['a misspelt key', 'version: 1\nprofile: {}\nprofiles: {}', ['2:1', 'did you mean “profiles”']],
  ['a merge key', 'version: 1\nprofiles: {}\n<<: {}', ['3:1', 'no key “<<”']],
  ['__proto__', 'version: 1\nprofiles: {}\n__proto__: {}', ['3:1', 'no key “__proto__”']],
  ['an unknown role', 'version: 1\nroles: {admins: {}}\nprofiles: {}', ['2:9', 'did you mean “admin”']],
  ['a role for nobody', 'version: 1\nroles: {admin: {}}\nprofiles: {}', ['2:16', 'names nobody']],
  ['an empty role', 'version: 1\nroles:\n  admin:\nprofiles: {}', ['3:9', 'must be a mapping']],
  [
    'a protected name with a wildcard',
    'version: 1\nprotected-principals: [root, "adm*"]\nprofiles: {}',
    ['2:30', 'cannot be a principal'],
  ],
  ['profiles as a list', 'version: 1\nprofiles: [a]', ['2:11', 'must be a mapping']],
  [
    'a profile twice',
    'version: 1\nprofiles:\n  p: {}\n  p: {}',
    ['3:6', 'lacks “who”'],
    ['3:6', 'lacks “principals”'],
    ['4:3', 'twice'],
  ],
  [
    'a profile with a bad name',
    `version: 1\nprofiles:\n  "a b": {${who}, ${names}}`,
    ['3:3', 'cannot be the name of a profile'],
  ],
];

const badWho: readonly Rejected[] = [
  ['nobody', profile('who: {}', names), ['4:10', 'names nobody']],
  ['empty groups', profile('who: {groups: []}', names), ['4:19', 'is empty']],
  ['groups that are no list', profile('who: {groups: builtin:users}', names), ['4:19', 'must be a list']],
  ['a group without directory', profile('who: {groups: [users]}', names), ['4:20', 'is not a group']],
  ['a group without name', profile('who: {groups: ["builtin:"]}', names), ['4:20', 'is not a group']],
  ['a bare CN', profile('who: {groups: [corp:Ops]}', names), ['4:20', 'only a common name']],
  ['a CN alone as DN', profile('who: {groups: [corp:CN=Ops]}', names), ['4:20', 'only a common name']],
  [
    'a DN that [ ] has split',
    profile('who: {groups: [corp:CN=Ops,DC=x]}', names),
    ['4:20', 'only a common name'],
    ['4:32', 'quote the whole name'],
  ],
  [
    'a DN with a bad escape',
    profile('who:', '  groups:', '    - corp:CN=a\\x,DC=x', names),
    ['6:11', 'RFC 4514'],
  ],
  ['a SID cut short', profile('who: {groups: [corp:S-1-5]}', names), ['4:20', 'complete SID']],
  [
    'a DN in the built-in directory',
    profile('who: {groups: ["builtin:CN=a,DC=x"]}', names),
    ['4:20', 'built-in'],
  ],
  [
    'a directory in capitals',
    profile('who: {groups: [Corp:S-1-5-32-544]}', names),
    ['4:20', 'name of a directory'],
  ],
  ['a person without directory', profile('who: {people: [alice]}', names), ['4:20', 'is not a person']],
  ['a person as a list', profile('who: {people: [[builtin:a]]}', names), ['4:20', 'must be text']],
  ['an attribute without value', profile('who: {attributes: [{attribute: a}]}', names), ['4:24', 'either']],
  [
    'an attribute with two rules',
    profile('who: {attributes: [{attribute: a, equals: b, any-of: [c]}]}', names),
    ['4:24', 'either'],
  ],
  [
    'an attribute without name',
    profile('who: {attributes: [{equals: b}]}', names),
    ['4:24', 'lacks “attribute”'],
  ],
  [
    'an attribute with options',
    profile('who: {attributes: [{attribute: "a;binary", equals: b}]}', names),
    ['4:36', 'name of an attribute'],
  ],
  [
    'a value of nothing',
    profile('who: {attributes: [{attribute: a, equals: }]}', names),
    ['4:47', 'must be text'],
  ],
  [
    'a misspelt attribute rule',
    profile('who: {attributes: [{attribute: a, equal: b}]}', names),
    ['4:24', 'either'],
    ['4:39', 'did you mean “equals”'],
  ],
];

const badSettings: readonly Rejected[] = [
  ['no principals', profile(who), ['4:5', 'lacks “principals”']],
  ['principals of nothing', profile(who, 'principals: {}'), ['5:17', 'names nothing']],
  ['an empty list of them', profile(who, 'principals: {explicit: []}'), ['5:28', 'is empty']],
  ...['a,b', 'a b', '*', 'a?', '#a', '-a', 'é', '', ' ', 'a\\tb'].map((name): Rejected => [
    `the principal “${name}”`,
    profile(who, `principals: {explicit: ["${name}"]}`),
    ['5:29', ''],
  ]),
  ['a principal twice', profile(who, 'principals: {explicit: [a, a]}'), ['5:32', 'twice']],
  ['null as principal', profile(who, 'principals: {explicit: [null]}'), ['5:29', 'must be text']],
  [
    'an unknown transform',
    profile(who, 'principals: {from: [{attribute: uid, transforms: [lowercase]}]}'),
    ['5:55', 'did you mean “lower”'],
  ],
  [
    'a length of 0',
    profile(who, 'principals: {from: [{attribute: uid, transforms: [max-length 0]}]}'),
    ['5:55', 'no transform'],
  ],
  [
    'a length of 129',
    profile(who, 'principals: {from: [{attribute: uid, transforms: [max-length-129]}]}'),
    ['5:55', 'no transform'],
  ],
  ['a derivation without attribute', profile(who, 'principals: {from: [{}]}'), ['5:25', 'lacks “attribute”']],
  ['a lifetime without unit', profile(...complete, 'lifetime: {max: 8}'), ['6:21', 'is not a duration']],
  ['a lifetime in days', profile(...complete, 'lifetime: {max: 1d}'), ['6:21', 'is not a duration']],
  ['a lifetime over a day', profile(...complete, 'lifetime: {max: 24h1s}'), ['6:21', 'between 5m and 24h']],
  [
    'a lifetime under five minutes',
    profile(...complete, 'lifetime: {min: 299s}'),
    ['6:21', 'between 5m and 24h'],
  ],
  [
    'a default above the maximum',
    profile(...complete, 'lifetime: {default: 2h, max: 1h}'),
    ['6:15', 'longer than lifetime.max'],
  ],
  [
    'a minimum above the default',
    profile(...complete, 'lifetime: {default: 1h, min: 2h, max: 3h}'),
    ['6:15', 'lifetime.min'],
  ],
  [
    'an unknown extension',
    profile(...complete, 'extensions: [permit-x11-forwarding]'),
    ['6:18', 'did you mean “permit-X11-forwarding”'],
  ],
  ['an extension twice', profile(...complete, 'extensions: [permit-pty, permit-pty]'), ['6:30', 'twice']],
  [
    'no-touch-required as critical option',
    profile(...complete, 'critical-options: {no-touch-required: true}'),
    ['6:24', 'no key'],
  ],
  [
    'force-command over lines',
    profile(...complete, 'critical-options:', '  force-command: |', '    a', '    b'),
    ['7:22', 'one line'],
  ],
  [
    'an empty force-command',
    profile(...complete, 'critical-options: {force-command: ""}'),
    ['6:39', 'is empty'],
  ],
  [
    'verify-required as text',
    profile(...complete, 'critical-options: {verify-required: "yes"}'),
    ['6:41', 'true or false'],
  ],
  [
    'verify-required as yes',
    profile(...complete, 'critical-options: {verify-required: yes}'),
    ['6:41', 'true or false'],
  ],
  [
    'host bits in source-address',
    profile(...complete, 'critical-options: {source-address: [10.1.2.3/8]}'),
    ['6:41', 'first 8'],
  ],
  ['a name in sources', profile(...complete, 'sources: [example.org]'), ['6:15', 'is not a network']],
  ['sources of nothing', profile(...complete, 'sources: []'), ['6:14', 'is empty']],
  ['a network twice', profile(...complete, 'sources: [10.0.0.0/8, 10.0.0.0/8]'), ['6:27', 'twice']],
  [
    'a key type by nickname',
    profile(...complete, 'keys: {types: [ed25519]}'),
    ['6:20', 'did you mean “ssh-ed25519”'],
  ],
  ['DSA keys', profile(...complete, 'keys: {types: [ssh-dss]}'), ['6:20', '']],
  ['weak RSA keys', profile(...complete, 'keys: {rsa-min-bits: 1024}'), ['6:26', 'between 2048']],
  ['RSA bits as text', profile(...complete, 'keys: {rsa-min-bits: "3072"}'), ['6:26', 'between 2048']],
  [
    'security keys demanded, yet none allowed',
    profile(...complete, 'keys: {types: [ssh-ed25519], require-security-key: true}'),
    ['6:11', 'no security key type'],
  ],
  [
    'a reason other than the two',
    profile(...complete, 'reason: require'),
    ['6:13', 'did you mean “required”'],
  ],
  [
    'a window without zone',
    profile(...complete, 'windows: [{days: [mon], from: 08:00, to: 09:00}]'),
    ['6:15', 'lacks “timezone”'],
  ],
  ...(
    [
      ['an unknown day', '[monday]', '08:00', '09:00', 'UTC', '6:23', 'is not a day'],
      ['a day range that is none', '[mon-fri-sun]', '08:00', '09:00', 'UTC', '6:23', 'is not a day'],
      ['no day', '[]', '08:00', '09:00', 'UTC', '6:22', 'is empty'],
      ['an hour past the day', '[mon]', '08:00', '24:01', 'UTC', '6:46', 'time of day'],
      ['an hour of one digit', '[mon]', '8:00', '09:00', 'UTC', '6:35', 'time of day'],
      ['an unknown zone', '[mon]', '08:00', '09:00', 'Europe/Berln', '6:63', 'did you mean “Europe/Berlin”'],
      ['an offset as zone', '[mon]', '08:00', '09:00', '"+02:00"', '6:63', 'IANA'],
      ['a window that is never open', '[mon]', '08:00', '08:00', 'UTC', '6:15', 'never open'],
      ['a window that opens at 24:00', '[mon]', '24:00', '08:00', 'UTC', '6:15', '24:00'],
    ] as const
  ).map(([title, days, from, to, zone, at, words]): Rejected => [
    title,
    profile(...complete, `windows: [{days: ${days}, from: ${from}, to: ${to}, timezone: ${zone}}]`),
    [at, words],
  ]),
];

describe.each([
  ['a text that is not plain YAML', notYaml],
  ['a text that is not a policy', notPolicy],
  ['people and groups that cannot be', badWho],
  ['settings that cannot be', badSettings],
])('%s is refused', (_, cases) => {
  for (const [title, text, ...expected] of cases) {
    it(title, () => {
      const problems = problemsOf(text);
      const positions = problems.map((problem) => /^policy\.yaml:(\d+:\d+): /.exec(problem)?.[1]);
      expect(positions).toEqual(expected.map(([at]) => at));
      for (const [index, [, words]] of expected.entries()) expect(problems[index]).toContain(words);
    });
  }
});
