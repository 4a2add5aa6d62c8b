/**
 * doors/witness-client: how the broker asks one witness over HTTP. It checks the form of the answer and nothing else: whose
 * signature it is, the flow that asked finds out. It follows no redirect and waits for nobody longer than a few seconds.
 * Specification: C2SP tlog-witness.
 */
export { createWitnessClient, type HttpWitness } from './witness-client.ts';
