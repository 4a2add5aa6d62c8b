import { linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Clock, RandomBytes } from '../../kernel/index.ts';
import { errnoOf, fileFault } from './files.ts';

/** Nobody holds it longer: a renewal is given up before. */
const staleAfterMs = 60_000;

/**
 * Takes the lock that makes twenty `ssh` at once renew once.
 * @returns what gives it back, or undefined when somebody else holds it. A lock whose process is gone, or that is older
 * than a minute, is taken over; two that take over at the same instant may both succeed, which costs one more certificate
 * and nothing else. Where the home is missing there is nothing to lock, and it is not made.
 * @throws CodedError `client.cannot_write`
 */
export function takeRenewLock(path: string, clock: Clock, random: RandomBytes): (() => void) | undefined {
  const mine = JSON.stringify({
    host: hostname(),
    pid: process.pid,
    since: clock.nowMs(),
    token: random(9).toString('base64url'),
  });
  if (!create(path, mine) && !(removeStale(path, clock, random) && create(path, mine))) return undefined;
  return () => {
    if (contentOf(path) === mine) rmSync(path, { force: true });
  };
}

/** True while somebody works on a renewal. */
export function isRenewLocked(path: string, clock: Clock): boolean {
  const held = contentOf(path);
  return held !== undefined && !isStale(path, held, clock);
}

function create(path: string, content: string): boolean {
  try {
    writeFileSync(path, content, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    // Without the folder there is nothing that two could renew at once, and none is made for a lock: `ssh` runs this also
    // before anybody ever logged in, and after a home was removed.
    if (errnoOf(error) === 'ENOENT') return true;
    throw fileFault('client.cannot_write', 'written', path, error);
  }
}

function removeStale(path: string, clock: Clock, random: RandomBytes): boolean {
  const held = contentOf(path);
  if (held === undefined) return true;
  if (!isStale(path, held, clock)) return false;
  const aside = `${path}.${random(6).toString('hex')}.stale`;
  try {
    renameSync(path, aside);
    // Somebody else may have taken the stale lock over between the look and the rename: give theirs back.
    if (contentOf(aside) !== held) linkSync(aside, path);
  } catch {
    // Gone or taken in the meantime: the next `create` tells which.
  }
  rmSync(aside, { force: true });
  return true;
}

function isStale(path: string, content: string, clock: Clock): boolean {
  let holder: unknown;
  try {
    holder = JSON.parse(content);
  } catch {
    // Half written: its author is either at it now, or dead; the age tells.
    holder = undefined;
  }
  const { host, pid, since } = (typeof holder === 'object' && holder !== null ? holder : {}) as Record<
    string,
    unknown
  >;
  if (typeof since !== 'number') return olderThan(path, clock.nowMs() - staleAfterMs);
  // A lock from the future was written before the clock was set back.
  if (Math.abs(clock.nowMs() - since) > staleAfterMs) return true;
  return host === hostname() && typeof pid === 'number' && !isAlive(pid);
}

function olderThan(path: string, timeMs: number): boolean {
  try {
    return statSync(path).mtimeMs < timeMs;
  } catch {
    // Gone: nothing is in the way any more.
    return true;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    return errnoOf(error) === 'EPERM';
  }
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // No lock, or none that can be read: `create` finds out.
    return undefined;
  }
}
