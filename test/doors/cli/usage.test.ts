import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OperatorCommands } from '../../../src/doors/cli/index.ts';
import { CodedError } from '../../../src/kernel/index.ts';
import type { ClientHome, RunResult } from '../../support/fake-terminal.ts';
import { makeClientHome, runCli } from '../../support/fake-terminal.ts';

let home: ClientHome;
beforeAll(() => {
  home = makeClientHome();
  writeFileSync(`${home.folder}/key.pub`, 'ssh-ed25519 AAAA broken');
  writeFileSync(`${home.folder}/private`, '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n');
});
afterAll(() => home.remove());

const run = (args: readonly string[], more: object = {}): Promise<RunResult> =>
  runCli(args, { env: home.env, ...more });

/** Every command of the contract, with what it needs at least. */
const contract: readonly string[] = [
  'probe HOST HOST --hosts FILE --ca FILE --ports 992 --log --html FILE --wait 5',
  'ibmi apps --usage FILE',
  'ibmi renewals --report FILE --days 60 --window WINDOW --ics FILE',
  'ibmi trust --for acs --ca FILE --out DIR',
  'ibmi issue HOST --apps telnet --csr FILE --p12 FILE --compat dcm --key-type rsa-3072 --profile P --name N --days 90 --reason T --label L --previous-label P --client-ca FILE --out DIR',
  'ibmi plan HOST --apps telnet --certificate FILE --ca FILE --p12 FILE --compat dcm --label L --previous-label P --client-ca FILE --out DIR',
  'init DIR --yes --dns a --dns b --admin anna --password-stdin',
  'config check FILE',
  'serve --config FILE',
  'init DIR --database postgres://owner@db/sallyport --database-ca FILE',
  'store reindex --config FILE --database postgres://owner@db/sallyport --database-ca FILE',
  'store migrate --config FILE --dry-run --database postgres://owner@db/sallyport --database-ca FILE',
  'store copy --config FILE --to postgres://owner@db/sallyport --database-ca FILE',
  'witness init DIR --name NAME',
  'witness serve --config FILE',
  'people add --config FILE alice --group g --group h --password-stdin',
  'people passwd --config FILE alice --group g --password-stdin --yes',
  'people groups --config FILE alice --group g',
  'people groups --config FILE alice --none --yes',
  'people disable --config FILE alice --yes',
  'people enable --config FILE alice',
  'people remove --config FILE alice --password-stdin --yes',
  'people list --config FILE alice --group g --password-stdin',
  'login --user U --directory D --password-stdin --profile P --principal N --extension E --ttl 8h --reason T --no-agent',
  'sign KEY.pub --out KEY-cert.pub --profile P --principal N --principal M --no-extensions --ttl 1h --reason T',
  'status --json',
  'logout',
  'ssh-config --hosts *.example.com',
  'ca show --json',
  'krl get --out FILE',
  'policy explain --person U --profile P --at 2026-11-23T16:00:00Z',
  'admin revoke --person U --reason T --lock --yes',
  'admin revoke --serial 5 --reason T',
  'admin revoke --key FILE --reason T',
  'admin revoke --key-id ID --reason T',
  'admin revoke --before 2026-11-23T16:00:00Z --reason T',
  'admin lock --person U',
  'admin unlock --person U',
  'admin issued --person U --live --json',
  'audit search --json',
  'audit export --out FILE',
  'audit verify BUNDLE --key FILE --previous FILE --part',
  'audit checkpoint',
];

describe('the command line', () => {
  test.each(contract)('knows `%s`', async (line) => {
    const help = await run([...line.split(' ').filter((word) => !word.startsWith('--json')), '--help']);
    expect(help.exitCode, help.stderr).toBe(0);
    expect(help.stdout).toContain('Example:');
    expect(help.stdout).toContain('--json');
    for (const flag of line.match(/--[a-z-]+/g) ?? []) expect(help.stdout).toContain(flag);
  });

  test.each([
    [['logn'], 'Did you mean login?'],
    [['admin', 'revok'], 'Did you mean revoke?'],
    [['login', '--usr', 'x'], 'Did you mean --user?'],
    [['nothing-like-it'], '--help'],
    [['status', 'too', 'much'], '--help'],
    [['krl', 'get'], '--help'],
    [['admin', 'revoke', '--person', 'x'], '--help'],
    [['admin', 'revoke', '--reason', 'x'], '--person, --serial, --key, --key-id and --before'],
    [['admin', 'revoke', '--reason', 'x', '--person', 'a', '--serial', '1'], '--person, --serial'],
    [['admin', 'revoke', '--reason', 'x', '--person', ''], 'value'],
    [['admin', 'revoke', '--reason', 'x', '--serial', '0'], '2^64-1'],
    [['admin', 'revoke', '--reason', 'x', '--serial', '18446744073709551616'], '2^64-1'],
    [['admin', 'revoke', '--reason', 'x', '--key', 'SHA256:short'], '43 characters'],
    [['admin', 'revoke', '--reason', 'x', '--key', '/no/such/file'], 'SHA256:'],
    [['admin', 'revoke', '--reason', 'x', '--key-id', 'a b'], 'key id'],
    [['admin', 'revoke', '--reason', 'x', '--before', 'yesterday'], '2026-11-23'],
    [['admin', 'revoke', '--reason', 'x', '--serial', '5', '--lock'], 'admin lock'],
    [['admin', 'issued', '--limit', '0'], '--help'],
    [['admin', 'principal', 'release', 'a,b', '--reason', 'x'], 'ASCII'],
    [['audit', 'export', '--out', 'x', '--from', 'yesterday'], 'indexes'],
    [['audit', 'search', '--from', '2026-13-45'], '2026-11-23'],
    [['audit', 'verify', '/no/bundle', '--key', '/no/key'], 'log-key'],
    [['ca', 'show', '--only', 'everything'], '--help'],
    [['login', '--ttl', '0s'], '8h'],
    [['login', '--ttl', '8'], 'Say 8h for hours, or 8m for minutes.'],
    [['login', '--ttl', '1w'], '8h'],
    [['login', '--ttl', '-1h'], '8h'],
    [['login', '--ttl', '9999d'], '8h'],
    [['login', '--extension', 'permit pty'], 'permit-pty'],
    [['login', '--extension', 'permit-pty', '--no-extensions'], 'one of them'],
    [['ssh-config', '--hosts', 'a"b'], 'ssh_config'],
    [['ssh-config', '--hosts', ''], 'leave it out'],
    [['login', '--principal', ''], '--principal is empty'],
    [['login', '--principal', 'a', '--principal', ' '], '--principal is empty'],
    [['login', '--principal', 'a b'], 'ASCII'],
    [['login', '--user', ''], '--user is empty'],
    [['login', '--reason', ''], '--reason is empty'],
    [['sign', ''], '<key.pub> is empty'],
    [['admin', 'revoke', '--person', 'a', '--reason', ''], '--reason is empty'],
    [['admin', 'revoke', '--person', 'a', '--reason', 'x'.repeat(1001)], '1000 characters'],
    [['admin', 'lock', '--person', 'a', '--reason', '  '], '--reason is empty'],
    [['audit', 'search', '--outcome', 'foo'], 'success, failure, denied'],
    [['audit', 'search', '--outcome', ''], '--outcome is empty'],
    [['people', 'add', '', '--config', 'F'], '<name> is empty'],
    [['init', 'DIR', '--password-stdin'], '--admin'],
    [['people', 'groups', 'bob', '--config', 'F'], '--group'],
    [['people', 'groups', 'bob', '--config', 'F', '--none', '--group', 'g'], '--group'],
    [['people', 'disable', '--config', 'F'], '--help'],
  ] as const)('refuses %j as usage and says what would be right', async (args, hint) => {
    const result = await run(args);
    expect(result.exitCode).toBe(2);
    expect(result.stdout).toBe('');
    expect(result.stderr).toMatch(/^sallyport: /);
    expect(result.stderr).toMatch(/^ {2}next: /m);
    expect(result.stderr).toContain(hint);
    expect(result.stderr).not.toMatch(/^\s+at /m);
    const json = await run([...args, '--json']);
    expect(json.exitCode).toBe(2);
    expect(JSON.parse(json.stdout)).toMatchObject({
      error: { code: expect.any(String), next: expect.any(String) },
    });
    expect(json.stderr).toBe('');
  });

  test('shows help on standard error and exits 2 when no command is named', async () => {
    for (const args of [[], ['admin'], ['ca']]) {
      const result = await run(args);
      expect([result.exitCode, result.stdout]).toEqual([2, '']);
      expect(result.stderr).toContain('Usage: sallyport');
    }
  });

  test('admin revoke says that the sessions of whoever is hit end, whatever the target', async () => {
    const { stdout } = await run(['admin', 'revoke', '--help'], { columns: 200 });
    const flat = stdout.replaceAll(/\s+/g, ' ');
    expect(flat).toContain('Revoke certificates, and end all sessions of the people who hold them;');
    expect(flat).toContain('shows what it would hit until --yes');
  });

  test.each([['--json status'], ['status --json']])('`%s` answers in JSON', async (line) => {
    const result = await run(line.split(' '));
    expect([result.exitCode, JSON.parse(result.stdout)]).toMatchObject([4, { session: { state: 'none' } }]);
  });

  test('prints its version', async () => {
    expect(await run(['--version'])).toEqual({ exitCode: 0, stdout: '0.0.0-test\n', stderr: '' });
  });

  test('a private key is never read as a key to sign, nor sent', async () => {
    const result = await run(['sign', `${home.folder}/private`]);
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toContain('private key');
  });

  test.each([
    ['sign HOME/key.pub', /^ssh\./],
    ['sign HOME/no-key', 'cli.usage'],
    ['sign HOME/private', 'cli.usage'],
    ['sign HOME', 'client.cannot_read'],
    ['sign /dev/null', /^ssh\./],
    ['krl get --out HOME/x --list-key HOME/key.pub', /^ssh\./],
    ['krl get --out HOME/x --list-key HOME', 'client.cannot_read'],
    ['admin revoke --reason x --key HOME/key.pub', /^ssh\./],
    ['admin revoke --reason x --key HOME', 'client.cannot_read'],
    ['audit search --key HOME/private', /^ssh\./],
    ['audit search --key HOME', 'client.cannot_read'],
  ])('`%s`: a named file that is not what it should be is a wrong command line', async (line, code) => {
    const result = await run([...line.replaceAll('HOME', home.folder).split(' '), '--json']);
    expect([result.exitCode, JSON.parse(result.stdout)]).toMatchObject([
      2,
      { error: { code: expect.stringMatching(code), message: expect.stringContaining('/') } },
    ]);
  });

  test.each(['missing', 'key.pub', '.'])(
    'SALLYPORT_CA_FILE that is none (%s) is a wrong setting',
    async (name) => {
      const env = {
        ...home.env,
        SALLYPORT_URL: 'https://broker.example',
        SALLYPORT_CA_FILE: `${home.folder}/${name}`,
      };
      const result = await run(['ca', 'show', '--json'], { env });
      expect([result.exitCode, JSON.parse(result.stdout)]).toMatchObject([
        2,
        { error: { code: 'client.bad_ca_file' } },
      ]);
    },
  );

  test.each(['sign KEY', 'admin issued', 'audit search', 'policy explain', 'audit export --out x'])(
    '`%s` without a login exits 4',
    async (line) => {
      writeFileSync(
        `${home.folder}/good.pub`,
        'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH4UKHNEz7mXI1C0FRCJFy0Gry31zOmH/U0F3J4A56GJ c\n',
      );
      const result = await run(line.replace('KEY', `${home.folder}/good.pub`).split(' '));
      expect([result.exitCode, result.stderr]).toEqual([4, expect.stringContaining('sallyport login')]);
    },
  );
});

describe('the operator’s commands', () => {
  const calls: unknown[] = [];
  const outcome = { value: { ok: true }, lines: ['done'] };
  const operator: OperatorCommands = {
    init: (options) => Promise.resolve((calls.push(['init', options]), outcome)),
    initHostCa: (options) => Promise.resolve((calls.push(['initHostCa', options]), outcome)),
    checkConfig: (file) =>
      Promise.reject(new CodedError('main.bad_config', `${file}:3:5 is wrong.`, { next: 'Mend it.' })),
    serve: (options) => Promise.resolve(void calls.push(['serve', options])),
    initWitness: (options) => (
      calls.push(['initWitness', options]),
      Promise.resolve({ value: null, lines: [] })
    ),
    serveWitness: (options) => Promise.resolve(void calls.push(['serveWitness', options])),
    initTls: (options) => Promise.resolve((calls.push(['initTls', options]), outcome)),
    renewTlsAuthority: (options) => Promise.resolve((calls.push(['renewTlsAuthority', options]), outcome)),
    rotateTlsAuthority: (options) => Promise.resolve((calls.push(['rotateTlsAuthority', options]), outcome)),
    signRootList: (options) => Promise.resolve((calls.push(['signRootList', options]), outcome)),
    people: (action, options) => Promise.resolve((calls.push([action, options]), outcome)),
    erasePerson: (options) => Promise.resolve((calls.push(['erase', options]), outcome)),
    reindexStore: (options) => Promise.resolve((calls.push(['reindex', options]), outcome)),
    migrateStore: (options) => Promise.resolve((calls.push(['migrate', options]), outcome)),
    copyStore: (options) => Promise.resolve((calls.push(['copy', options]), outcome)),
    backup: (options) => Promise.resolve((calls.push(['backup', options]), outcome)),
    restore: (options) => Promise.resolve((calls.push(['restore', options]), outcome)),
    recover: (options) => Promise.resolve((calls.push(['recover', options]), outcome)),
  };

  test.each([
    [
      'audit erase --config C --person anna --reason left',
      '',
      ['erase', { configFile: 'C', person: 'anna', reason: 'left', yes: false }],
    ],
    ['init-host-ca --config C', '', ['initHostCa', { configFile: 'C', caType: 'ed25519' }]],
    ['init D --yes', '', ['init', { folder: 'D', caType: 'ed25519', dnsNames: [], admin: undefined }]],
    [
      'init D --dns a --dns b --admin anna --password-stdin',
      'pw\n',
      [
        'init',
        {
          folder: 'D',
          caType: 'ed25519',
          dnsNames: ['a', 'b'],
          admin: { name: 'anna', password: 'pw' },
        },
      ],
    ],
    [
      'init D --yes --database postgres://o@h/d --database-ca C',
      '',
      [
        'init',
        {
          folder: 'D',
          caType: 'ed25519',
          dnsNames: [],
          admin: undefined,
          database: { url: 'postgres://o@h/d', caFile: 'C' },
        },
      ],
    ],
    ['serve --config F', '', ['serve', { configFile: 'F' }]],
    ['store reindex --config F', '', ['reindex', { configFile: 'F' }]],
    [
      'store reindex --config F --database postgres://o@h/d',
      '',
      ['reindex', { configFile: 'F', database: { url: 'postgres://o@h/d' } }],
    ],
    ['store migrate --config F --dry-run', '', ['migrate', { configFile: 'F', dryRun: true }]],
    [
      'store migrate --config F --database postgres://o@h/d',
      '',
      ['migrate', { configFile: 'F', dryRun: false, database: { url: 'postgres://o@h/d' } }],
    ],
    [
      'store copy --config F --to postgres://o@h/d --database-ca C',
      '',
      ['copy', { configFile: 'F', to: { url: 'postgres://o@h/d', caFile: 'C' } }],
    ],
    ['witness serve --config F', '', ['serveWitness', { configFile: 'F' }]],
    ['witness init D --name N', '', ['initWitness', { folder: 'D', name: 'N', logs: [] }]],
    [
      'people add --config F bob --group g --group h --password-stdin',
      'pw',
      ['add', { configFile: 'F', name: 'bob', groups: ['g', 'h'], password: 'pw', yes: false }],
    ],
    [
      'people remove --config F bob',
      '',
      ['remove', { configFile: 'F', name: 'bob', groups: undefined, password: undefined, yes: false }],
    ],
    [
      'people remove --config F bob --yes',
      '',
      ['remove', { configFile: 'F', name: 'bob', groups: undefined, password: undefined, yes: true }],
    ],
    [
      'people remove --config F bob --password-stdin',
      '',
      ['remove', { configFile: 'F', name: 'bob', groups: undefined, password: undefined, yes: false }],
    ],
    [
      'people passwd --config F bob --password-stdin',
      'pw',
      ['passwd', { configFile: 'F', name: 'bob', groups: undefined, password: 'pw', yes: false }],
    ],
    [
      'people passwd --config F bob --group g --group h --password-stdin',
      'pw',
      ['passwd', { configFile: 'F', name: 'bob', groups: ['g', 'h'], password: 'pw', yes: false }],
    ],
    [
      'people groups --config F bob --group g',
      '',
      ['groups', { configFile: 'F', name: 'bob', groups: ['g'], password: undefined, yes: false }],
    ],
    [
      'people groups --config F bob --none',
      '',
      ['groups', { configFile: 'F', name: 'bob', groups: [], password: undefined, yes: false }],
    ],
    [
      'people disable --config F bob',
      '',
      ['disable', { configFile: 'F', name: 'bob', groups: undefined, password: undefined, yes: false }],
    ],
    [
      'people enable --config F bob',
      '',
      ['enable', { configFile: 'F', name: 'bob', groups: undefined, password: undefined, yes: false }],
    ],
    [
      'people list --config F',
      '',
      ['list', { configFile: 'F', name: undefined, groups: undefined, password: undefined, yes: false }],
    ],
    [
      'people list --config F bob --group g --password-stdin',
      '',
      ['list', { configFile: 'F', name: 'bob', groups: ['g'], password: undefined, yes: false }],
    ],
  ] as const)('`%s` reaches main as it was said', async (line, stdin, call) => {
    calls.length = 0;
    const result = await run(line.split(' '), { operator, stdin });
    expect([result.exitCode, result.stderr]).toEqual([0, '']);
    // A new password is asked for when it is known that the person is there.
    const looks = call[0] === 'passwd' ? [['list', expect.objectContaining({ name: 'bob' })]] : [];
    expect(calls).toEqual([...looks, call]);
  });

  test('`people remove` with a group is no slip, and does not remove the person who was meant to stay', async () => {
    calls.length = 0;
    const args = ['people', 'remove', '--config', 'F', 'bob', '--group', 'users'];
    const result = await run([...args, '--json'], { operator });
    expect([result.exitCode, JSON.parse(result.stdout)]).toMatchObject([
      2,
      { error: { code: 'cli.removes_person', next: expect.stringContaining('people groups bob') } },
    ]);
    expect(calls).toEqual([]);
  });

  test('a new password for somebody who is not there is not asked for', async () => {
    const unknown = new CodedError('identity.unknown_person', 'There is no person “bob”.');
    const result = await run(['people', 'passwd', '--config', 'F', 'bob', '--json'], {
      operator: { ...operator, people: () => Promise.reject(unknown) },
    });
    // With a question it would have been cli.no_terminal.
    expect([result.exitCode, JSON.parse(result.stdout)]).toMatchObject([
      1,
      { error: { code: 'identity.unknown_person' } },
    ]);
  });

  test('what they answer is printed as text or as JSON', async () => {
    expect((await run(['people', 'list', '--config', 'F'], { operator })).stdout).toBe('done\n');
    for (const args of [
      ['people', 'list', '--config', 'F', '--json'],
      ['people', '--json', 'list', '--config', 'F'],
      ['--json', 'people', 'list', '--config', 'F'],
    ])
      expect(JSON.parse((await run(args, { operator })).stdout)).toEqual({ ok: true });
  });

  test('what they refuse is told like everything else', async () => {
    expect(await run(['config', 'check', 'F'], { operator })).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: 'sallyport: F:3:5 is wrong.\n  next: Mend it.\n',
    });
  });

  test('several mistakes in a file are told one below the other, however wide the screen is', async () => {
    const message =
      'The policy has 2 mistakes:\nF:3:5: “profils” is unknown.\nF:9:1: two\u001B[2J \rare wrong.';
    const broken = {
      ...operator,
      checkConfig: () => Promise.reject(new CodedError('policy.invalid', message, { next: 'Mend them.' })),
      serve: () => Promise.reject(new CodedError('policy.invalid', message, { next: 'Mend them.' })),
    };
    const told = [
      'sallyport: The policy has 2 mistakes:',
      '  F:3:5: “profils” is unknown.',
      '  F:9:1: two?[2J ?are wrong.',
      '  next: Mend them.',
      '',
    ].join('\n');
    for (const args of [
      ['config', 'check', 'F'],
      ['serve', '--config', 'F'],
    ])
      expect((await run(args, { operator: broken })).stderr).toBe(told);
    const narrow = await run(['config', 'check', 'F'], {
      operator: {
        ...operator,
        checkConfig: () =>
          Promise.reject(new CodedError('policy.invalid', `One:\nF:1:1: ${'word '.repeat(20)}`)),
      },
      columns: 60,
      env: { ...home.env, NO_COLOR: '1' },
    });
    expect(narrow.stderr.split('\n')).toEqual([
      'sallyport: One:',
      expect.stringMatching(/^ {2}F:1:1: word/),
      expect.stringMatching(/^ {4}word/),
      '',
    ]);
    const json = await run(['config', 'check', 'F', '--json'], { operator: broken });
    expect(JSON.parse(json.stdout)).toMatchObject({ error: { message } });
  });

  test('a defect is told without a stack trace', async () => {
    const broken = { ...operator, checkConfig: () => Promise.reject(new TypeError('x is not a function')) };
    const result = await run(['config', 'check', 'F'], { operator: broken });
    expect(result.exitCode).toBe(1);
    expect(result.stderr).not.toMatch(/^\s+at /m);
    expect(result.stderr.split('\n')).toHaveLength(3);
  });
});
