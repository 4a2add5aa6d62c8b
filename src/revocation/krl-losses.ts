import type { SshBlob } from '../kernel/index.ts';
import { normalRuns, parseKrl, serialRuns, type SerialRuns } from '../ssh/index.ts';

/** Serials of one CA that a list must hold. */
export interface RevokedSince {
  readonly caKey: SshBlob;
  /** In any order, also more than once. */
  readonly serials: BigUint64Array;
}

/** What a new list has to be held against. */
export interface ListChange {
  readonly after: Buffer;
  /** The list before it, as it was published; undefined: there is none to go by. */
  readonly before: Buffer | undefined;
  /** For each CA, what was revoked since then. */
  readonly since: readonly RevokedSince[];
}

/** Serials of one CA, as runs in normal form. */
export interface ListLoss extends SerialRuns {
  readonly caKey: SshBlob;
}

/**
 * What stood in the list before or was revoked since, and is not in the list after: certificates that expired, and nothing else if all is
 * well. Time and memory go with the runs of both lists, not with the serials in them.
 * @returns a part for each CA of `since` that lost anything. @throws CodedError `ssh.…` when a list cannot be read
 */
export function lossesOf({ after, before, since }: ListChange): readonly ListLoss[] {
  const lists = [after, before].map((bytes) => (bytes === undefined ? undefined : parseKrl(bytes)));
  return since.flatMap(({ caKey, serials }) => {
    const [now, held] = lists.map(
      (list) =>
        list?.certificates.find((section) => section.caKey?.equals(caKey) === true)?.serials ??
        serialRuns([]),
    );
    if (now === undefined || held === undefined) return [];
    const joined = (end: 'firsts' | 'lasts'): BigUint64Array => {
      const both = new BigUint64Array(held[end].length + serials.length);
      both.set(held[end]);
      both.set(serials, held[end].length);
      return both;
    };
    const lost = without(normalRuns(joined('firsts'), joined('lasts')), now);
    return lost.firsts.length === 0 ? [] : [{ caKey, ...lost }];
  });
}

/** Of two sets in normal form, what the first has and the second has not. */
function without(one: SerialRuns, other: SerialRuns): SerialRuns {
  const firsts: bigint[] = [];
  const lasts: bigint[] = [];
  let at = 0;
  for (const [nth, first] of one.firsts.entries()) {
    const last = one.lasts[nth] ?? first;
    let from = first;
    // Those of the other that end before this run concern none of the later ones either.
    while (at < other.lasts.length && (other.lasts[at] ?? 0n) < first) at += 1;
    for (let next = at; next < other.firsts.length; next += 1) {
      const [begin = 0n, end = 0n] = [other.firsts[next], other.lasts[next]];
      if (begin > last) break;
      if (begin > from) {
        firsts.push(from);
        lasts.push(begin - 1n);
      }
      from = end + 1n;
      if (from > last) break;
    }
    if (from <= last) {
      firsts.push(from);
      lasts.push(last);
    }
  }
  return { firsts: BigUint64Array.from(firsts), lasts: BigUint64Array.from(lasts) };
}
