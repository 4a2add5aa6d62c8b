/**
 * doors/witness: a witness of logs, meant to run under another admin than the logs it watches. It takes a checkpoint with the
 * proof that it continues the last one, remembers it, and cosigns it; it never cosigns a smaller tree, or another history, of
 * a log that it has seen. It knows nothing of the broker, stores no entry, and reads its checks from accounting/verify alone.
 * Specification: C2SP tlog-witness, tlog-cosignature, tlog-checkpoint; RFC 9162 section 2.1.4.2.
 */
export { createWitness, type LogMemory, type Witness, type WitnessEvent } from './add-checkpoint.ts';
export { lockFolder } from './folder-lock.ts';
export { openWitnessDoor, type WitnessDoor } from './server.ts';
