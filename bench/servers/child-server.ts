import { spawn } from 'node:child_process';
import { memoryMb, processCpuSeconds } from '../measure.ts';

/** A server in a process of its own, so that its CPU time is nobody else's. */
export interface ChildServer {
  /** CPU seconds so far: threads, and the children that have ended. */
  cpuSeconds(): number;
  /** What it holds in memory now, in MB (RSS). */
  memoryMb(): number;
  /** Asks it to end (SIGTERM) and waits until it has. */
  stop(): Promise<void>;
}

/** Starts a script with this Node. Resolves when it has printed `ready`; what it prints afterwards is thrown away. */
export function startChildServer(script: string, args: readonly string[]): Promise<ChildServer> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const { pid } = child;
  return new Promise((resolve, reject) => {
    let printed = '';
    const look = (text: Buffer): void => {
      printed = (printed + text.toString('utf8')).slice(-10_000);
      if (pid === undefined || !printed.includes('ready')) return;
      for (const stream of [child.stdout, child.stderr]) stream.off('data', look).resume();
      resolve({
        cpuSeconds: () => processCpuSeconds(pid, 'with children'),
        memoryMb: () => memoryMb(pid, 'VmRSS'),
        async stop() {
          child.kill('SIGTERM');
          await ended;
        },
      });
    };
    for (const stream of [child.stdout, child.stderr]) stream.on('data', look);
    child.once('error', reject);
    void ended.then(() => reject(new Error(`${script} ended before it was ready: ${printed}`)));
  });
}
