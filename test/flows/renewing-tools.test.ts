import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addPerson } from '../../src/identity/index.ts';
import { systemRandom } from '../../src/kernel/index.ts';
import { startTestBroker, type TestBroker } from '../support/broker.ts';
import { runCli } from '../support/fake-terminal.ts';
import { describeWithPeers } from '../support/peers.ts';
import { startSshd, type RunningSshd } from '../support/sshd.ts';

const password = 'canary-tools-3Wc8Jd';

/** Whoever has the block of `ssh-config` in their configuration never renews by hand, whichever program runs ssh. */
describeWithPeers(
  ['sshd', 'ssh', 'ssh-keygen', 'scp', 'git', 'rsync', 'root'],
  'with the ssh_config block and a certificate that died',
  () => {
    let broker: TestBroker;
    let sshd: RunningSshd;
    let folder: string;
    /** On the server, the account's own. */
    let remote: string;
    let account: string;
    const at = (name: string): string => join(folder, name);

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'sallyport-tools-'));
      chmodSync(folder, 0o755);
      broker = await startTestBroker({ people: [] });
      sshd = await startSshd({
        userCaLines: [readFileSync(broker.userCaFile, 'utf8').trim()],
        config: ['Subsystem sftp internal-sftp'],
      });
      [account = ''] = sshd.accounts;
      const cost = { N: 2 ** 14, r: 8, p: 1 };
      const person = { login: account, groups: ['users'], password };
      await addPerson(broker.peopleFile, person, { random: systemRandom, cost });
      remote = at('remote');
      mkdirSync(remote);
      execFileSync('git', ['init', '--quiet', '--bare', join(remote, 'work.git')]);
      execFileSync('chown', ['-R', account, remote]);

      const env = { SALLYPORT_URL: broker.url, SALLYPORT_CA_FILE: broker.caFile, SALLYPORT_HOME: at('home') };
      const cli = async (args: readonly string[], stdin = ''): Promise<string> => {
        const { exitCode, stdout, stderr } = await runCli(args, { env, stdin });
        expect([args[0], exitCode, stderr]).toEqual([args[0], 0, expect.any(String)]);
        return stdout;
      };
      await cli(['login', '--user', account, '--password-stdin', '--no-agent'], password);
      const block = await cli(['ssh-config', '--hosts', '127.0.0.1']);
      const settings = {
        User: account,
        Port: sshd.port,
        BatchMode: 'yes',
        StrictHostKeyChecking: 'yes',
        UserKnownHostsFile: sshd.knownHostsFile,
      };
      const lines = Object.entries(settings).map(([name, value]) => `    ${name} ${value}`);
      writeFileSync(at('ssh_config'), [block, 'Host *', ...lines, ''].join('\n'));
    });
    afterAll(async () => {
      await sshd?.stop();
      await broker?.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    const note = (): { readonly serial: string } =>
      JSON.parse(readFileSync(at('home/certificate.json'), 'utf8')) as { serial: string };

    /** Nothing is left of the certificate but the note that it has ended. @returns its serial */
    function letDie(): string {
      const { serial, ...more } = note();
      const ended = { validAfter: '2019-12-31T00:00:00Z', validBefore: '2020-01-01T00:00:00Z' };
      writeFileSync(at('home/certificate.json'), JSON.stringify({ ...more, serial, ...ended }));
      rmSync(at('home/id_ed25519-cert.pub'));
      return serial;
    }

    /** Not synchronous: the broker runs in this process. No SALLYPORT_ variable: login has remembered it all. */
    function run(program: string, args: readonly string[]): Promise<string> {
      const ssh = `ssh -F ${at('ssh_config')}`;
      const env = {
        PATH: process.env['PATH'],
        HOME: folder,
        GIT_SSH_COMMAND: ssh,
        RSYNC_RSH: ssh,
        GIT_CONFIG_NOSYSTEM: '1',
      };
      return new Promise((resolve, reject) => {
        execFile(program, args, { env, cwd: folder }, (error, stdout, stderr) => {
          if (error === null) resolve(stdout);
          else reject(new Error(`${program} ended with ${error.code}: ${stderr}`));
        });
      });
    }

    const commit = ['-c', 'user.name=Test', '-c', 'user.email=test@test.example', 'commit', '--allow-empty'];
    const uses: readonly (readonly [tool: string, use: () => Promise<void>])[] = [
      [
        'ssh',
        async () =>
          expect(await run('ssh', ['-F', at('ssh_config'), '127.0.0.1', 'id -un'])).toBe(`${account}\n`),
      ],
      [
        'scp',
        async () => {
          writeFileSync(at('sent'), 'by scp');
          await run('scp', ['-F', at('ssh_config'), at('sent'), `127.0.0.1:${remote}/received`]);
          expect(readFileSync(join(remote, 'received'), 'utf8')).toBe('by scp');
        },
      ],
      [
        'git',
        async () => {
          const repository = `ssh://127.0.0.1${remote}/work.git`;
          const clone = mkdtempSync(at('clone-'));
          await run('git', ['clone', '--quiet', repository, clone]);
          await run('git', ['-C', clone, ...commit, '--quiet', '-m', 'over ssh']);
          letDie();
          await run('git', ['-C', clone, 'push', '--quiet', 'origin', 'HEAD:refs/heads/main']);
          expect(await run('git', ['ls-remote', repository])).toMatch(/^[0-9a-f]{40}\s+refs\/heads\/main$/m);
        },
      ],
      [
        'rsync',
        async () => {
          writeFileSync(at('sent'), 'by rsync');
          await run('rsync', ['-q', at('sent'), `127.0.0.1:${remote}/synchronised`]);
          expect(readFileSync(join(remote, 'synchronised'), 'utf8')).toBe('by rsync');
        },
      ],
    ];

    it.each(uses)('%s renews by itself', async (_, use) => {
      const serial = letDie();
      await use();
      expect(BigInt(note().serial)).toBeGreaterThan(BigInt(serial));
    });

    it('nothing gets in when it cannot be renewed', async () => {
      letDie();
      await runCli(['logout'], { env: { SALLYPORT_HOME: at('home') } });
      for (const use of uses.map(([, each]) => each))
        await expect(use()).rejects.toThrow(/Permission denied/);
    });
  },
);
