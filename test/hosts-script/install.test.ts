import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startHostBrokerStub, type HostBrokerStub } from '../support/host-broker-stub.ts';
import {
  makeMachine,
  outcome,
  read,
  snapshot,
  type Machine,
  type MachineOptions,
} from '../support/host-machine.ts';
import { describeWithPeers, findPeer } from '../support/peers.ts';

const vectors = join(import.meta.dirname, '..', 'vectors', 'sshd-config');
const samples: readonly (readonly [name: string, way: 'dropin' | 'include'])[] = [
  ['debian-12', 'dropin'],
  ['rhel-9', 'dropin'],
  ['match-at-end', 'include'],
  ['several-host-keys', 'include'],
  ['include-in-match', 'include'],
  ['include-after-match', 'include'],
  ['minimal', 'include'],
  ['crlf', 'include'],
  ['aix-style', 'include'],
  ['quoted-include', 'dropin'],
];

/** Files of a sample, by their path below the root. */
function filesOf(sample: string): Record<string, string> {
  const folder = join(vectors, sample);
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    names.map((name) => [join('etc/ssh', name.slice(folder.length)), readFileSync(name, 'latin1')]),
  );
}

const kindsOf = (config: string): string[] =>
  [...config.matchAll(/^HostKey.*ssh_host_(\w+)_key/gm)].map(([, kind = '']) => kind);

describeWithPeers(['sshd', 'ssh-keygen', 'root'], 'sallyport-host install', () => {
  let broker: HostBrokerStub;
  const machines: Machine[] = [];
  beforeAll(async () => {
    broker = await startHostBrokerStub();
  });
  afterAll(() => broker.stop());
  afterEach(() => {
    for (const machine of machines.splice(0)) machine.remove();
  });

  function machineWith(options: MachineOptions = {}): Machine {
    const machine = makeMachine(options);
    machines.push(machine);
    writeFileSync(machine.path('served.sh'), broker.script());
    return machine;
  }

  function machineOf(sample: string): Machine {
    const files = filesOf(sample);
    const config = files['etc/ssh/sshd_config'] ?? '';
    return machineWith({ config, files, hostKeys: kindsOf(config) });
  }

  const ssh = (machine: Machine): string => machine.path('etc', 'ssh');
  const install = (machine: Machine, ...more: string[]): ReturnType<Machine['run']> =>
    machine.runFile(machine.path('served.sh'), 'install', '--token', broker.token, ...more);

  describe.each(samples)('into the sshd_config of %s', (sample, way) => {
    test('tells sshd, changes nothing the second time, and goes away to the first byte', async () => {
      const machine = machineOf(sample);
      const before = snapshot(ssh(machine));
      expect(await install(machine)).toMatchObject({ code: 0, stderr: '' });

      expect(read(machine.path('etc/sallyport/config'))).toContain(`\nway ${way}\n`);
      expect(await machine.run('check')).toMatchObject({ code: 0, stderr: '' });
      const settings = machine.effective();
      expect(settings).toContain(`trustedusercakeys ${ssh(machine)}/sallyport/user_ca.pub`);
      expect(settings).toContain(`revokedkeys ${ssh(machine)}/sallyport/revoked.krl`);
      const certificates = settings.filter((line) => line.startsWith('hostcertificate '));
      expect(certificates).toHaveLength(kindsOf(read(join(ssh(machine), 'sshd_config'))).length);

      const after = snapshot(machine.path('etc'));
      expect(await install(machine)).toMatchObject({ code: 0, stderr: '' });
      expect(snapshot(machine.path('etc'))).toEqual(after);

      expect(await machine.run('uninstall')).toMatchObject({ code: 0, stderr: '' });
      expect(snapshot(ssh(machine))).toEqual(before);
      expect(existsSync(machine.path('etc/sallyport'))).toBe(false);
    });

    test('is taken back when sshd does not accept it', async () => {
      const machine = machineOf(sample);
      const before = snapshot(ssh(machine));
      // An sshd that accepts everything but what is to be told to it.
      const picky = machine.path('picky-sshd');
      const real = findPeer('sshd') ?? '';
      writeFileSync(
        picky,
        `#!/bin/sh\n${real} -T -f "$3" 2>/dev/null | grep -q '^revokedkeys .*sallyport' && { echo 'no, thank you' >&2; exit 255; }\nexec ${real} "$@"\n`,
      );
      chmodSync(picky, 0o755);
      const result = await machine.runFile(machine.path('served.sh'), 'install', '--token', broker.token, {
        SALLYPORT_SSHD: picky,
      });
      expect(result).toMatchObject({ code: 1 });
      expect(result.stderr).toContain('no, thank you');
      expect(await machine.run('uninstall')).toMatchObject({ code: 0 });
      expect(snapshot(ssh(machine))).toEqual(before);
    });
  });

  test.each(['debian-12', 'match-at-end'])(
    'into %s, killed at any moment: sshd would start each time, and uninstall leaves the first byte',
    async (sample) => {
      const machine = machineOf(sample);
      const before = snapshot(ssh(machine));
      const startedMs = performance.now();
      expect(await install(machine)).toMatchObject({ code: 0 });
      const wholeMs = performance.now() - startedMs;
      expect(await machine.run('uninstall')).toMatchObject({ code: 0 });
      for (let kill = 1; kill <= 12; kill += 1) {
        const child = machine.startFile(machine.path('served.sh'), 'install', '--token', broker.token);
        const ended = outcome(child);
        await Promise.race([after((wholeMs * kill) / 13), ended]);
        child.kill('SIGKILL');
        await ended;
        expect(machine.effective().length).toBeGreaterThan(20);
        if (kill % 2 === 0) expect(await install(machine)).toMatchObject({ code: 0 });
        const gone = await machine.runFile(machine.path('served.sh'), 'uninstall');
        expect(gone, gone.stderr).toMatchObject({ code: 0 });
        expect(snapshot(ssh(machine))).toEqual(before);
      }
    },
    300_000,
  );

  test('someone else’s trust is not replaced without being told to', async () => {
    const config = `${filesOf('minimal')['etc/ssh/sshd_config']}\nTrustedUserCAKeys @ROOT@/etc/ssh/old_ca.pub\n`;
    const machine = machineWith({ config, files: { 'etc/ssh/old_ca.pub': '# nobody\n' } });
    const before = snapshot(ssh(machine));
    const refused = await install(machine);
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toContain('--take-over');
    expect(snapshot(ssh(machine))).toEqual(before);
    expect(await install(machine, '--take-over')).toMatchObject({ code: 0, stderr: '' });
    expect(machine.effective()).toContain(`trustedusercakeys ${ssh(machine)}/sallyport/user_ca.pub`);
    expect(await machine.run('uninstall')).toMatchObject({ code: 0, stderr: '' });
    expect(snapshot(ssh(machine))).toEqual(before);
  });

  test('what a Match block sets itself is found by check', async () => {
    const config = `${filesOf('minimal')['etc/ssh/sshd_config']}\nMatch User backup\n\tTrustedUserCAKeys none\n`;
    const machine = machineWith({ config });
    expect(await install(machine)).toMatchObject({ code: 0 });
    const checked = await machine.run('check');
    expect(checked.code).toBe(1);
    expect(checked.stderr).toContain('WRONG overridden');
  });

  test('a line of somebody else that came into sshd_config meanwhile survives uninstall', async () => {
    const machine = machineOf('match-at-end');
    const file = join(ssh(machine), 'sshd_config');
    const before = read(file);
    expect(await install(machine)).toMatchObject({ code: 0 });
    writeFileSync(file, `${read(file)}\tPermitTTY no\n`);
    expect(await machine.run('uninstall')).toMatchObject({ code: 0 });
    expect(read(file)).toBe(`${before}\tPermitTTY no\n`);
  });

  test('sees every sample that is there', () => {
    const folders = readdirSync(vectors).filter((name) => name !== 'README.md');
    expect(folders.sort()).toEqual(samples.map(([name]) => name).sort());
  });
});
