import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { auditor, boss, startTestBroker, type TestBroker, type TestPerson } from '../support/broker.ts';
import { runCli, type RunResult } from '../support/fake-terminal.ts';
import { describeWithPeers } from '../support/peers.ts';
import { startSshd, type RunningSshd } from '../support/sshd.ts';

/** The whole job through the command line: real broker, real sshd, real ssh with nothing but the block of `ssh-config`. */
describeWithPeers(
  ['sshd', 'ssh', 'ssh-keygen', 'root'],
  'the command line with a real broker and sshd',
  () => {
    let broker: TestBroker;
    let sshd: RunningSshd;
    let folder: string;
    let user: TestPerson;

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'sallyport-cli-flow-'));
      broker = await startTestBroker();
      await must(boss, ['krl', 'get', '--out', join(folder, 'revoked.krl')]);
      const userCaLines = [(await must(boss, ['ca', 'show', '--only', 'user-ca'])).stdout.trimEnd()];
      sshd = await startSshd({ userCaLines, revokedKeysFile: join(folder, 'revoked.krl') });
      user = { login: sshd.accounts[0] ?? '', groups: ['users'], password: 'canary-cli-flow-2Yh6Qp' };
      const { addPerson } = await import('../../src/identity/index.ts');
      const { systemRandom } = await import('../../src/kernel/index.ts');
      await addPerson(broker.peopleFile, user, { random: systemRandom, cost: { N: 2 ** 14, r: 8, p: 1 } });
    });
    afterAll(async () => {
      await sshd.stop();
      await broker.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    const envOf = (person: TestPerson): Record<string, string> => ({
      SALLYPORT_URL: broker.url,
      SALLYPORT_CA_FILE: broker.caFile,
      SALLYPORT_HOME: join(folder, person.login),
    });
    const run = (person: TestPerson, args: readonly string[], stdin = ''): Promise<RunResult> =>
      runCli(args, { env: envOf(person), stdin });
    async function must(person: TestPerson, args: readonly string[], stdin = ''): Promise<RunResult> {
      const result = await run(person, args, stdin);
      expect([args, result.exitCode, result.stderr]).toEqual([args, 0, expect.any(String)]);
      return result;
    }
    const logIn = (person: TestPerson, ...more: readonly string[]): Promise<RunResult> =>
      must(person, ['login', '--user', person.login, '--password-stdin', ...more], person.password);

    /** Plain ssh: whatever it needs stands in its configuration. Not synchronous: the broker runs in this process. */
    function ssh(
      command = 'echo in',
      ...more: readonly string[]
    ): Promise<{ code: number; stdout: string; stderr: string }> {
      const args = [
        '-F',
        join(folder, 'ssh_config'),
        '-p',
        String(sshd.port),
        ...more,
        `${user.login}@127.0.0.1`,
        command,
      ];
      // No SALLYPORT_URL here: login has remembered it.
      const env = { PATH: process.env['PATH'], HOME: folder };
      return new Promise((resolve) => {
        execFile('ssh', args, { env }, (error, stdout, stderr) => {
          resolve({ code: error === null ? 0 : Number(error.code ?? 255), stdout, stderr });
        });
      });
    }

    const noteFile = (): string => join(folder, user.login, 'certificate.json');
    const readNote = (): { serial: string } =>
      JSON.parse(readFileSync(noteFile(), 'utf8')) as { serial: string };
    /** Makes the next ssh renew the certificate. @returns the note as it was. */
    function expire(): { serial: string } {
      const note = readNote();
      const times = { validBefore: '2020-01-01T00:00:00Z', validAfter: '2019-12-31T00:00:00Z' };
      writeFileSync(noteFile(), JSON.stringify({ ...note, ...times }));
      return note;
    }

    it('login once, then plain ssh logs in, and renews a certificate that died', async () => {
      await logIn(user);
      const block = (await must(user, ['ssh-config', '--hosts', '127.0.0.1'])).stdout;
      const strict = `Host *\n    BatchMode yes\n    StrictHostKeyChecking yes\n    UserKnownHostsFile ${sshd.knownHostsFile}\n`;
      writeFileSync(join(folder, 'ssh_config'), `${block}\n${strict}`);
      expect(await ssh()).toMatchObject({ code: 0, stdout: 'in\n' });

      const { serial } = expire();
      expect(await ssh()).toMatchObject({ code: 0, stdout: 'in\n' });
      expect(readNote()).not.toMatchObject({ serial });
    });

    it('who asks for fewer extensions has fewer, also after the renewal', async () => {
      const terminal = (): Promise<object> => ssh('tty', '-tt');
      const given = { code: 0, stdout: expect.stringMatching(/^\/dev\/pts\/\d+\s*$/m) };
      const refused = { code: 255, stderr: expect.stringContaining('PTY allocation request failed') };
      await logIn(user, '--extension', 'permit-pty');
      expect(await terminal()).toMatchObject(given);
      await logIn(user, '--no-extensions');
      expect(await terminal()).toMatchObject(refused);
      expire();
      expect(await terminal()).toMatchObject(refused);
      expect(await ssh()).toMatchObject({ code: 0, stdout: 'in\n' });
      await logIn(user);
      expect(await terminal()).toMatchObject(given);
    });

    it('a rehearsed revocation changes nothing, a real one ends logins, sessions and renewals', async () => {
      await logIn(boss);
      const revoke = ['admin', 'revoke', '--person', user.login, '--reason', 'left', '--lock', '--json'];
      expect(JSON.parse((await must(boss, revoke)).stdout)).toMatchObject({ applied: false, sessions: 1 });
      await must(boss, ['krl', 'get', '--out', join(folder, 'revoked.krl')]);
      expect((await ssh()).code).toBe(0);

      const done = JSON.parse((await must(boss, [...revoke, '--yes'])).stdout) as { credentials: unknown[] };
      expect(done).toMatchObject({ applied: true, sessions: 1, lockedPerson: { login: user.login } });
      expect(done.credentials.length).toBeGreaterThan(1);
      await must(boss, ['krl', 'get', '--out', join(folder, 'revoked.krl')]);
      expect((await ssh()).code).toBe(255);

      const status = await run(user, ['status', '--json']);
      expect(status.exitCode).toBe(4);
      expect(JSON.parse(status.stdout)).toMatchObject({ certificate: { state: 'revoked' } });
      const again = await run(
        user,
        ['login', '--user', user.login, '--password-stdin', '--json'],
        user.password,
      );
      expect([again.exitCode, JSON.parse(again.stdout)]).toMatchObject([
        1,
        { error: { code: 'identity.locked_out' } },
      ]);
      await must(boss, ['admin', 'unlock', '--person', user.login]);
      await logIn(user, '--no-certificate');
    });

    it('a clock that is wrong is told with both clocks', async () => {
      const args = ['login', '--user', user.login, '--password-stdin'];
      const options = { env: envOf(user), stdin: user.password, nowMs: () => Date.now() - 3_600_000 };
      const result = await runCli(args, options);
      expect(result.exitCode).toBe(1);
      expect(result.stderr).toMatch(/3\d{3} s behind/);
      expect(result.stderr).toMatch(/this computer {2}\d{4}-.*\n {2}the broker {5}\d{4}-/);
    });

    it('unknown targets are refused and change nothing', async () => {
      for (const target of [
        ['--person', 'nobody-here'],
        ['--serial', '0xffff'],
        ['--key-id', 'sp-00'],
      ]) {
        const result = await run(boss, ['admin', 'revoke', ...target, '--reason', 'x', '--yes', '--json']);
        expect([result.exitCode, JSON.parse(result.stdout)]).toMatchObject([
          1,
          { error: { code: 'revocation.unknown_target' } },
        ]);
      }
    });

    it('the auditor exports, verifies offline, and every changed copy is found', async () => {
      await logIn(auditor, '--no-certificate');
      const bundle = join(folder, 'audit.bundle');
      await must(auditor, ['audit', 'checkpoint', '--out', join(folder, 'before')]);
      await must(auditor, ['audit', 'export', '--out', bundle]);
      const verify = ['audit', 'verify', bundle, '--key', broker.logKeyFile, '--json'];
      const verified = await runCli([...verify, '--previous', join(folder, 'before')], { env: {} });
      expect(verified.exitCode, verified.stdout).toBe(0);
      expect(JSON.parse(verified.stdout)).toMatchObject({ exitCode: 0, consistency: { state: 'verified' } });

      const text = readFileSync(bundle, 'latin1');
      writeFileSync(bundle, text.replace('cred.revoke', 'cred.revokf'), 'latin1');
      expect((await runCli(verify, { env: {} })).exitCode).toBe(1);
      writeFileSync(bundle, text.slice(0, -200), 'latin1');
      expect((await runCli(verify, { env: {} })).exitCode).toBe(3);
      writeFileSync(join(folder, 'nokey'), 'hello');
      expect(
        (await runCli(['audit', 'verify', bundle, '--key', join(folder, 'nokey')], { env: {} })).exitCode,
      ).toBe(2);

      const denied = await run(auditor, ['admin', 'revoke', '--serial', '1', '--reason', 'x', '--yes']);
      expect(denied.exitCode).toBe(1);
    });

    it('lists and searches what happened', async () => {
      const issued = JSON.parse(
        (await must(boss, ['admin', 'issued', '--person', user.login, '--json'])).stdout,
      ) as {
        credentials: { state: string; person: { login: string } }[];
      };
      expect(new Set(issued.credentials.map(({ state }) => state))).toEqual(new Set(['revoked']));
      const found = JSON.parse(
        (await must(boss, ['audit', 'search', '--type', 'cred.revoke', '--json'])).stdout,
      ) as {
        entries: { entry: { type: string } }[];
      };
      expect(found.entries.length).toBeGreaterThan(1);
      const explained = await must(boss, ['policy', 'explain', '--person', user.login]);
      expect(explained.stdout).toContain(`${user.login} (builtin) would get a certificate`);
      const none = await must(boss, ['policy', 'explain', '--person', auditor.login, '--json']);
      expect(JSON.parse(none.stdout)).toMatchObject({ outcome: 'refused' });
    });
  },
);
