import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the range that outgoing connections take their ports from; each worker of a run has a slice of its own. */
const firstPort = 12_000;
const sliceSize = 2_000;
const slices = 10;
const worker = Number(process.env['VITEST_POOL_ID'] ?? 0) % slices;
/** Where in its slice a process begins: another run may be under way beside this one. */
let next = (process.pid * 37) % sliceSize;

/** A loopback port that nothing listened on a moment ago, and that no other test of this run is given now. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < sliceSize; tried += 1) {
    const port = firstPort + worker * sliceSize + next;
    next = (next + 1) % sliceSize;
    if (await isFree(port)) return port;
  }
  throw new Error('no port of the slice is free');
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer().listen(port, '127.0.0.1');
  try {
    await once(probe, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
  probe.close();
  await once(probe, 'close');
  return true;
}
