/**
 * accounting/verify: the auditor's half. Reads an exported bundle and a pinned key and gives three verdicts: integrity,
 * consistency, completeness. It shares nothing with the writer but docs/formats/: it imports nothing of ours, opens no
 * network, and never needs more memory than a few lines of the file.
 * Specification: docs/formats/bundle.md, checkpoint.md, log.md; RFC 6962, RFC 8785, C2SP signed-note, tlog-checkpoint.
 */
export * from './describe.ts';
export { parsePinnedKey, type PinnedKey } from './note.ts';
export { type Continuation, isContinuation, rootOfNothing } from './tree.ts';
export { type BundleFacts, type Finding, isPart, type State, type Verdict } from './verdict.ts';
export * from './verify-bundle.ts';
export * from './verify-proof.ts';
export { policyFor } from './witnesses.ts';
export { isSignedBy, parseWitnessedNote, type WitnessedNote } from './witnessed-note.ts';
