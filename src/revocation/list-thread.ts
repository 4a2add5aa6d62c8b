// The other end of list-worker.ts: a thread that assembles and checks long lists.
import { parentPort } from 'node:worker_threads';
import { CodedError, type SshBlob } from '../kernel/index.ts';
import { lossesOf } from './krl-losses.ts';
import { assembleKrl, isIntactKrl } from './krl-publication.ts';
import type { ListAnswer, ListTask } from './list-worker.ts';

parentPort?.on('message', ({ id, task }: { readonly id: number; readonly task: ListTask }) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin, a browser window has
  parentPort?.postMessage(answerTo(id, task));
});

function answerTo(id: number, task: ListTask): ListAnswer {
  try {
    if (task.kind === 'check') {
      const kept = { ...task.kept, bytes: Buffer.from(task.kept.bytes) };
      return { id, value: isIntactKrl(kept, task.caKeys.map(blobOf)) };
    }
    if (task.kind === 'compare') {
      const { after, before, since } = task.change;
      const change = {
        after: Buffer.from(after),
        before: before && Buffer.from(before),
        since: since.map(({ caKey, serials }) => ({ caKey: blobOf(caKey), serials })),
      };
      return { id, value: lossesOf(change) };
    }
    const { hosts } = task.set;
    const set = {
      ...task.set,
      caKey: blobOf(task.set.caKey),
      ...(hosts && { hosts: { ...hosts, caKey: blobOf(hosts.caKey) } }),
    };
    return { id, value: assembleKrl(set, task.version, task.nowMs) };
  } catch (error) {
    // Anything else is a fault: the thread ends with it, and the work is done where it was asked.
    if (!(error instanceof CodedError)) throw error;
    const { code, message, next } = error;
    return { id, refusal: { code, message, next } };
  }
}

/** A Buffer arrives as a plain array of bytes. */
function blobOf(bytes: Uint8Array): SshBlob {
  return Buffer.from(bytes) as SshBlob;
}
