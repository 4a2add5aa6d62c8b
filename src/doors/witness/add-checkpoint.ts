import { cosign, type LogSigner } from '../../accounting/index.ts';
import {
  isContinuation,
  isSignedBy,
  parsePinnedKey,
  parseWitnessedNote,
  type PinnedKey,
  rootOfNothing,
  type WitnessedNote,
} from '../../accounting/verify/index.ts';
import { type Clock, CodedError } from '../../kernel/index.ts';
import { type AddCheckpoint, parseAddCheckpoint } from './request.ts';

/** Where a witness remembers the newest checkpoint of each log. One process at a time writes there. */
export interface LogMemory {
  /** The checkpoint that was written last; undefined when there never was one. */
  read(origin: string): string | undefined;
  /** Replaces it whole; durable on return. When it throws, either the old one or the new one is there. */
  write(origin: string, note: string): void;
}

/** What an admin of the witness may want to look into. */
export interface WitnessEvent {
  readonly what: 'cosigned' | 'refused';
  readonly status: number;
  readonly origin: string;
  readonly size: bigint;
  readonly why?: string;
  /** Two signed checkpoints of one size with different roots, the one sent and the one seen before: evidence against the log. */
  readonly evidence?: { readonly sent: string; readonly seen: string };
  /**
   * The signed checkpoint, where no proof came with it that would hold. Evidence of nothing: whoever has a receipt of this log can
   * send its checkpoint without one.
   */
  readonly unproven?: string;
}

export interface WitnessOptions {
  readonly name: string;
  readonly signer: LogSigner;
  /** Verifier keys; those of the same origin are keys of one log. */
  readonly logs: readonly string[];
  readonly memory: LogMemory;
  readonly clock: Clock;
  readonly observe: (event: WitnessEvent) => void;
}

/** What goes back to the log. */
export interface WitnessAnswer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422;
  readonly contentType: string;
  readonly body: string;
}

export interface Witness {
  readonly origins: readonly string[];
  /** @throws CodedError `witness.bad_memory`; the error of the file system: nothing was cosigned then */
  addCheckpoint(body: Buffer): WitnessAnswer;
}

/**
 * Judges checkpoints in the order that C2SP tlog-witness gives. Everything between reading the memory and writing it happens in
 * one turn of the event loop, so that of two checkpoints that arrive together one sees what the other left.
 * @throws CodedError `witness.bad_log_key`, `witness.bad_memory`
 */
export function createWitness(options: WitnessOptions): Witness {
  const { memory, observe } = options;
  const keys = keysByOrigin(options.logs);
  // What is not readable now would be so at the first checkpoint: better to say it at the start.
  for (const [origin, pinned] of keys) known(origin, pinned);

  return {
    origins: [...keys.keys()],
    addCheckpoint(body) {
      const request = parseAddCheckpoint(body);
      if (typeof request === 'string') return refused(400, `This is no add-checkpoint request: ${request}.`);
      const note = parseWitnessedNote(request.note);
      if (typeof note === 'string') return refused(400, `This is no checkpoint: ${note}.`);
      const pinned = keys.get(note.origin);
      if (pinned === undefined) return refused(404, 'This log is not among those that are witnessed here.');
      const answer = judge(request, note, pinned);
      observe({
        what: answer.status === 200 ? 'cosigned' : 'refused',
        status: answer.status,
        origin: note.origin,
        size: note.size,
        ...(answer.status === 200 ? {} : { why: answer.body.trim() }),
        ...(answer.seen === undefined ? {} : { evidence: { sent: request.note, seen: answer.seen } }),
        ...(answer.status === 422 ? { unproven: request.note } : {}),
      });
      return answer;
    },
  };

  function judge(
    { old, proof, note: sent }: AddCheckpoint,
    note: WitnessedNote,
    pinned: readonly PinnedKey[],
  ): WitnessAnswer & { readonly seen?: string } {
    if (!isSignedBy(note, pinned)) return refused(403, 'No key of this log signed the checkpoint.');
    if (old > note.size) return refused(400, 'The old size is larger than that of the checkpoint.');
    const before = known(note.origin, pinned);
    if (old !== before.size) return sizeIs(before.size);
    if (old === note.size && !before.root.equals(note.root)) {
      const answer = refused(409, 'Another tree of the same size was seen before.');
      return before.note === undefined ? answer : { ...answer, seen: before.note };
    }
    if (!isContinuation({ before, after: note, proof }))
      return refused(422, 'No proof came that this tree continues the one seen before.');
    // Durable before it leaves: after a crash this witness must still know what it vouched for.
    if (note.size > before.size) memory.write(note.origin, sent);
    const { name, signer, clock } = options;
    const seconds = BigInt(Math.floor(clock.nowMs() / 1000));
    const line = cosign(note.text, { name, signer, seconds });
    return { status: 200, contentType: 'text/plain; charset=utf-8', body: line };
  }

  /** @throws CodedError `witness.bad_memory`: to begin anew would vouch for a second history */
  function known(
    origin: string,
    pinned: readonly PinnedKey[],
  ): Pick<WitnessedNote, 'size' | 'root'> & { readonly note?: string } {
    const written = memory.read(origin);
    if (written === undefined) return { size: 0n, root: rootOfNothing() };
    const note = parseWitnessedNote(written);
    if (typeof note !== 'string' && note.origin === origin && isSignedBy(note, pinned))
      return { size: note.size, root: note.root, note: written };
    throw new CodedError(
      'witness.bad_memory',
      `What is kept of the log ${origin} is not a checkpoint that this log signed.`,
      {
        next: 'Do not delete it: the witness would forget what it vouched for. Restore the file, or give the witness a new key.',
      },
    );
  }
}

function keysByOrigin(logs: readonly string[]): ReadonlyMap<string, readonly PinnedKey[]> {
  const keys = new Map<string, PinnedKey[]>();
  for (const text of logs) {
    const key = parsePinnedKey(text);
    if (key === undefined)
      throw new CodedError(
        'witness.bad_log_key',
        `“${text.slice(0, 80)}” is not the verifier key of a log.`,
        {
          next: 'Take what `sallyport ca show --only log-key` prints on the broker.',
        },
      );
    keys.set(key.name, [...(keys.get(key.name) ?? []), key]);
  }
  return keys;
}

function refused(status: Exclude<WitnessAnswer['status'], 200>, why: string): WitnessAnswer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${why}\n` };
}

/** Tells the log from where on it must prove. */
function sizeIs(size: bigint): WitnessAnswer {
  return { status: 409, contentType: 'text/x.tlog.size', body: `${size}\n` };
}
