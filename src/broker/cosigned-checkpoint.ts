import { findCosignature, parseCheckpoint, rootAt, type WitnessPolicy } from '../accounting/index.ts';
import { CodedError } from '../kernel/index.ts';
import type { CosignedCheckpoint, Reads } from './unit-of-work.ts';

/**
 * The witnesses whose cosignatures a kept checkpoint really bears. What the database says of it does not count: nobody stands for
 * one that speaks of another size than its row, of another log, or of other entries than the log has now.
 * @returns names within the policy, and when each cosigned, in seconds of its own clock. @throws CodedError `store.…`
 */
export async function cosignersOf(
  { size, note }: CosignedCheckpoint,
  { store, policy }: { readonly store: Pick<Reads, 'logHead' | 'readTile'>; readonly policy: WitnessPolicy },
): Promise<ReadonlyMap<string, bigint>> {
  const cosigners = new Map<string, bigint>();
  const checkpoint = parsed(note);
  if (checkpoint?.size !== size) return cosigners;
  const head = await store.logHead();
  // A log that was begun anew after a loss has another name, and its witnesses know nothing of it.
  if (checkpoint.origin !== head.origin || size > head.size) return cosigners;
  const root = await rootAt(size, head.size, (...place) => store.readTile(...place));
  if (!root.equals(checkpoint.root)) return cosigners;
  const { text, lines } = cutNote(note);
  for (const { name, key } of policy.witnesses) {
    const found = findCosignature(text, lines, key);
    if (found !== undefined && found !== 'broken') cosigners.set(name, found.seconds);
  }
  return cosigners;
}

/** A note's signed text, and its signature lines. */
export function cutNote(note: string): { readonly text: string; readonly lines: string } {
  const end = note.indexOf('\n\n');
  return { text: note.slice(0, end + 1), lines: note.slice(end + 2) };
}

function parsed(note: string): ReturnType<typeof parseCheckpoint> | undefined {
  try {
    return parseCheckpoint(note);
  } catch (error) {
    // What is no checkpoint is nobody's.
    if (error instanceof CodedError) return undefined;
    throw error;
  }
}
