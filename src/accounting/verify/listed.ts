import { type Entry, isRecord, type Json, timeOfText } from './entry.ts';

/** How long an expired certificate stays in a list: hosts whose clock is behind still refuse it. */
const expiredMarginSeconds = 86_400;
/** Of serials and keys together: what is compared must fit into memory. */
const mostRemembered = 1_000_000;

/** Revoked serials of one authority. */
interface Revoked {
  readonly serials: Set<bigint>;
  /** Seconds at which they expire, ascending. */
  readonly ends: number[];
  /** Entries that revoked them, ascending. */
  readonly indexes: number[];
  /** Those of which no entry says when they expire. */
  endless: number;
}

/**
 * What revocation lists must hold, by the entries that revoke (docs/formats/log.md, section 7, rule 3). Whoever can write to the
 * database of a broker can make it forget a revocation, and cannot make its log forget.
 */
export class Listed {
  readonly #authorities = new Map<string, Revoked>();
  readonly #keys = new Set<string>();
  readonly #keyIndexes: number[] = [];
  #remembered = 0;

  /** Whether there were too many to compare to the end. */
  get isFull(): boolean {
    return this.#remembered > mostRemembered;
  }

  /** A certificate that an entry revokes. @param end its `not_after` */
  revoke(index: bigint, authority: string, serial: bigint, end: Json | undefined): void {
    let known = this.#authorities.get(authority);
    if (known?.serials.has(serial) === true || !this.#remember()) return;
    known ??= { serials: new Set(), ends: [], indexes: [], endless: 0 };
    this.#authorities.set(authority, known);
    known.serials.add(serial);
    const endMs = timeOfText(end);
    if (endMs === undefined) known.endless += 1;
    else {
      const seconds = Math.floor(endMs / 1000);
      known.ends.splice(countBelow(known.ends, seconds), 0, seconds);
      known.indexes.push(Number(index));
    }
  }

  /** An act of revocation by its target: keys are listed for ever. */
  act(index: bigint, target: Json | undefined): void {
    if (!isRecord(target) || target['kind'] !== 'key' || typeof target['value'] !== 'string') return;
    if (this.#keys.has(target['value']) || !this.#remember()) return;
    this.#keys.add(target['value']);
    this.#keyIndexes.push(Number(index));
  }

  /**
   * Compares a published list with what it must hold. @param isWhole whether nothing can have been revoked that no entry said
   * @returns what is wrong with it; undefined when nothing is, or when it does not say what it covers
   */
  check(index: bigint, { timeMs, fields }: Entry, isWhole: boolean): string | undefined {
    const list = isRecord(fields['list']) ? fields['list'] : {};
    const name = list['ca_fp'];
    if (list['log_size'] === undefined || this.isFull) return undefined;
    const covers = logSize(list['log_size']);
    const [serials, keys] = [count(list['serials']), count(list['keys'])];
    if (covers === undefined || covers > Number(index) || serials === undefined || keys === undefined)
      return 'without saying well what it holds';
    const { ends, indexes, endless } = (typeof name === 'string' && this.#authorities.get(name)) || nothing;
    const due = ends.length - countBelow(ends, Math.floor(timeMs / 1000) - expiredMarginSeconds);
    // What was revoked while the list was made may be in it or not.
    if (serials < due - (indexes.length - countBelow(indexes, covers)))
      return `of ${serials} serials, although more were revoked that have not expired`;
    if (keys < countBelow(this.#keyIndexes, covers)) return `of ${keys} keys, although more were revoked`;
    if (isWhole && serials > due + endless) return `of ${serials} serials, although fewer were revoked`;
    if (isWhole && keys > this.#keys.size) return `of ${keys} keys, although fewer were revoked`;
    return undefined;
  }

  #remember(): boolean {
    this.#remembered += 1;
    return !this.isFull;
  }
}

const nothing: Revoked = { serials: new Set(), ends: [], indexes: [], endless: 0 };

function logSize(value: Json | undefined): number | undefined {
  return typeof value === 'string' && /^(?:0|[1-9]\d{0,14})$/.test(value) ? Number(value) : undefined;
}

function count(value: Json | undefined): number | undefined {
  return typeof value === 'number' && value >= 0 ? value : undefined;
}

/** How many of the ascending numbers are smaller. */
function countBelow(ascending: readonly number[], limit: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] ?? limit) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
