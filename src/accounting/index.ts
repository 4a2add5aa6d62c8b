/**
 * accounting: what happened, in an order that cannot be changed afterwards. Turns drafts into canonical entries, an RFC 6962
 * tree and a signed C2SP checkpoint, and writes the bundle that an auditor checks offline with verify/.
 * It never stores anything, never sees a CA key, and never puts a personal value into a leaf: only a salted commitment.
 * Specification: docs/formats/log.md, checkpoint.md, bundle.md; RFC 6962, RFC 8785, C2SP signed-note, tlog-checkpoint,
 * tlog-cosignature and tlog-policy.
 */
export * from './appender.ts';
export * from './canonical-json.ts';
export {
  type Checkpoint,
  checkpointOf,
  type LogSigner,
  parseCheckpoint,
  parseOrigin,
  verifierKey,
} from './checkpoint.ts';
export {
  type Cosignature,
  cosign,
  type CosignerKey,
  cosignerKey,
  findCosignature,
  parseCosignerKey,
} from './cosignature.ts';
export * from './encode-proof.ts';
export { maxEntryBytes, maxOpeningsBytes } from './encode-entry.ts';
export type * from './entry.ts';
export { checkLogHead, emptyLogHead, leafHash, treeOver } from './tree.ts';
export { consistencyProof, inclusionProof, rootAt, type ProofSource } from './proofs.ts';
export { TileTree } from './tile-tree.ts';
export * from './tiles.ts';
export * from './witness-policy.ts';
export * from './write-bundle.ts';
