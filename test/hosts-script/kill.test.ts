import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHostBrokerStub, type HostBrokerStub } from '../support/host-broker-stub.ts';
import { makeMachine, outcome, read, snapshot, type Machine } from '../support/host-machine.ts';
import { describeWithPeers } from '../support/peers.ts';

// The numbers of the kills are the promise; the machines only share the work.
const kills = 1000;
const lanes = 4;

describeWithPeers(['sshd', 'ssh-keygen', 'root'], 'kill -9 at any moment', () => {
  let broker: HostBrokerStub;
  const machines: Machine[] = [];
  beforeAll(async () => {
    broker = await startHostBrokerStub();
  });
  afterAll(async () => {
    for (const machine of machines) machine.remove();
    await broker.stop();
  });

  async function installed(): Promise<Machine> {
    const machine = makeMachine();
    machines.push(machine);
    writeFileSync(machine.path('served.sh'), broker.script());
    const done = await machine.runFile(machine.path('served.sh'), 'install', '--token', broker.token);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    return machine;
  }

  test(`${kills} of sync: the list in place loads every time, and so does the trust`, async () => {
    let serial = 0n;
    let inWork = 0;
    // Every question gets a newer bundle, so that every run has something to put in place.
    broker.override('sync', (document) => {
      const host = /^host (\S+)$/m.exec(document)?.[1] ?? '';
      const have = Number(/^have (\d+)$/m.exec(document)?.[1]);
      serial += 1n;
      const revoked = Array.from({ length: 400 }, (_, at) => serial + BigInt(at * 70_000));
      const principals = [['web', `role-${serial}`]] as const;
      return { status: 200, body: broker.bundleFor(host, { version: have + 1, revoked, principals }) };
    });
    const lane = async (count: number): Promise<void> => {
      const machine = await installed();
      const key = machine.path('etc/sallyport/identity.pub');
      const list = machine.path('etc/ssh/sallyport/revoked.krl');
      // How long a whole run takes here and now: the kill falls anywhere within.
      let longestMs = 0;
      for (let kill = 0; kill < count; kill += 1) {
        const child = machine.start('sync');
        const ended = outcome(child);
        const startedMs = performance.now();
        const whole = kill % 25 === 0;
        if (!whole) {
          await Promise.race([after(randomInt(0, Math.max(2, Math.round(longestMs)))), ended]);
          child.kill('SIGKILL');
        }
        const { code, stderr } = await ended;
        if (code === undefined) inWork += 1;
        if (whole) {
          expect(code, stderr).toBe(0);
          longestMs = performance.now() - startedMs;
        }
        expect(await loads(list, key), `kill ${kill}`).toBe('loads');
        expect(read(machine.path('etc/ssh/sallyport/user_ca.pub'))).toMatch(/^ssh-ed25519 \S+\n$/);
        expect(read(machine.path('etc/ssh/sallyport/principals/web'))).toMatch(/^(?:deploy|role-\d+)\n$/);
      }
      // And the next run leaves nothing of the killed ones behind.
      expect(await machine.run('sync')).toMatchObject({ code: 0, stderr: '' });
      expect(await machine.run('check')).toMatchObject({ code: 0, stderr: '' });
      expect(
        Object.values(snapshot(machine.path('etc'))).filter((line) => /\.new\.|tmp\.|lock/.test(line)),
      ).toEqual([]);
    };
    broker.publish({ principals: [['web', 'deploy']] });
    await Promise.all(Array.from({ length: lanes }, () => lane(kills / lanes)));
    // Not only runs that were over already, or had not begun.
    expect(inWork).toBeGreaterThan(kills / 2);
  }, 1_800_000);
});

/** What the ssh-keygen of this machine says about a list. */
function loads(list: string, key: string): Promise<string> {
  return new Promise((resolve) => {
    execFile('ssh-keygen', ['-Q', '-f', list, key], (_error, stdout, stderr) =>
      resolve(/: (?:ok|REVOKED)$/m.test(stdout) ? 'loads' : stdout + stderr),
    );
  });
}
