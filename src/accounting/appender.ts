import { CodedError, pooledRandom, type RandomBytes } from '../kernel/index.ts';
import { encodeCheckpoint, type LogSigner, parseOrigin, signatureLines } from './checkpoint.ts';
import { encodeEntry } from './encode-entry.ts';
import type { Grown, LogAppender, LogHead, TileHash } from './entry.ts';
import { checkLogHead, pushLeaf, rootOf } from './tree.ts';

export interface LogAppenderOptions {
  readonly signer: LogSigner;
  /** Name of the log, and of its key in signature lines, as C2SP tlog-checkpoint advises. */
  readonly origin: string;
  readonly random: RandomBytes;
}

/**
 * The writer's whole work between a head and the next: encode, hash, extend the tree, sign one checkpoint per call. An empty
 * list of drafts gives the checkpoint of the head as it stands (Ed25519 is deterministic, so it is the same one).
 * Its `append` and `grow` throw CodedError `accounting.wrong_origin`, `accounting.bad_head` `append` also whatever `encodeEntry` throws; a
 * failed call leaves no trace.
 * @throws CodedError `accounting.bad_origin`, `accounting.bad_key`
 */
export function createLogAppender(options: LogAppenderOptions): LogAppender {
  const origin = parseOrigin(options.origin);
  const random = pooledRandom(options.random);
  // Heads that were made here need no second look, which would cost as much as a signature.
  const whole = new WeakSet<LogHead>();
  const sign = signatureLines(origin, options.signer);
  const checked = (head: LogHead): LogHead => {
    if (head.origin !== origin) {
      throw new CodedError(
        'accounting.wrong_origin',
        `The store holds the log ${head.origin}, not ${origin}.`,
        {
          next: 'Set the name of the accounting log in the configuration to the one that the store was made with.',
        },
      );
    }
    if (!whole.has(head)) checkLogHead(head);
    return head;
  };
  const grow = (head: LogHead, leafHashes: Iterable<Buffer>): Grown => {
    const frontier = [...head.frontier];
    const tileHashes: TileHash[] = [];
    let size = head.size;
    for (const leafHash of leafHashes) {
      pushLeaf(frontier, size, leafHash, tileHashes);
      size += 1n;
    }
    const next = { origin, size, frontier, root: rootOf(frontier) };
    whole.add(next);
    return { head: next, tileHashes };
  };
  return {
    append(head, drafts) {
      const { size } = checked(head);
      const entries = drafts.map((draft, nth) => encodeEntry(draft, size + BigInt(nth), random));
      const grown = grow(
        head,
        entries.map(({ leafHash }) => leafHash),
      );
      return { entries, ...grown, checkpoint: encodeCheckpoint(grown.head, sign) };
    },
    grow: (head, leafHashes) => grow(checked(head), leafHashes),
  };
}
