import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '../../src/kernel/index.ts';
import { newKeyPair, signed, startHostBrokerStub, type HostBrokerStub } from '../support/host-broker-stub.ts';
import { hostScript, makeMachine, outcome, read, snapshot, type Machine } from '../support/host-machine.ts';
import { describeWithPeers } from '../support/peers.ts';

let broker: HostBrokerStub;
const machines: Machine[] = [];
beforeAll(async () => {
  broker = await startHostBrokerStub();
});
afterAll(async () => {
  for (const machine of machines) machine.remove();
  await broker.stop();
});

async function installed(shell = 'dash'): Promise<Machine> {
  const machine = makeMachine({ shell });
  machines.push(machine);
  writeFileSync(machine.path('served.sh'), broker.script());
  const result = await machine.runFile(machine.path('served.sh'), 'install', '--token', broker.token);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  return machine;
}

const trust = (machine: Machine): string => machine.path('etc/ssh/sallyport');
const hostOf = (machine: Machine): string =>
  / (h-\S+)/.exec(read(machine.path('etc/sallyport/config')))?.[1] ?? '';
const listOf = (machine: Machine): string =>
  execFileSync('ssh-keygen', ['-Ql', '-f', `${trust(machine)}/revoked.krl`], { encoding: 'utf8' });
const steps = (): number[] =>
  broker.documents.flatMap((document) =>
    [...document.matchAll(/^step (\d+)$/gm)].map(([, step]) => Number(step)),
  );

describeWithPeers(['sshd', 'ssh-keygen', 'root'], 'sallyport-host sync', () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await installed();
  });
  beforeEach(() =>
    broker.publish({
      revoked: [],
      principals: [],
      endSessions: 'off',
      whenStale: 'warn',
      freshSeconds: 3600,
    }),
  );

  test('puts a newer bundle in force, and tells the broker what it has', async () => {
    broker.publish({
      revoked: [7n],
      principals: [
        ['web', 'deploy'],
        ['web', 'oncall'],
        ['db', 'dba'],
      ],
    });
    expect(await machine.run('sync')).toMatchObject({ code: 0, stderr: '' });
    expect(read(`${trust(machine)}/principals/web`)).toBe('deploy\noncall\n');
    expect(read(`${trust(machine)}/principals/db`)).toBe('dba\n');
    expect(machine.effective()).toContain(`authorizedprincipalsfile ${trust(machine)}/principals/%u`);
    expect(listOf(machine)).toContain('serial: 7');

    broker.publish({ principals: [['web', 'deploy']] });
    expect(await machine.run('sync')).toMatchObject({ code: 0, stderr: '' });
    expect(read(`${trust(machine)}/principals/web`)).toBe('deploy\n');
    expect(existsSync(`${trust(machine)}/principals/db`)).toBe(false);

    broker.publish({ principals: [] });
    expect(await machine.run('sync')).toMatchObject({ code: 0, stderr: '' });
    expect(machine.effective()).toContain('authorizedprincipalsfile none');
    const version = /^version (\d+)$/m.exec(broker.bundleFor('x'))?.[1];
    expect(await machine.run('sync')).toMatchObject({ code: 0, stdout: '' });
    expect(broker.documents.at(-1)).toMatch(
      new RegExp(`^have ${version}$[^]*^check ok$\n^installed ${version}$`, 'm'),
    );
  });

  test('counts its questions, each higher than the last', async () => {
    const from = steps().length;
    for (let run = 0; run < 3; run += 1) await machine.run('sync');
    const mine = steps().slice(from);
    expect(mine).toEqual(mine.map((_, index) => (mine[0] ?? 0) + index));
  });

  describe('never installs', () => {
    beforeEach(async () => {
      expect(await machine.run('sync')).toMatchObject({ code: 0 });
    });
    const other = newKeyPair();
    const signedBundle = (text: string): string => signed(broker.bundleKey, text);
    const documentOf = (bundle: string): string => bundle.slice(0, bundle.indexOf('-----BEGIN'));
    const next = (host: string, change = {}): string =>
      broker.bundleFor(host, { version: 99_999, revoked: [9n], ...change });
    const edited = (host: string, edit: (document: string) => string): string =>
      signedBundle(edit(documentOf(next(host))));

    test.each<[string, (host: string) => string]>([
      ['a bundle signed by another key', (host) => broker.bundleFor(host, { version: 99_999 }, other)],
      [
        'a bundle signed for another purpose',
        (host) => signed(broker.bundleKey, documentOf(next(host)), 'host-request@sallyport'),
      ],
      ['a bundle without its signature', (host) => documentOf(next(host))],
      [
        'a bundle with a second signature',
        (host) => next(host) + next(host).slice(documentOf(next(host)).length),
      ],
      ['a bundle whose signature is cut', (host) => next(host).slice(0, -40)],
      ['a bundle that was cut in the list', (host) => next(host).slice(0, next(host).indexOf('end-krl'))],
      ['a bundle with one bit changed', (host) => next(host).replace('when-stale warn', 'when-stale warm')],
      ['a changed byte of the list', (host) => next(host).replace(/^U/m, 'V')],
      ['text behind the signature', (host) => `${next(host)}userca ssh-ed25519 AAAA\n`],
      ['text before the bundle', (host) => `# hello\n${next(host)}`],
      ['the bundle of another host', () => next(`h-${'a'.repeat(26)}`)],
      ['the version that is there', (host) => broker.bundleFor(host)],
      ['an older version', (host) => broker.bundleFor(host, { version: 1 })],
      ['a bundle of another format', (host) => edited(host, (text) => text.replace('bundle 1', 'bundle 2'))],
      ['a bundle without a list', (host) => edited(host, (text) => text.replace(/^krl [^]*end-krl\n/m, ''))],
      ['a bundle without a CA', (host) => edited(host, (text) => text.replace(/^userca .*\n/m, ''))],
      [
        'a bundle with two versions',
        (host) => edited(host, (text) => text.replace(/^(version .*\n)/m, '$1$1')),
      ],
      [
        'a bundle with a line nobody knows',
        (host) => edited(host, (text) => text.replace(/^userca/m, 'run reboot\nuserca')),
      ],
      [
        'a CA with options in front',
        (host) => edited(host, (text) => text.replace('userca ', 'userca cert-authority ')),
      ],
      [
        'a principals file outside its folder',
        (host) => edited(host, (text) => text.replace(/^krl/m, 'principal ../../x y\nkrl')),
      ],
      [
        'a principals file above its folder',
        (host) => edited(host, (text) => text.replace(/^krl/m, 'principal .. y\nkrl')),
      ],
      [
        'a principal with a comment',
        (host) => edited(host, (text) => text.replace(/^krl/m, 'principal web a#b\nkrl')),
      ],
      [
        'a list of another size',
        (host) => edited(host, (text) => text.replace(/^krl (\d+) \d+/m, 'krl $1 17')),
      ],
      [
        'a list of another hash',
        (host) => edited(host, (text) => text.replace(/^(krl .* )[0-9a-f]{64}$/m, `$1${'0'.repeat(64)}`)),
      ],
      [
        'a list that OpenSSH cannot load',
        (host) => edited(host, (text) => withList(text, Buffer.from('<html>Not found</html>'))),
      ],
      ['an empty list file', (host) => edited(host, (text) => withList(text, Buffer.alloc(0)))],
      ['bytes that are no text', (host) => next(host).replace('group web', 'group w\u0000b')],
      ['a web page', () => '<html>Please log in to the wireless network</html>'],
    ])('%s', async (_what, bundle) => {
      const before = snapshot(trust(machine));
      const accepted = read(machine.path('etc/sallyport/state/bundle'));
      broker.override('sync', () => ({ status: 200, body: bundle(hostOf(machine)) }));
      const result = await machine.run('sync');
      broker.override('sync', undefined);
      expect(result.code, result.stderr).toBe(1);
      expect(result.stderr).not.toBe('');
      expect(snapshot(trust(machine))).toEqual(before);
      expect(read(machine.path('etc/sallyport/state/bundle'))).toBe(accepted);
      expect(await machine.run('check')).toMatchObject({ code: 0 });
    });
  });

  test('a bundle that is too old raises an alarm, and closes the door where the group wants it', async () => {
    broker.publish({ freshSeconds: 3600, whenStale: 'close' });
    expect(await machine.run('sync')).toMatchObject({ code: 0 });
    const open = read(`${trust(machine)}/user_ca.pub`);
    expect(open).toContain('ssh-ed25519 ');

    broker.publish({ freshSeconds: -5, whenStale: 'warn' });
    expect((await machine.run('sync')).code).toBe(0);
    const checked = await machine.run('check');
    expect(checked.code).toBe(1);
    expect(checked.stderr).toContain('WRONG stale');
    expect(read(`${trust(machine)}/user_ca.pub`)).toBe(open);

    broker.publish({ freshSeconds: -5, whenStale: 'close' });
    expect((await machine.run('sync')).code).toBe(0);
    expect(read(`${trust(machine)}/user_ca.pub`)).toMatch(/^#[^\n]*\n$/);
    expect((await machine.run('sync')).stderr).toContain('nobody logs in');

    broker.publish({ freshSeconds: 3600 });
    expect((await machine.run('sync')).code).toBe(0);
    expect(read(`${trust(machine)}/user_ca.pub`)).toBe(open);
  });

  test('mends what was damaged on the disk from the accepted bundle', async () => {
    await machine.run('sync');
    const before = snapshot(trust(machine));
    writeFileSync(`${trust(machine)}/revoked.krl`, '');
    rmSync(`${trust(machine)}/user_ca.pub`);
    const checked = await machine.run('check');
    expect(checked.stderr).toContain('WRONG bad-list');
    expect(checked.stderr).toContain('WRONG other-trust');
    expect(await machine.run('sync')).toMatchObject({ code: 0 });
    expect(snapshot(trust(machine))).toEqual(before);
  });

  test('a broker that is away costs nothing: exit code 3, and everything stays in force', async () => {
    const config = machine.path('etc/sallyport/config');
    const settings = read(config);
    const before = snapshot(trust(machine));
    writeFileSync(config, settings.replace(/^broker .*$/m, 'broker https://127.0.0.1:1'));
    expect((await machine.run('sync')).code).toBe(3);
    expect(snapshot(trust(machine))).toEqual(before);
    writeFileSync(config, settings);
  });

  test('a broker with another TLS certificate is not believed', async () => {
    const stranger = await startHostBrokerStub();
    const config = machine.path('etc/sallyport/config');
    const settings = read(config);
    writeFileSync(config, settings.replace(/^broker .*$/m, `broker ${stranger.url}`));
    expect((await machine.run('sync')).code).toBe(3);
    expect(stranger.documents).toEqual([]);
    writeFileSync(config, settings);
    await stranger.stop();
  });

  test('what the broker refuses is said in its words, without what could move a terminal', async () => {
    broker.override('sync', () => ({
      status: 409,
      body: 'sallyport-host-answer 1\nerror hosts.conflict\ndetail Two machines \u001b[2Juse this identity.\nnext Retire one.\n',
    }));
    const result = await machine.run('sync');
    broker.override('sync', undefined);
    expect(result).toMatchObject({ code: 1 });
    expect(result.stderr).toContain('hosts.conflict');
    expect(result.stderr).toContain('Retire one.');
    expect(result.stderr).not.toContain('\u001b');
  });

  test('--loop hears of a publication while it waits, and a second one leaves it to the first', async () => {
    await machine.run('sync');
    const loop = machine.start('sync', '--loop');
    const ended = outcome(loop);
    const said = new Promise<void>((resolve) => {
      loop.stdout?.on('data', (text: Buffer) => text.includes('is in force') && resolve());
    });
    await broker.waited();
    const second = await machine.run('sync');
    expect(second.code).toBe(0);
    expect(second.stdout).toContain('waits for news already');
    broker.publish({ revoked: [77n] });
    await said;
    expect(listOf(machine)).toContain('serial: 77');
    loop.kill('SIGTERM');
    expect((await ended).code).toBe(143);
  });

  test('--loop asks again at once after news, and however often there are some, it still looks after everything', async () => {
    await machine.run('sync');
    const first = broker.documents.length;
    const config = machine.path('etc/ssh/sshd_config');
    const before = read(config);
    const loop = machine.start('sync', '--loop');
    const ended = outcome(loop);
    await broker.waited();
    appendFileSync(config, '\nMatch User backup\n\tTrustedUserCAKeys none\n');
    // A document whose `have` is that of the last publication is the question after it.
    const asked = (): string => broker.documents.slice(first).join('\n');
    for (let news = 0; news < 7; news += 1) {
      broker.publish({ revoked: [BigInt(80 + news)] });
      const version = /^version (\d+)$/m.exec(broker.bundleFor('x'))?.[1] ?? '';
      while (!new RegExp(`^have ${version}$`, 'm').test(asked()))
        await new Promise((resolve) => setImmediate(resolve));
      expect(listOf(machine)).toContain(`serial: ${80 + news}`);
    }
    const checks = [...asked().matchAll(/^check (.+)$/gm)].map(([, words]) => words);
    expect(checks).toContain('overridden');
    expect(checks.slice(0, 2)).toEqual(['ok', 'ok']);
    writeFileSync(config, before);
    loop.kill('SIGTERM');
    await ended;
    const steps = [...asked().matchAll(/^step (\d+)$/gm)].map(([, step]) => Number(step));
    expect(steps).toEqual(steps.toSorted((a, b) => a - b));
    expect(new Set(steps).size).toBe(steps.length);
    expect(await machine.run('sync')).toMatchObject({ code: 0, stderr: '' });
  });

  test('renews host certificates when less than a third of their life is left', async () => {
    const file = `${trust(machine)}/ssh_host_ed25519_key-cert.pub`;
    const before = read(file);
    await machine.run('sync');
    expect(read(file)).toBe(before);
    rmSync(file);
    expect((await machine.run('check')).stderr).toContain('WRONG no-certificate');
    expect((await machine.run('sync')).stdout).toContain('renewed');
    expect(read(file)).not.toBe(before);
  });

  test('a copy of the machine does not use the identity, and becomes a host of its own with a token', async () => {
    const first = hostOf(machine);
    const asked = broker.documents.length;
    writeFileSync(machine.path('etc/machine-id'), `${'c'.repeat(32)}\n`);
    const refused = await machine.run('sync');
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toContain('copy of another one');
    expect(broker.documents).toHaveLength(asked);
    expect((await machine.run('check')).stderr).toContain('WRONG copied-machine');

    const identity = read(machine.path('etc/sallyport/identity.pub'));
    writeFileSync(machine.path('etc/sallyport/token'), `${broker.token}\n`, { mode: 0o600 });
    expect(await machine.run('sync')).toMatchObject({ code: 0 });
    expect(hostOf(machine)).not.toBe(first);
    expect(read(machine.path('etc/sallyport/identity.pub'))).not.toBe(identity);
    expect(existsSync(machine.path('etc/sallyport/token'))).toBe(false);
    expect(await machine.run('check')).toMatchObject({ code: 0 });
  });
});

/** The document with another list in it, its size and hash right. */
function withList(document: string, list: Buffer): string {
  const hash = sha256(list).toString('hex');
  return document.replace(
    /^krl (\d+) [^]*end-krl$/m,
    (_, version) => `krl ${version} ${list.length} ${hash}\n${list.toString('base64')}\nend-krl`,
  );
}

describeWithPeers(['shellcheck'], 'the host script', () => {
  test('has nothing that shellcheck finds', () => {
    expect(execFileSync('shellcheck', ['-s', 'sh', hostScript], { encoding: 'utf8' })).toBe('');
  });

  test('does nothing when its end is missing', async () => {
    const machine = makeMachine();
    machines.push(machine);
    const text = readFileSync(hostScript, 'utf8');
    const before = snapshot(machine.root);
    const cut = `${machine.root}-cut.sh`;
    for (const part of [0.2, 0.5, 0.9, 0.9999]) {
      writeFileSync(cut, text.slice(0, Math.floor(text.length * part)));
      await machine.runFile(cut, 'install', '--token', 'x');
      expect(snapshot(machine.root)).toEqual(before);
    }
    rmSync(cut);
  });
});

describeWithPeers(
  ['sshd', 'ssh-keygen', 'ksh93', 'mksh', 'root'],
  'the host script under every shell',
  () => {
    test.each(['dash', 'bash', 'ksh93', 'mksh'])('%s runs it from install to uninstall', async (shell) => {
      const machine = await installed(shell);
      appendFileSync(machine.path('var/log/auth.log'), '');
      broker.publish({ revoked: [3n], principals: [['web', 'deploy']], endSessions: 'on' });
      expect(await machine.run('sync')).toMatchObject({ code: 0, stderr: '' });
      expect(await machine.run('login-report')).toMatchObject({ code: 0, stderr: '' });
      expect(await machine.run('check')).toMatchObject({ code: 0, stderr: '' });
      expect(await machine.run('uninstall')).toMatchObject({ code: 0, stderr: '' });
      expect(existsSync(machine.path('etc/sallyport'))).toBe(false);
      broker.publish({ principals: [], endSessions: 'off' });
    });
  },
);
