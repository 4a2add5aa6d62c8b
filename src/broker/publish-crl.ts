import { isCodedError } from '../kernel/index.ts';
import {
  CrlBody,
  crlDigest,
  expiredMarginSeconds,
  isIntactCrl,
  signCrl,
  type CrlIssuer,
} from '../revocation/index.ts';
import type { Rooms } from './rooms.ts';
import { SharedRuns } from './shared-runs.ts';
import type { CrlBase, CrlPublication, RevokedTls } from './tls-rows.ts';

/** How often others may be quicker. */
const mostAttempts = 10;
/** A delta that has grown that far is given a new base: it would be as long as the list it saves. */
const mostInDelta = 10_000;

export interface CrlParts extends Pick<Rooms, 'store' | 'clock'> {
  readonly caFingerprint: string;
  readonly issuer: CrlIssuer;
  /** How long a list is good. A new one comes when half of it is over. */
  readonly lifetimeMs: number;
  /** Told of every certificate that a served list has for the first time. */
  readonly onRevoked?: (items: readonly RevokedTls[]) => void;
}

/**
 * Publishes the CRLs of one authority, full and delta under one number: collects what is revoked, builds, reads back, records with its
 * entry, and only then serves. One publication runs at a time; those who ask meanwhile share the next one.
 */
export class CrlPublisher {
  readonly #parts: CrlParts;
  #current: CrlPublication | undefined;
  #body = new CrlBody();
  /** Acts up to this one are in the body. */
  #bodyActs = 0;
  #bodySinceMs = 0;
  readonly #runs = new SharedRuns(() => this.#publishOrAdopt());

  constructor(parts: CrlParts) {
    this.#parts = parts;
  }

  /** The lists in force, as served. Undefined only before the first publication at start. */
  get current(): CrlPublication | undefined {
    return this.#current;
  }

  /** Publishes everything committed before the call. @throws CodedError `revocation.bad_list`, `store.…`; the old lists stay. */
  publish(): Promise<CrlPublication> {
    return this.#runs.run();
  }

  /** At start, and then every second: serves what others published, publishes what is not yet out, and before a list ends. */
  async catchUp(): Promise<void> {
    const { store, clock, caFingerprint, lifetimeMs } = this.#parts;
    if (this.#runs.isRunning) return;
    if ((await store.crlNumber(caFingerprint)) !== this.#current?.number) await this.#adopt();
    const current = this.#current;
    const isBehind = current?.acts !== (await store.tlsRevocationCount());
    if (isBehind || current.publishedMs + lifetimeMs / 2 <= clock.nowMs()) await this.publish();
  }

  /** Serves what is in the database, whoever published it, if it is intact and newer than what is served. */
  async #adopt(): Promise<CrlPublication | undefined> {
    const { store, issuer, caFingerprint } = this.#parts;
    const last = await store.crlPublication(caFingerprint);
    if (last === undefined) return undefined;
    if (![last.full, last.delta].every((bytes) => isIntactCrl(bytes, issuer, last.number))) return undefined;
    if (this.#current === undefined || last.number > this.#current.number) {
      this.#current = last;
      await this.#collect();
    }
    return last;
  }

  /** Another broker may be quicker. If its list holds all that was to be in this one, it is the one; if not, the next one does. */
  async #publishOrAdopt(): Promise<CrlPublication> {
    const { store } = this.#parts;
    const acts = await store.tlsRevocationCount();
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#publish();
      } catch (error) {
        if (!isCodedError(error, 'store.conflict') || attempt === mostAttempts) throw error;
        const last = await this.#adopt();
        if (last !== undefined && last.acts >= acts) return last;
      }
    }
  }

  /** Brings the body to what is revoked now, and tells of what came. @returns the act that it reaches, at least */
  async #collect(): Promise<number> {
    const { store, clock, caFingerprint, lifetimeMs, onRevoked } = this.#parts;
    const nowMs = clock.nowMs();
    // Every now and then anew, without what has expired since.
    if (nowMs - this.#bodySinceMs > lifetimeMs) {
      this.#body = new CrlBody();
      this.#bodyActs = 0;
      this.#bodySinceMs = nowMs;
    }
    // The count first: what is committed between here and the collection is in the list, and merely published once more.
    const acts = await store.tlsRevocationCount();
    const fresh = await store.revokedTls(caFingerprint, this.#bodyActs, forgottenBefore(nowMs));
    for (const item of fresh) this.#body.add(item);
    this.#bodyActs = Math.max(acts, fresh.at(-1)?.act ?? 0);
    onRevoked?.(fresh);
    return acts;
  }

  async #publish(): Promise<CrlPublication> {
    const { store, issuer, clock, caFingerprint, lifetimeMs } = this.#parts;
    const before = await store.crlNumber(caFingerprint);
    const acts = await this.#collect();
    const nowMs = clock.nowMs();
    const number = (before ?? 0n) + 1n;
    const own: CrlBase = { number, acts, publishedMs: nowMs };
    const { base, nextBase } = this.#bases(own);
    const changed = await store.revokedTls(caFingerprint, base.acts, forgottenBefore(nowMs));
    const isShort = changed.length <= mostInDelta;
    const delta = new CrlBody();
    if (isShort) for (const item of changed) delta.add(item);
    const baseNumber = isShort ? base.number : number;
    const times = { number, thisUpdateMs: nowMs, nextUpdateMs: nowMs + lifetimeMs };
    const full = await signCrl(issuer, this.#body, times);
    const publication: CrlPublication = {
      caFingerprint,
      number,
      publishedMs: nowMs,
      nextUpdateMs: times.nextUpdateMs,
      full,
      delta: await signCrl(issuer, delta, { ...times, baseNumber }),
      acts,
      ...(isShort ? { base, nextBase } : { base: own, nextBase: own }),
    };
    await store.commit({
      tls: { crl: publication },
      entries: [
        {
          type: 'crl.publish',
          outcome: 'success',
          timeMs: nowMs,
          actor: { kind: 'broker' },
          fields: {
            artifact: { version: String(number), sha256: crlDigest(full), size: full.length },
            crl: {
              ca_fp: caFingerprint,
              serials: this.#body.serials.length,
              base: String(baseNumber),
              delta_serials: delta.serials.length,
              delta_sha256: crlDigest(publication.delta),
            },
          },
        },
      ],
    });
    this.#current = publication;
    return publication;
  }

  /**
   * A delta must fit every full list that somebody may still hold (RFC 5280 section 5.2.4): its base is older than the life of a list.
   * The base moves on in two steps, a life apart.
   */
  #bases(own: CrlBase): Pick<CrlPublication, 'base' | 'nextBase'> {
    const current = this.#current;
    if (current === undefined) return { base: own, nextBase: own };
    const { base, nextBase } = current;
    return own.publishedMs - nextBase.publishedMs < this.#parts.lifetimeMs
      ? { base, nextBase }
      : { base: nextBase, nextBase: own };
  }
}

function forgottenBefore(nowMs: number): bigint {
  return BigInt(Math.floor(nowMs / 1000)) - expiredMarginSeconds;
}
