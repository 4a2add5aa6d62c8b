import { Worker } from 'node:worker_threads';
import { CodedError, type SshBlob } from '../kernel/index.ts';
import { type ListChange, type ListLoss, lossesOf } from './krl-losses.ts';
import { assembleKrl, isIntactKrl, type AssembledKrl, type RevokedSet } from './krl-publication.ts';

/** Shorter lists take less time than asking another thread does. */
const fewSerials = 2000;
const fewBytes = 16 * 1024;

/** What the thread is asked. */
export type ListTask =
  | { readonly kind: 'assemble'; readonly set: RevokedSet; readonly version: bigint; readonly nowMs: number }
  | { readonly kind: 'check'; readonly kept: KeptList; readonly caKeys: readonly SshBlob[] }
  | { readonly kind: 'compare'; readonly change: ListChange };

type ListValue = AssembledKrl | boolean | readonly ListLoss[];

/** What it answers: a value, or a refusal in parts, because errors lose their class on the way. */
export type ListAnswer = { readonly id: number } & (
  | { readonly value: ListValue }
  | {
      readonly refusal: {
        readonly code: string;
        readonly message: string;
        readonly next?: string | undefined;
      };
    }
);

type KeptList = Parameters<typeof isIntactKrl>[0];

interface Asked {
  readonly done: (value: ListValue) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Assembles and checks long lists in a thread of its own, so that nobody's request waits behind a million serials; short ones at
 * once. The thread starts with the first long list. One that dies costs nothing but time: the work is then done here.
 */
export class ListWorker {
  readonly #asked = new Map<number, Asked>();
  #thread: Worker | undefined;
  #nextId = 0;

  /** As `assembleKrl`. @throws CodedError `revocation.bad_list` */
  async assemble(set: RevokedSet, version: bigint, nowMs: number): Promise<AssembledKrl> {
    const here = (): AssembledKrl => assembleKrl(set, version, nowMs);
    if (set.serials.length < fewSerials) return here();
    const answer = await this.#ask({ kind: 'assemble', set, version, nowMs }, here);
    if (typeof answer === 'boolean' || isLosses(answer)) throw new Error('a list was asked for');
    const { bytes, toBeSigned, sha256 } = answer;
    // A Buffer arrives as a plain array of bytes.
    return { bytes: bufferOver(bytes), toBeSigned: bufferOver(toBeSigned), sha256 };
  }

  /** As `isIntactKrl`. */
  async isIntact(kept: KeptList, caKeys: readonly SshBlob[]): Promise<boolean> {
    const here = (): boolean => isIntactKrl(kept, caKeys);
    if (kept.bytes.length < fewBytes) return here();
    const { bytes, sha256, version } = kept;
    return (await this.#ask({ kind: 'check', kept: { bytes, sha256, version }, caKeys }, here)) === true;
  }

  /** As `lossesOf`. @throws CodedError `ssh.…` */
  async losses(change: ListChange): Promise<readonly ListLoss[]> {
    const here = (): readonly ListLoss[] => lossesOf(change);
    const { after, before, since } = change;
    const few = since.every(({ serials }) => serials.length < fewSerials);
    if (few && after.length < fewBytes && (before?.length ?? 0) < fewBytes) return here();
    const answer = await this.#ask({ kind: 'compare', change }, here);
    if (!isLosses(answer)) throw new Error('losses were asked for');
    return answer.map((loss) => ({ ...loss, caKey: bufferOver(loss.caKey) as SshBlob }));
  }

  /** Ends the thread; what it was asked is done here. */
  async close(): Promise<void> {
    await this.#thread?.terminate();
  }

  async #ask(task: ListTask, here: () => ListValue): Promise<ListValue> {
    try {
      return await new Promise<ListValue>((done, failed) => {
        const id = this.#nextId++;
        this.#asked.set(id, { done, failed });
        this.#thread ??= this.#start();
        this.#thread.ref();
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin, a browser window has
        this.#thread.postMessage({ id, task });
      });
    } catch (error) {
      if (error instanceof CodedError) throw error;
      return here();
    }
  }

  #start(): Worker {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const thread = new Worker(new URL(`./list-thread.${extension}`, import.meta.url));
    thread.on('message', (answer: ListAnswer) => {
      const asked = this.#asked.get(answer.id);
      this.#asked.delete(answer.id);
      // An idle thread keeps no process alive.
      if (this.#asked.size === 0) thread.unref();
      if ('value' in answer) return asked?.done(answer.value);
      const { code, message, next } = answer.refusal;
      // Of this form by the constructor that made it there.
      asked?.failed(
        new CodedError(code as `${string}.${string}`, message, next === undefined ? {} : { next }),
      );
    });
    const ended = (why: unknown): void => {
      if (this.#thread === thread) this.#thread = undefined;
      for (const { failed } of this.#asked.values()) failed(why);
      this.#asked.clear();
    };
    thread.once('error', ended);
    thread.once('exit', () => ended(new Error('the thread of the lists ended')));
    return thread;
  }
}

function isLosses(value: ListValue): value is readonly ListLoss[] {
  return Array.isArray(value);
}

function bufferOver(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
