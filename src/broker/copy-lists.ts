import { isCodedError, type Clock } from '../kernel/index.ts';

/** A list of one authority. */
export interface CopiedList {
  readonly commonName: string;
  /** DER. */
  readonly bytes: Buffer;
  /** A root's is one of authorities. */
  readonly of: 'certificates' | 'authorities';
}

/** A directory from which others read lists. */
export interface ListDirectory {
  readonly name: string;
  /** Lets go when the signal aborts. @throws CodedError when the directory may not have it */
  put(list: CopiedList, signal: AbortSignal): Promise<void>;
}

/** An authority whose lists are copied. */
export interface CopiedAuthority {
  /** As in paths, e.g. `issuing-1`. */
  readonly name: string;
  readonly commonName: string;
  readonly of: CopiedList['of'];
  /** The list that is served now. */
  readonly current: () =>
    { readonly number: bigint; readonly publishedMs: number; readonly full: Buffer } | undefined;
}

/** How the copy of one authority's list is doing, as this broker knows. */
export interface ListCopyState {
  readonly authority: string;
  /** For how long a newer list than the copied one has been served; 0: the directory has the newest. */
  readonly lagMs: number;
  /** Of the last try, when it failed. */
  readonly failure: string | undefined;
}

interface Copy {
  number: bigint | undefined;
  waitingSinceMs: number | undefined;
  failure: string | undefined;
  tries: number;
  nextTryMs: number;
}

const longestPauseMs = 60_000;

/**
 * Copies each list into a directory after it was published, beside everything else: no revocation and no list waits for it. A list that
 * was overtaken meanwhile is left out. Each broker copies what it serves; two that write the same do no harm.
 */
export class ListCopies {
  readonly #directory: ListDirectory;
  readonly #clock: Clock;
  readonly #copies: ReadonlyMap<CopiedAuthority, Copy>;
  readonly #end = new AbortController();

  constructor(directory: ListDirectory, authorities: readonly CopiedAuthority[], clock: Clock) {
    this.#directory = directory;
    this.#clock = clock;
    this.#copies = new Map(
      authorities.map((authority) => [
        authority,
        { number: undefined, waitingSinceMs: undefined, failure: undefined, tries: 0, nextTryMs: 0 },
      ]),
    );
  }

  /**
   * Every second. After a failure it waits twice as long each time, a minute at most.
   * @throws CodedError of `put`, for the first failure after a success only: whoever hears it tells it
   */
  async look(): Promise<void> {
    const failures: unknown[] = [];
    for (const [authority, copy] of this.#copies)
      await this.#copy(authority, copy).catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }

  get states(): readonly ListCopyState[] {
    const nowMs = this.#clock.nowMs();
    return [...this.#copies].map(([{ name, current }, { number, waitingSinceMs, failure }]) => ({
      authority: name,
      lagMs: current()?.number === number ? 0 : nowMs - (waitingSinceMs ?? current()?.publishedMs ?? nowMs),
      failure,
    }));
  }

  /** Lets go of the directory; what is under way ends. */
  close(): void {
    this.#end.abort();
  }

  async #copy({ commonName, of, current }: CopiedAuthority, copy: Copy): Promise<void> {
    const list = current();
    if (this.#end.signal.aborted || list === undefined || list.number === copy.number) return;
    copy.waitingSinceMs ??= list.publishedMs;
    if (this.#clock.nowMs() < copy.nextTryMs) return;
    try {
      await this.#directory.put({ commonName, of, bytes: list.full }, this.#end.signal);
      Object.assign(copy, { number: list.number, waitingSinceMs: undefined, failure: undefined, tries: 0 });
    } catch (error) {
      copy.tries += 1;
      copy.nextTryMs = this.#clock.nowMs() + Math.min(longestPauseMs, 1000 * 2 ** Math.min(copy.tries, 10));
      const isNew = copy.failure === undefined;
      copy.failure = isCodedError(error) ? error.code : 'broker.internal';
      if (isNew && !this.#end.signal.aborted) throw error;
    }
  }
}
