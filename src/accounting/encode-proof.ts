export interface ProofParts {
  /** Index of the entry in the log. */
  readonly index: bigint;
  /** The exact bytes of the entry. */
  readonly entry: Uint8Array;
  /** Audit path in the tree of the checkpoint, nearest sibling first, 32 bytes each. */
  readonly path: readonly Buffer[];
  /** The signed note of that tree. */
  readonly checkpoint: string;
}

/**
 * A receipt that checks offline, with nothing but the pinned key: `c2sp.org/tlog-proof@v1`, whose `extra` line holds the entry
 * itself (docs/formats/proof.md).
 */
export function encodeProof({ index, entry, path, checkpoint }: ProofParts): string {
  const hashes = path.map((hash) => `${hash.toString('base64')}\n`).join('');
  const extra = Buffer.from(entry).toString('base64');
  return `c2sp.org/tlog-proof@v1\nextra ${extra}\nindex ${index}\n${hashes}\n${checkpoint}`;
}
