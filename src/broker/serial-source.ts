import type { Serial } from '../kernel/index.ts';
import type { Change, SerialBlock, Store } from './unit-of-work.ts';

const smallest = 4;
const largest = 256;

/** A serial that no certificate bears, and why. */
export interface OwedSerial {
  readonly serial: Serial;
  readonly cause: unknown;
}

interface Held {
  readonly block: SerialBlock;
  next: bigint;
  unsettled: number;
}

/**
 * Hands out serials that are reserved durably before they are signed, in blocks that grow with the load. A serial that is
 * handed out must be settled: released with its certificate, or voided.
 */
export class SerialSource {
  readonly #store: Store;
  readonly #caFingerprint: string;
  #held: Held[] = [];
  #reserving: Promise<void> | undefined;
  #owed: OwedSerial[] = [];
  #size = smallest;

  constructor(store: Store, caFingerprint: string) {
    this.#store = store;
    this.#caFingerprint = caFingerprint;
  }

  /** @throws CodedError as `Store.reserveSerials` */
  async next(): Promise<Serial> {
    for (;;) {
      const block = this.#held.find((held) => held.next <= held.block.last);
      if (block !== undefined) {
        const serial = block.next;
        block.next += 1n;
        block.unsettled += 1;
        return serial as Serial;
      }
      await this.#reserve();
    }
  }

  /** The serial is in the database, as a credential or a void entry. */
  settle(serial: Serial): void {
    const held = this.#held.find(({ block }) => block.first <= serial && serial <= block.last);
    if (held !== undefined) held.unsettled -= 1;
  }

  /** No certificate bears it, and the database could not be told: to be declared void later. */
  owe(owed: OwedSerial): void {
    this.#owed.push(owed);
  }

  /** What is owed, for whoever tells the database now; `owe` again what cannot be told. */
  takeOwed(): readonly OwedSerial[] {
    return this.#owed.splice(0);
  }

  /**
   * The serial turned out to be somebody else's to account for: others took this broker for dead. Nothing more is taken from its
   * block; what was left of it is owed, and if it is void already, that will show.
   */
  lose(serial: Serial, cause: unknown): void {
    const lost = this.#held.find(({ block }) => block.first <= serial && serial <= block.last);
    if (lost === undefined) return;
    this.#held = this.#held.filter((held) => held !== lost);
    for (let left = lost.next; left <= lost.block.last; left += 1n)
      this.owe({ serial: left as Serial, cause });
  }

  /** Blocks that are used up and settled: to be committed with the next change. */
  takeSettled(): readonly SerialBlock[] {
    const done = this.#held.filter((held) => held.unsettled === 0 && held.next > held.block.last);
    if (done.length > 0) this.#held = this.#held.filter((held) => !done.includes(held));
    return done.map(({ block }) => block);
  }

  /** On a clean stop, when nothing is under way any more: what gives the unused serials back. */
  giveBack(): Pick<Change, 'returnedSerials' | 'settledSerials'> {
    const unused = this.#held.filter((held) => held.next <= held.block.last).reverse();
    const settled = this.#held.filter((held) => held.unsettled === 0 && held.next > held.block.first);
    this.#held = [];
    return {
      returnedSerials: unused.map(({ block, next }) => ({ ...block, first: next as Serial })),
      settledSerials: settled.map(({ block, next }) => ({ ...block, last: (next - 1n) as Serial })),
    };
  }

  async #reserve(): Promise<void> {
    this.#reserving ??= (async () => {
      try {
        const block = await this.#store.reserveSerials(this.#caFingerprint, this.#size);
        this.#held.push({ block, next: block.first, unsettled: 0 });
        this.#size = Math.min(largest, this.#size * 2);
      } finally {
        this.#reserving = undefined;
      }
    })();
    await this.#reserving;
  }
}
