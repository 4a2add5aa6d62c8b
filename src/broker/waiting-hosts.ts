import type { KrlPublisher } from './publish-krl.ts';

/** So many answers are made before anybody else has a turn. */
const wokenPerTurn = 64;

interface Waiting {
  readonly have: bigint;
  readonly wake: () => void;
}

/**
 * Hosts that wait for a newer bundle, in memory: each is woken when a list becomes current here, whichever broker published it, when
 * its time is over, or when it hangs up. Waking goes in turns, so that ten thousand answers hold up nobody's login.
 */
export class WaitingHosts {
  readonly #krl: Pick<KrlPublisher, 'current'>;
  readonly #waiting = new Set<Waiting>();
  #waking = false;
  #closed = false;

  constructor(krl: Pick<KrlPublisher, 'current' | 'onCurrent'>) {
    this.#krl = krl;
    krl.onCurrent(() => this.#wakeAll());
  }

  /** How many wait. */
  get count(): number {
    return this.#waiting.size;
  }

  /** Resolves when the list in force is newer than `have`, or after `timeoutMs`, or when `gone` says that nobody listens any more. */
  async until(have: bigint, timeoutMs: number, gone: AbortSignal): Promise<void> {
    if (this.#isNewer(have) || timeoutMs <= 0 || this.#closed || gone.aborted) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        gone.removeEventListener('abort', end);
        this.#waiting.delete(waiting);
        resolve();
      };
      const waiting: Waiting = { have, wake: end };
      const timer = setTimeout(end, timeoutMs);
      gone.addEventListener('abort', end);
      this.#waiting.add(waiting);
    });
  }

  /** Lets everybody go, and takes nobody more: the broker stops. */
  close(): void {
    this.#closed = true;
    for (const { wake } of this.#waiting) wake();
  }

  #isNewer(have: bigint): boolean {
    return (this.#krl.current?.version ?? 0n) > have;
  }

  #wakeAll(): void {
    if (this.#waking) return;
    this.#waking = true;
    const step = (): void => {
      let woken = 0;
      for (const { have, wake } of this.#waiting) {
        if (!this.#isNewer(have)) continue;
        wake();
        woken += 1;
        if (woken === wokenPerTurn) {
          setImmediate(step);
          return;
        }
      }
      this.#waking = false;
    };
    step();
  }
}
