import { spawn, type ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { alice, boss, type BrokerFolder } from '../../test/support/broker.ts';
import { clientWith, logInTo, type HeldSession } from '../../test/support/serve.ts';
import { ask, newPublicKey } from '../../test/doors/http/support.ts';
import { makeUnlimitedFolder, scriptAt, startServe } from '../broker-load.ts';
import type { BenchCase, BenchContext } from '../case.ts';
import { median } from '../measure.ts';
import type { Row } from '../report.ts';
import { makeWaitingEstate } from '../waiting-estate.ts';

const processes = 4;
const mostWaitMs = 300_000;

/** Hosts that wait for news by long poll: what each costs the broker, and how soon a revocation has reached all of them. */
export const waitingHostsCase: BenchCase = {
  name: 'waiting-hosts',
  async run(context) {
    const made = await makeUnlimitedFolder();
    const closing: (() => void | Promise<void>)[] = [() => made.remove()];
    try {
      return await measured(context, made, closing);
    } finally {
      for (const close of closing.reverse()) await close();
    }
  },
};

interface Answer {
  readonly atMs: number;
  readonly status: number;
}

async function measured(
  { quick, progress, note }: BenchContext,
  made: BrokerFolder,
  closing: (() => void | Promise<void>)[],
): Promise<readonly Row[]> {
  const count = quick ? 2000 : 10_000;
  progress(`${count} hosts in the database`);
  const file = await makeWaitingEstate(made, count);
  closing.push(() => rmSync(file, { force: true }));
  const broker = await startServe(made);
  closing.push(() => broker.stop());
  const admin = await logInTo(made, boss);
  await issueTo(made, await logInTo(made, alice));
  const before = broker.memoryMb();

  progress(`${count} hosts connect and wait, from ${processes} processes`);
  const beganMs = Date.now();
  const answers: Answer[] = [];
  const children = Array.from({ length: processes }, (_, part) =>
    startWaiting(file, [part, count / processes], answers),
  );
  closing.push(() => children.forEach(({ child }) => void child.kill('SIGKILL')));
  await Promise.all(children.map(({ ready }) => ready));
  while ((await waitingAt(made)) < count && Date.now() - beganMs < mostWaitMs) await delay(200);
  const connectedSeconds = (Date.now() - beganMs) / 1000;
  const waiting = await waitingAt(made);
  const held = broker.memoryMb();

  progress('one revocation');
  const client = clientWith(made, admin);
  const cpuBefore = broker.cpuSeconds();
  const revokedMs = Date.now();
  await client.revoke({
    target: { kind: 'person', value: 'alice' },
    reason: 'bench',
    lock: false,
    apply: true,
  });
  const returnedMs = Date.now() - revokedMs;
  client.close();
  while (answers.length < waiting && Date.now() - revokedMs < mostWaitMs) await delay(50);
  const cpu = broker.cpuSeconds() - cpuBefore;
  const good = answers.filter(({ status }) => status === 200).map(({ atMs }) => atMs - revokedMs);
  if (good.length < count) note(`${count - good.length} of ${count} hosts did not get the bundle`);
  const lastMs = Math.max(...good);
  const detail =
    `${good.length} of ${count} hosts got it; the command returned after ${returnedMs} ms, first answer ${Math.min(...good)} ms, median ` +
    `${median(good).toFixed(0)} ms; ${((cpu * 1000) / good.length).toFixed(2)} ms CPU of the broker for each; they had connected within ${connectedSeconds.toFixed(0)} s`;
  return [
    {
      target: 20,
      name: `memory for each of ${count} waiting hosts, kB (RSS)`,
      value: ((held - before) * 1000) / count,
      good: 'at most',
      detail: `${before.toFixed(0)} MB before, ${held.toFixed(0)} MB with all of them`,
    },
    {
      target: 20,
      name: `revocation to the last of ${count} waiting hosts, seconds, wall`,
      value: lastMs / 1000,
      good: 'at most',
      detail,
    },
  ];
}

function startWaiting(
  file: string,
  [part, size]: readonly [number, number],
  answers: Answer[],
): { readonly child: ChildProcess; readonly ready: Promise<void> } {
  const range = [String(part * size), String((part + 1) * size - 1)];
  const child = spawn(process.execPath, [scriptAt('bench/servers/waiting-hosts.ts'), file, '1', ...range], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ready = new Promise<void>((resolve, reject) => {
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        const [word, atMs = '0', status = '0'] = line.split(' ');
        if (word === 'ready') resolve();
        if (word === 'answer') answers.push({ atMs: Number(atMs), status: Number(status) });
      }
    });
    child.once('exit', () => reject(new Error('a process of waiting hosts ended')));
  });
  return { child, ready };
}

async function waitingAt(made: BrokerFolder): Promise<number> {
  const { body } = await ask(made, { path: '/metrics' });
  return Number(/^sallyport_hosts_waiting (\d+)/m.exec(body.toString('utf8'))?.[1] ?? 0);
}

/** Something to revoke. */
async function issueTo(made: BrokerFolder, session: HeldSession): Promise<void> {
  const client = clientWith(made, session);
  await client.sign(newPublicKey(), {});
  client.close();
}
