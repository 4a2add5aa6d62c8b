import { createReadStream } from 'node:fs';
import { BundleReader } from './bundle-reader.ts';
import { type Checkpoint, checkpointText, openCheckpoint, parsePinnedKey, type PinnedKey } from './note.ts';
import { Replay } from './replay.ts';
import { type BundleFacts, exitCodeOf, type Finding, isPart, Refusal, type Verdict } from './verdict.ts';
import { judgeWitnesses, type PinnedPolicy, policyFor } from './witnesses.ts';

export interface VerifyOptions {
  /** The log's key that the auditor pinned: `name+hash+base64` (C2SP signed-note). */
  readonly verifierKey: string;
  /** A signed checkpoint of the same log that the auditor kept from an earlier day. */
  readonly previousCheckpoint?: string;
  /** Text of the auditor's witness policy (C2SP tlog-policy); undefined: witnesses are not looked at. */
  readonly witnessPolicy?: string;
  /** The auditor expects a part of the log. Otherwise one is incomplete, whoever cut it and for whatever reason. */
  readonly part?: boolean;
}

/**
 * Judges a bundle by docs/formats/bundle.md, reading it once, in memory that does not grow with it. Never throws for anything
 * the file or the options hold: a wrong question is a verdict with exit code 2.
 */
export async function verifyBundle(
  input: AsyncIterable<Uint8Array> | string,
  options: VerifyOptions,
): Promise<Verdict> {
  const pinned = parsePinnedKey(options.verifierKey);
  if (pinned === undefined) return wrongQuestion('The pinned key is not a verifier key (name+hash+base64).');
  const witnesses =
    options.witnessPolicy === undefined ? undefined : policyFor(options.witnessPolicy, options.verifierKey);
  if (typeof witnesses === 'string') return wrongQuestion(`The witness policy cannot be used: ${witnesses}.`);
  const previous =
    options.previousCheckpoint === undefined ? undefined : openCheckpoint(options.previousCheckpoint, pinned);
  if (typeof previous === 'string')
    return wrongQuestion(`The earlier checkpoint cannot be used: ${previous}.`);
  const source = typeof input === 'string' ? createReadStream(input) : input;
  const reader = new BundleReader(source, pinned, previous?.size);
  try {
    const question = { pinned, previous, witnesses, partExpected: options.part === true };
    return await judge(reader, question).catch(async (error: unknown) => {
      if (!(error instanceof Refusal)) throw error;
      return refused((await reader.trace(error)).finding);
    });
  } catch (error) {
    // Only a read error of the file system carries a code here; anything else is a fault of ours and must not look like a verdict.
    if (error instanceof Error && 'code' in error && 'syscall' in error)
      return wrongQuestion(`The bundle cannot be read: ${String(error.code)}.`);
    throw error;
  } finally {
    await reader.close();
  }
}

interface Question {
  readonly pinned: PinnedKey;
  readonly previous: Checkpoint | undefined;
  readonly witnesses: PinnedPolicy | undefined;
  readonly partExpected: boolean;
}

async function judge(
  reader: BundleReader,
  { pinned, previous, witnesses: policy, partExpected }: Question,
): Promise<Verdict> {
  const { from, to, checkpoint, signatures } = await reader.open();
  const replay = new Replay(from === 0n);
  const counts = { opened: 0, erased: 0, withheld: 0 };
  let firstTime: string | undefined;
  let lastTime = '';
  for await (const { index, entry, openings } of reader.entries()) {
    replay.entry(index, entry);
    counts.opened += openings.opened;
    counts.erased += openings.erased;
    counts.withheld += openings.withheld;
    firstTime ??= entry.time;
    lastTime = entry.time;
  }
  const { origin, size } = checkpoint;
  const root = checkpoint.root.toString('base64');
  const facts: BundleFacts = {
    origin,
    size,
    root,
    from,
    to,
    firstTime: firstTime ?? '',
    lastTime,
    ...counts,
  };
  const integrity: Finding = {
    state: 'verified',
    detail: `All ${to - from} entries, ${from} up to ${to - 1n}, are in the tree of size ${size} that ${pinned.name} signed.`,
  };
  const consistency = compare(previous, checkpoint, reader.rootBefore);
  const completeness = isPart(facts) ? replay.finish(partFinding(facts, partExpected)) : replay.finish();
  const witnesses = policy && judgeWitnesses(checkpointText(checkpoint), signatures, policy);
  return {
    integrity,
    consistency,
    completeness,
    ...(witnesses && { witnesses }),
    exitCode: exitCodeOf(integrity, consistency, completeness, ...(witnesses ? [witnesses] : [])),
    facts,
  };
}

function partFinding({ from, to, size }: BundleFacts, expected: boolean): Finding {
  return {
    state: expected ? 'not_checked' : 'incomplete',
    detail: `Only entries ${from} to ${to - 1n} of ${size} are here, so nothing is said about the rest.`,
  };
}

function compare(previous: Checkpoint | undefined, now: Checkpoint, rootBefore: Buffer | undefined): Finding {
  if (previous === undefined) {
    return { state: 'not_checked', detail: 'No earlier checkpoint was given to compare with.' };
  }
  const { size, root } = previous;
  if (size > now.size) {
    const detail =
      `The log had ${size} entries before and has ${now.size} now: it was cut or rolled back. ` +
      'Or the files are mixed up, and this bundle is older than the checkpoint: export the log anew and compare that.';
    return { state: 'failed', detail };
  }
  if (rootBefore === undefined) {
    const detail = `This part of the log does not reach to the earlier size ${size}; export from 0 to compare.`;
    return { state: 'incomplete', detail };
  }
  return rootBefore.equals(root)
    ? {
        state: 'verified',
        detail: `The log continues the one of ${size} entries that you held; those are unchanged.`,
      }
    : {
        state: 'failed',
        detail: `The first ${size} entries are not the ones that you held: history was rewritten.`,
      };
}

function refused(integrity: Finding): Verdict {
  const rest: Finding = { state: 'not_checked', detail: 'Integrity was not shown, so this means nothing.' };
  return { integrity, consistency: rest, completeness: rest, exitCode: exitCodeOf(integrity) };
}

function wrongQuestion(detail: string): Verdict {
  const finding: Finding = { state: 'not_checked', detail };
  return { integrity: finding, consistency: finding, completeness: finding, exitCode: 2 };
}
