import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { auditor } from '../../test/support/broker.ts';
import type { BrokerFolder } from '../../test/support/broker.ts';
import { clientWith, logInTo } from '../../test/support/serve.ts';
import { scriptAt } from '../broker-load.ts';
import { memoryMb } from '../measure.ts';
import type { Row } from '../report.ts';

const limits = { seconds: 60, mb: 200 };

/** Exports the whole log of a running broker, and judges it with `sallyport audit verify`, a process of its own. */
export async function verifyRows(made: BrokerFolder, folder: string): Promise<Row[]> {
  const bundle = join(folder, 'log.bundle');
  const client = clientWith(made, await logInTo(made, auditor));
  const exportStart = performance.now();
  await pipeline(await client.exportLog({}), createWriteStream(bundle));
  const exportSeconds = (performance.now() - exportStart) / 1000;
  client.close();
  const { seconds, mb, said } = await verify(bundle, made.logKeyFile);
  const entries = /All (\d+) entries/.exec(said)?.[1] ?? '?';
  const sizeMb = (statSync(bundle).size / 1e6).toFixed(0);
  return [
    {
      target: 20,
      name: 'audit verify of the whole log, seconds',
      value: seconds,
      good: 'at most',
      gate: limits.seconds,
      detail: `${entries} entries, ${sizeMb} MB, all three verdicts; the export before it took ${exportSeconds.toFixed(1)} s`,
    },
    {
      target: 20,
      name: 'audit verify of the whole log, MB',
      value: mb,
      good: 'at most',
      gate: limits.mb,
      detail: 'the most that its process held (VmHWM), Node and the command line included',
    },
  ];
}

/** @throws Error with what it said unless everything is verified */
async function verify(
  bundle: string,
  keyFile: string,
): Promise<{ readonly seconds: number; readonly mb: number; readonly said: string }> {
  const args = [scriptAt('bin/sallyport'), 'audit', 'verify', bundle, '--key', keyFile];
  const start = performance.now();
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const heard: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => heard.push(part));
  let mb = 0;
  const look = setInterval(() => {
    const now = memoryMb(child.pid ?? 0, 'VmHWM');
    if (now > mb) mb = now;
  }, 20);
  const [code] = (await once(child, 'close')) as [number | null];
  clearInterval(look);
  const seconds = (performance.now() - start) / 1000;
  const said = Buffer.concat(heard).toString('utf8').replaceAll(/\s+/g, ' ');
  if (code !== 0) throw new Error(`audit verify ended with ${String(code)}: ${said}`);
  return { seconds, mb, said };
}
