import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli, type RunResult } from '../../support/fake-terminal.ts';
import { makeTestAuthority, type Holder, type TestAuthority } from '../../support/ibmi-tls.ts';
import { describeWithPeers } from '../../support/peers.ts';
import { run as runProgram } from '../../support/slapd.ts';

describeWithPeers(['openssl'], 'sallyport ibmi plan', () => {
  let folder: string;
  let authority: TestAuthority;
  let holder: Holder;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-plan-cli-'));
    authority = makeTestAuthority(join(folder, 'ca'));
    holder = authority.issue('prod', { names: 'DNS:prod.example.com' });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const plan = (
    out: string,
    more: readonly string[] = [],
    apps = 'telnet,hostservers',
  ): Promise<RunResult> => {
    const certificate = [
      '--certificate',
      holder.file,
      '--ca',
      authority.issuingFile,
      '--ca',
      authority.rootFile,
    ];
    return runCli(
      [
        'ibmi',
        'plan',
        'prod.example.com',
        '--apps',
        apps,
        ...certificate,
        '--out',
        join(folder, out),
        ...more,
      ],
      { env: {}, nowMs: () => Date.UTC(2026, 10, 30) },
    );
  };

  it('writes the folder whole, with authorities in order, and sums that sha256sum confirms', async () => {
    writeFileSync(join(folder, 'prod.p12'), 'bundle', { mode: 0o600 });
    const { exitCode, stdout } = await plan('one', ['--p12', join(folder, 'prod.p12'), '--compat', 'dcm']);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('telnet-2026-11');
    const out = join(folder, 'one');
    expect(readFileSync(join(out, 'ca/01-root.crt'), 'utf8')).toBe(authority.root);
    expect(statSync(out).mode & 0o777).toBe(0o700);
    expect(statSync(join(out, 'telnet-2026-11.p12')).mode & 0o777).toBe(0o600);
    expect(runProgram('sha256sum', ['-c', 'SHA256SUMS'], { cwd: out })).toContain('telnet-2026-11.p12: OK');
    expect(readFileSync(join(out, 'runbook.md'), 'utf8')).toContain('compatible encryption');
    expect(readdirSync(folder).filter((name) => name.endsWith('.new'))).toEqual([]);
  });

  it('says so when the certificate does not name the system', async () => {
    expect((await plan('named')).stderr).not.toContain('does not name');
    const args = ['--apps', 'telnet', '--certificate', holder.file, '--out', join(folder, 'other')];
    const authorities = ['--ca', authority.rootFile, '--ca', authority.issuingFile];
    const { exitCode, stderr } = await runCli(
      ['ibmi', 'plan', 'as400.example.com', ...args, ...authorities],
      {
        env: {},
      },
    );
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining('does not name as400.example.com')]);
  });

  it('never writes into a folder that holds anything', async () => {
    mkdirSync(join(folder, 'full'));
    writeFileSync(join(folder, 'full', 'mine'), '');
    expect((await plan('full')).exitCode).toBe(1);
    expect(readdirSync(join(folder, 'full'))).toEqual(['mine']);
  });

  it('leaves nothing when the chain has a hole', async () => {
    const args = [
      'ibmi',
      'plan',
      'prod',
      '--apps',
      'telnet',
      '--certificate',
      holder.file,
      '--ca',
      authority.rootFile,
    ];
    const { exitCode, stdout } = await runCli([...args, '--out', join(folder, 'hole'), '--json'], {
      env: {},
    });
    expect([exitCode, (JSON.parse(stdout) as { error: { code: string } }).error.code]).toEqual([
      1,
      'ibmi.bad_chain',
    ]);
    expect(readdirSync(folder)).not.toContain('hole');
  });

  it.each([
    ['telnett', []],
    ['vpn', []],
    ['telnet', ['--label', 'a b']],
    ['telnet', ['--p12', '/nowhere.p12']],
    ['telnet', ['--client-ca', '/nowhere.pem']],
    ['telnet', ['--compat', 'rc2']],
  ])('--apps %s %j is not accepted', async (apps, more) => {
    expect((await plan('never', more, apps)).exitCode).not.toBe(0);
    expect(readdirSync(folder)).not.toContain('never');
  });
});
