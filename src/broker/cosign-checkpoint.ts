import {
  consistencyProof,
  type CosignerKey,
  findCosignature,
  meetsQuorum,
  type WitnessPolicy,
} from '../accounting/index.ts';
import { type Clock, CodedError, type Stopwatch } from '../kernel/index.ts';
import { cosignersOf, cutNote } from './cosigned-checkpoint.ts';
import type { CosignedCheckpoint, Store } from './unit-of-work.ts';

/** One witness, as it can be asked over whatever network (C2SP tlog-witness, “add-checkpoint”). */
export interface WitnessClient {
  /**
   * Asks once. It settles within a few seconds, whatever the witness does, and at once when `signal` says so.
   * @param request.proof that the checkpoint continues the tree of `old` entries. @returns unchecked signature lines, or the size
   * that the witness knows. @throws CodedError `witness.…`
   */
  addCheckpoint(request: WitnessRequest, signal: AbortSignal): Promise<WitnessAnswer>;
}

export interface WitnessRequest {
  readonly old: bigint;
  readonly proof: readonly Buffer[];
  readonly note: string;
}

export type WitnessAnswer =
  { readonly kind: 'cosigned'; readonly lines: string } | { readonly kind: 'size'; readonly size: bigint };

export interface CosigningParts {
  readonly store: Store;
  /** For the entries. */
  readonly clock: Clock;
  /** For rounds and pauses. */
  readonly stopwatch: Stopwatch;
  readonly policy: WitnessPolicy;
  /** By the names in the policy; who is missing is never asked. */
  readonly clients: ReadonlyMap<string, WitnessClient>;
  /** Told what failed and is tried again. */
  readonly observe: (what: string, error: unknown) => void;
}

/** What a person may want to know of one witness. */
export interface WitnessState {
  /** In the policy. */
  readonly name: string;
  readonly state: 'up' | 'down' | 'unknown';
  /** The newest checkpoint that it cosigned, and when by its own clock. */
  readonly cosigned: { readonly size: bigint; readonly atMs: number } | undefined;
  /** Of the last try, if that failed. */
  readonly failure: { readonly code: string; readonly detail: string } | undefined;
}

/** What is known of one witness. */
interface Asked {
  readonly name: string;
  readonly key: CosignerKey;
  readonly client: WitnessClient;
  /** Up to where it knows the log, as far as we know. */
  size: bigint;
  underWay: boolean;
  /** So many times in a row it stood elsewhere than it was asked from, as it does when other brokers are quicker. */
  outrun: number;
  failures: number;
  retryAtElapsedMs: number;
  /** Its failure stands in the log. */
  told: boolean;
  cosigned: WitnessState['cosigned'];
  failure: WitnessState['failure'];
}

/** The checkpoint that all witnesses are asked about now. */
interface Round {
  readonly size: bigint;
  readonly note: string;
  readonly text: string;
  readonly startedElapsedMs: number;
  /** Cosignature lines by name. */
  readonly lines: Map<string, string>;
  /** So many of them are kept. */
  kept: number;
}

const betweenRoundsMs = 1000;
/** A quorum that is not there by then will not come: the log has grown, and the next round asks about all of it. */
const longestRoundMs = 6000;
const longestPauseMs = 15_000;
/** One lost packet is no failure. */
const failuresToTell = 2;
/** By then the others would have kept something that it cosigned, and that counts. */
const outrunToFail = 5;

/**
 * Asks the witnesses for their cosignatures on the newest checkpoint and keeps the newest one that met the quorum. All of them are
 * asked about the same one, so that a quorum comes together however fast each is; a round ends when the quorum is there, or not.
 * What another broker on the same store kept counts as if it were our own: of two who ask, a witness answers one. Nothing else waits for any of it but who calls `covering`.
 */
export class Cosigning {
  readonly #parts: CosigningParts;
  readonly #asked: readonly Asked[];
  readonly #ending = new AbortController();
  readonly #waiting = new Set<(newest: CosignedCheckpoint | undefined) => void>();
  #newest: CosignedCheckpoint | undefined;
  /** The note in the database that was looked at last. */
  #looked: string | undefined;
  #round: Round | undefined;
  #isFailing = false;
  #looking: Promise<void> | undefined;
  #keeping: Promise<void> = Promise.resolve();

  constructor(parts: CosigningParts) {
    this.#parts = parts;
    this.#asked = parts.policy.witnesses.flatMap(({ name, key }) => {
      const client = parts.clients.get(name);
      if (client === undefined) return [];
      return [
        {
          name,
          key,
          client,
          size: 0n,
          underWay: false,
          outrun: 0,
          failures: 0,
          retryAtElapsedMs: 0,
          told: false,
          cosigned: undefined,
          failure: undefined,
        },
      ];
    });
  }

  /** The newest checkpoint that met the quorum, durable. */
  get newest(): CosignedCheckpoint | undefined {
    return this.#newest;
  }

  /** The last round that ended had no quorum, and there was none since: who waits for one now will not get it. */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  /** What the policy asks for, for people. */
  get quorum(): string {
    return this.#parts.policy.quorum;
  }

  /** Every witness that is asked, in the order of the policy. */
  states(): readonly WitnessState[] {
    return this.#asked.map(({ name, cosigned, failure }) => {
      const known = cosigned === undefined ? 'unknown' : 'up';
      return { name, state: failure === undefined ? known : 'down', cosigned, failure };
    });
  }

  /** Every second: begins a round when the log has grown, asks who has not answered. Waits for no witness. @throws CodedError `store.…` */
  async look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
    await this.#looking;
  }

  /**
   * Waits until a checkpoint that covers the entry has met the quorum.
   * @returns undefined when it has not within `waitMs`, or the broker stops
   */
  async covering(index: bigint, waitMs: number): Promise<CosignedCheckpoint | undefined> {
    const covers = (newest = this.#newest): boolean => newest !== undefined && newest.size > index;
    if (covers()) return this.#newest;
    if (this.#ending.signal.aborted) return undefined;
    const covered = new Promise<CosignedCheckpoint | undefined>((resolve) => {
      const settle = (newest: CosignedCheckpoint | undefined): void => {
        if (newest !== undefined && !covers(newest)) return;
        clearTimeout(timer);
        this.#waiting.delete(settle);
        resolve(newest);
      };
      const giveUp = async (): Promise<void> => {
        await this.#adopt().catch(() => undefined);
        settle(undefined);
      };
      const timer = setTimeout(() => void giveUp(), waitMs);
      this.#waiting.add(settle);
    });
    // Not at the next second, if this one had no round yet. What fails here, the timer tells.
    await this.look().catch(() => undefined);
    return covered;
  }

  /** Lets go of every witness and of everybody who waits. */
  async close(): Promise<void> {
    this.#ending.abort();
    for (const settle of this.#waiting) settle(undefined);
    await this.#looking?.catch(() => undefined);
    await this.#keeping;
  }

  async #look(): Promise<void> {
    if (this.#ending.signal.aborted) return;
    await this.#adopt();
    const elapsedMs = this.#parts.stopwatch.elapsedMs();
    await this.#nextRound(elapsedMs);
    const round = this.#round;
    if (round === undefined) return;
    for (const witness of this.#asked) {
      if (witness.underWay || round.lines.has(witness.name)) continue;
      if (witness.size > round.size || witness.retryAtElapsedMs > elapsedMs) continue;
      witness.underWay = true;
      void this.#ask(witness, round).finally(() => (witness.underWay = false));
    }
    this.#keep(round);
  }

  /** Takes over what is kept in the database, by whichever broker, if it meets the policy of today. */
  async #adopt(): Promise<void> {
    const { store, policy } = this.#parts;
    const kept = await store.cosignedCheckpoint();
    if (kept === undefined || kept.note === this.#looked || kept.note === this.#newest?.note) return;
    const cosigners = await cosignersOf(kept, { store, policy });
    this.#looked = kept.note;
    for (const witness of this.#asked) {
      const seconds = cosigners.get(witness.name);
      if (seconds === undefined) continue;
      witness.outrun = 0;
      hasCosigned(witness, kept.size, seconds);
      if (witness.size < kept.size) witness.size = kept.size;
    }
    if (cosigners.size > 0 && meetsQuorum(policy, new Set(cosigners.keys()))) this.#becomesNewest(kept);
  }

  #becomesNewest(kept: CosignedCheckpoint): void {
    if (this.#newest !== undefined && this.#newest.size > kept.size) return;
    this.#newest = kept;
    this.#isFailing = false;
    for (const settle of this.#waiting) settle(kept);
  }

  async #nextRound(elapsedMs: number): Promise<void> {
    const round = this.#round;
    if (round !== undefined) {
      const ageMs = elapsedMs - round.startedElapsedMs;
      const over = this.#isCovered(round) || ageMs >= longestRoundMs || !this.#mayStillMeet(round);
      if (ageMs < betweenRoundsMs || !over) return;
      if (!this.#isCovered(round)) this.#isFailing = true;
    }
    const { size, checkpoint: note } = await this.#parts.store.logHead();
    if (size <= (round?.size ?? -1n) || size <= (this.#newest?.size ?? -1n)) return;
    this.#round = {
      size,
      note,
      text: cutNote(note).text,
      startedElapsedMs: elapsedMs,
      lines: new Map(),
      kept: 0,
    };
  }

  /** By itself, or by what another broker kept. */
  #isCovered(round: Round): boolean {
    return this.#isMet(round) || (this.#newest !== undefined && this.#newest.size >= round.size);
  }

  #isMet({ lines }: Round): boolean {
    return lines.size > 0 && meetsQuorum(this.#parts.policy, new Set(lines.keys()));
  }

  /** With those that are being asked, or will be. */
  #mayStillMeet({ lines, size: asked }: Round): boolean {
    const hoped = this.#asked.filter(
      ({ underWay, failures, size }) => underWay || (failures === 0 && size <= asked),
    );
    return meetsQuorum(this.#parts.policy, new Set([...lines.keys(), ...hoped.map(({ name }) => name)]));
  }

  async #ask(witness: Asked, round: Round): Promise<void> {
    try {
      const line = await this.#cosignature(witness, round);
      if (line === undefined) return;
      witness.failures = 0;
      witness.failure = undefined;
      witness.outrun = 0;
      round.lines.set(witness.name, line);
      if (this.#round === round) this.#keep(round);
      if (witness.told) await this.#tell(witness, undefined);
      witness.told = false;
    } catch (error) {
      if (this.#ending.signal.aborted) return;
      await this.#failed(witness, error);
    }
  }

  /**
   * Asks, and asks again from where the witness says that it stands.
   * @returns undefined when another broker on this log seems to have asked it meanwhile. @throws CodedError `witness.…`, `store.…`
   */
  async #cosignature(witness: Asked, { size, note, text }: Round): Promise<string | undefined> {
    const { store } = this.#parts;
    let hasGoneOn = false;
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const old = witness.size;
      const proof = await consistencyProof(old, size, (...place) => store.readTile(...place));
      const answer = await witness.client.addCheckpoint({ old, proof, note }, this.#ending.signal);
      if (answer.kind === 'cosigned') {
        const found = findCosignature(text, answer.lines, witness.key);
        if (found === undefined || found === 'broken') throw badCosignature(witness.name);
        witness.size = size;
        hasCosigned(witness, size, found.seconds);
        return found.line;
      }
      // Nobody can have shown it more entries than there are.
      if (answer.size > size && answer.size > (await store.logHead()).size)
        throw isAhead(witness.name, answer.size);
      witness.size = answer.size;
      hasGoneOn = answer.size > old;
      if (answer.size > size) break;
    }
    witness.outrun += 1;
    if (hasGoneOn && witness.outrun < outrunToFail) return undefined;
    throw doesNotSettle(witness.name, witness.size);
  }

  async #failed(witness: Asked, error: unknown): Promise<void> {
    const { stopwatch, observe } = this.#parts;
    witness.failures += 1;
    witness.failure = {
      code: error instanceof CodedError ? error.code : 'witness.fault',
      detail: error instanceof Error ? error.message : 'unknown',
    };
    const pauseMs = Math.min(longestPauseMs, betweenRoundsMs * 2 ** (witness.failures - 1));
    witness.retryAtElapsedMs = stopwatch.elapsedMs() + pauseMs;
    if (witness.told || witness.failures < failuresToTell) return;
    witness.told = true;
    observe(`the witness ${witness.name} does not cosign`, error);
    await this.#tell(witness, witness.failure.code);
  }

  /** Once when it fails, once when it is back. */
  async #tell({ name }: Asked, reasonCode: string | undefined): Promise<void> {
    const { store, clock, observe } = this.#parts;
    const fields = { target: { kind: 'witness', value: name.slice(0, 128) } };
    const common = { timeMs: clock.nowMs(), actor: { kind: 'broker' }, fields } as const;
    const entry =
      reasonCode === undefined
        ? ({ ...common, type: 'witness.recover', outcome: 'success' } as const)
        : ({ ...common, type: 'witness.fail', outcome: 'failure', reasonCode } as const);
    await store.commit({ entries: [entry] }).catch((error: unknown) => {
      observe('recording what became of a witness failed', error);
    });
  }

  /** Keeps the round when its quorum is there, and again with every line that comes later. */
  #keep(round: Round): void {
    if (this.#ending.signal.aborted || round.kept === round.lines.size || !this.#isMet(round)) return;
    const { store, observe, policy } = this.#parts;
    const names = policy.witnesses.map(({ name }) => name).filter((name) => round.lines.has(name));
    const note = round.note + names.map((name) => round.lines.get(name) ?? '').join('');
    round.kept = names.length;
    this.#keeping = this.#keeping
      .then(async () => {
        await store.commit({ cosigned: { size: round.size, note }, entries: [] });
        this.#becomesNewest({ size: round.size, note });
      })
      .catch((error: unknown) => {
        round.kept = 0;
        observe('keeping a cosigned checkpoint failed', error);
      });
  }
}

/** An older one, told late, changes nothing. */
function hasCosigned(witness: Asked, size: bigint, seconds: bigint): void {
  if (witness.cosigned !== undefined && witness.cosigned.size > size) return;
  witness.cosigned = { size, atMs: Number(seconds) * 1000 };
}

function badCosignature(name: string): CodedError {
  return new CodedError(
    'witness.bad_cosignature',
    `The witness ${name} answered without a cosignature of the key that the policy names.`,
    { next: 'Compare the key in the policy file with the one that the witness publishes.' },
  );
}

function doesNotSettle(name: string, size: bigint): CodedError {
  return new CodedError(
    'witness.no_cosignature',
    `The witness ${name} answers again and again that it stands elsewhere, at ${size} entries the last time, and does not cosign.`,
    { next: 'Ask whoever runs it. Another program may be asking it about this log.' },
  );
}

function isAhead(name: string, size: bigint): CodedError {
  return new CodedError(
    'witness.ahead',
    `The witness ${name} has seen ${size} entries of this log, more than there are: this log was rolled back.`,
    { next: 'Put the newer database back: docs/operations/backup.md, “Restore”.' },
  );
}
