import type { EntryDraft } from '../accounting/index.ts';
import { parseSerial } from '../kernel/index.ts';
import { credentialFields } from './entries.ts';
import type { Rooms } from './rooms.ts';
import type { Credential, CredentialTarget } from './unit-of-work.ts';

/** Whoever waits for a quorum has given up by then, and revoked what was not handed out; unless that broker is dead. */
const settledAfterMs = 30_000;
/** No certificate for people lives longer than a day. */
const longestLifeMs = 25 * 3_600_000;
const pageSize = 500;

type Parts = Pick<Rooms, 'store' | 'clock' | 'cosigning' | 'counters' | 'krl'>;

/**
 * Finds certificates that were recorded, had to wait for a quorum, and whose broker died before there was one: they were handed to
 * nobody, and are revoked. A checkpoint that a quorum cosigned is kept before anything that it covers is handed out, so what
 * the newest one does not cover was not.
 */
export class UnreleasedSearch {
  readonly #parts: Parts;
  /** Below this index nothing is left to be found. */
  #searched = 0n;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** At start, before the list is looked at. Other brokers on the same store may have some that wait. @throws CodedError `store.…` */
  async atStart(): Promise<void> {
    await this.#withdraw(this.#parts.store.shared === undefined ? 0 : settledAfterMs);
  }

  /** Every now and then, for brokers that died beside this one; publishes the list when there was anything. @throws CodedError `store.…` */
  async look(): Promise<void> {
    if ((await this.#withdraw(settledAfterMs)) > 0) await this.#parts.krl.publish();
  }

  /** @returns how many there were */
  async #withdraw(olderThanMs: number): Promise<number> {
    const { store, clock, counters } = this.#parts;
    const found = await this.#find(clock.nowMs() - olderThanMs);
    if (found.length === 0) return 0;
    const count = await store.transact(async (reads) => {
      const atMs = clock.nowMs();
      const live = await Promise.all(found.map((target) => reads.liveCredentials(target, atMs)));
      const credentials = live.flat();
      const reason = 'not handed out: the broker ended before a quorum of witnesses was there';
      const entries = credentials.map((one) => withdrawal(one, { atMs, code: 'issuance.not_released' }));
      return { change: { revoke: { credentials, atMs, reason }, entries }, result: credentials.length };
    });
    counters.revoked(count);
    return count;
  }

  async #find(beforeMs: number): Promise<readonly CredentialTarget[]> {
    const { store, clock, cosigning } = this.#parts;
    const covered = (await store.cosignedCheckpoint())?.size;
    // Nobody was ever asked.
    if (covered === undefined && cosigning === undefined) return [];
    const floor = covered !== undefined && covered > this.#searched ? covered : this.#searched;
    const { size } = await store.logHead();
    if (size <= floor) return [];
    const found: CredentialTarget[] = [];
    let oldestLeft = size;
    for (let before: bigint | undefined; ;) {
      const page = await store.searchLog({
        type: 'cred.issue',
        fromMs: clock.nowMs() - longestLifeMs,
        limit: pageSize,
        ...(before === undefined ? {} : { before }),
      });
      for (const { index, bytes } of page) {
        if (index < floor) continue;
        const waiting = readWaiting(bytes);
        if (waiting !== undefined && waiting.timeMs > beforeMs) oldestLeft = index;
        else if (waiting !== undefined) found.push(waiting.target);
      }
      before = page.at(-1)?.index;
      if (page.length < pageSize || before === undefined || before <= floor) break;
    }
    this.#searched = oldestLeft;
    return found;
  }
}

/** What an entry of our own says, if it is of a certificate for a person that had to wait for a quorum. */
function readWaiting(
  bytes: Buffer,
): { readonly timeMs: number; readonly target: CredentialTarget } | undefined {
  const { time, cred, decision } = JSON.parse(bytes.toString('utf8')) as {
    readonly time: string;
    readonly cred: { readonly serial: string; readonly ca_fp: string };
    readonly decision: { readonly witness?: string };
  };
  if (decision.witness !== 'required') return undefined;
  const target = { kind: 'serial', serial: parseSerial(cred.serial), caFingerprint: cred.ca_fp } as const;
  return { timeMs: Date.parse(time), target };
}

/** The entry of the revocation of something that nobody got. */
export function withdrawal(
  credential: Credential,
  { atMs, code }: { readonly atMs: number; readonly code: NonNullable<EntryDraft['reasonCode']> },
): EntryDraft {
  return {
    type: 'cred.revoke',
    outcome: 'success',
    reasonCode: code,
    timeMs: atMs,
    actor: { kind: 'broker' },
    subject: { uid: credential.personId },
    fields: { cred: credentialFields(credential) },
  };
}
