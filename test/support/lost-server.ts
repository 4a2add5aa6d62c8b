import { blackHole, type BlackHole } from './black-hole.ts';
import { freePort } from './free-port.ts';

/** How the first server of a directory may be lost, and what the directory then says of it. */
export const waysToBeLost = [
  ['dead', /:\d+ is down \(ECONNREFUSED/],
  ['black-holed', /:\d+ is down \(no connection within 2000 ms\)/],
] as const;

/** A port where nobody answers: it refuses every connection, or drops what is sent there. */
export async function lostServer(way: (typeof waysToBeLost)[number][0]): Promise<BlackHole> {
  if (way === 'black-holed') return blackHole();
  return { port: await freePort(), close: () => Promise.resolve() };
}
