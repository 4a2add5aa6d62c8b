import type { BundleLines } from './bundle-lines.ts';
import {
  type Checkpoint,
  checkpointText,
  decodeBase64,
  maxSignatureLines,
  parseCheckpointText,
  type PinnedKey,
  signatureFault,
} from './note.ts';
import { LeftPart, splitHashes } from './tree.ts';
import { Refusal } from './verdict.ts';

const firstLine = 2;
const firstSignature = 6;

/** A checkpoint as it stands in the file. */
interface CheckpointLines {
  /** Origin, size, root and the empty line. */
  readonly lines: readonly string[];
  readonly signatures: readonly string[];
  /** The line behind them. */
  readonly next: string;
}

/** Reads the checkpoint of a bundle, and the line behind it. @throws Refusal unless the pinned key signed it */
export async function readCheckpoint(
  source: BundleLines,
  pinned: PinnedKey,
): Promise<{ checkpoint: Checkpoint; signatures: readonly string[]; next: string }> {
  const lines: string[] = [];
  for (const what of ['a log name', 'a size', 'a root', 'an empty line']) lines.push(await source.text(what));
  const found = { lines, ...(await readSignatures(source)) };
  const checkpoint = parseCheckpointText(lines, pinned);
  if ('what' in checkpoint)
    throw await refusal(source, pinned, {
      ...found,
      what: checkpoint.what,
      line: firstLine + checkpoint.nth,
    });
  const fault = signatureFault(checkpointText(checkpoint), found.signatures, pinned);
  if (fault !== undefined)
    throw await refusal(source, pinned, { ...found, what: fault.what, line: firstSignature + fault.nth });
  return { checkpoint, signatures: found.signatures, next: found.next };
}

async function readSignatures(source: BundleLines): Promise<{ signatures: readonly string[]; next: string }> {
  const signatures: string[] = [];
  for (;;) {
    const line = await source.text('a signature or a tile');
    if (!line.startsWith('— ')) return { signatures, next: line };
    signatures.push(line);
    if (signatures.length > maxSignatureLines) throw source.refuse('There are too many signature lines');
  }
}

/**
 * A signature that does not fit its text does not tell which line was changed. But the right edge gives size and root once more:
 * if the log signed these, the first line that says anything else is wrong. Otherwise it is the line where the fault showed.
 */
async function refusal(
  source: BundleLines,
  pinned: PinnedKey,
  shown: CheckpointLines & { readonly what: string; readonly line: number },
): Promise<Refusal> {
  const signed = await signedByEdge(source, pinned, shown);
  const differs = signed?.findIndex((text, nth) => text !== shown.lines[nth]) ?? -1;
  if (differs >= 0)
    return source.refuse('The checkpoint is not the one that was signed', firstLine + differs);
  return source.refuse(`The checkpoint cannot be relied on: ${shown.what}`, shown.line);
}

/** The first four lines of a checkpoint as right edge and signature lines show them; undefined when they show none. */
async function signedByEdge(
  source: BundleLines,
  pinned: PinnedKey,
  { signatures, next }: CheckpointLines,
): Promise<readonly string[] | undefined> {
  const found = [...signatures];
  const whole = new LeftPart();
  let size = 0n;
  try {
    // It begins somewhere near: a line too many may stand before it. An end is not passed by: it may say where the fault lies.
    let line = next;
    for (
      let skipped = 0;
      skipped < maxSignatureLines && !/^(?:tile|sallyport-bundle-end) /.test(line);
      skipped += 1
    ) {
      if (line.startsWith('— ')) found.push(line);
      line = await source.text('a tile');
    }
    for (;;) {
      const [, level, index, encoded] = /^tile ([0-6]) (\d{1,15}) (\S+)$/.exec(line) ?? [];
      const hashes = splitHashes(decodeBase64(encoded ?? '') ?? Buffer.alloc(0));
      // Tiles of the edge are never full, those of the body are.
      if (level === undefined || index === undefined || hashes.length === 0 || hashes.length > 255) break;
      for (const hash of hashes) whole.push(hash, Number(level));
      size = (BigInt(index) * 256n + BigInt(hashes.length)) * 256n ** BigInt(level);
      line = await source.text('a tile or an entry');
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error; // the file ends here: what was read may do
  }
  const text = checkpointText({ origin: pinned.name, size, root: whole.root() });
  return signatureFault(text, found, pinned) === undefined ? text.split('\n') : undefined;
}
