import type { SshHostIssuer } from '../issuance/index.ts';
import { expiredMarginSeconds, signKrl, type ListWorker, type RevokedSet } from '../revocation/index.ts';
import { CodedError, isCodedError } from '../kernel/index.ts';
import type { Signer } from '../keys/index.ts';
import type { Rooms } from './rooms.ts';
import { findLosses, type Loss } from './find-losses.ts';
import { SharedRuns } from './shared-runs.ts';
import type { Publication } from './unit-of-work.ts';

const listLostCode = 'revocation.list_lost';
/** How often others may be quicker. */
const mostAttempts = 10;

type WholeSet = Required<RevokedSet>;

export interface KrlParts extends Pick<Rooms, 'store' | 'issuer' | 'clock'> {
  /** The CA of hosts: what it issued is in the same list, in a section of its own. */
  readonly hostIssuer: Pick<SshHostIssuer, 'caKey' | 'caFingerprint'>;
  /** Signs each list (SSHSIG). */
  readonly listSigner: Signer;
  /** Assembles and checks long lists off the event loop. */
  readonly worker: ListWorker;
}

/**
 * Publishes the KRL: collects what is revoked, builds and reads back the list, records it with its entry, and only then
 * serves it. One publication runs at a time; those who ask meanwhile share the next one.
 */
export class KrlPublisher {
  readonly #parts: KrlParts;
  #current: Publication | undefined;
  #loss: CodedError | undefined;
  readonly #runs = new SharedRuns(() => this.#publishOrAdopt());
  #listeners: (() => void)[] = [];

  constructor(parts: KrlParts) {
    this.#parts = parts;
  }

  /** The list in force, as served. Undefined only before the first publication at start. */
  get current(): Publication | undefined {
    return this.#current;
  }

  /** Is told of every list that becomes the one in force here. */
  onCurrent(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** What the rows had lost when the list in force was made here: it is in the list nevertheless. */
  get loss(): CodedError | undefined {
    return this.#loss;
  }

  /** Publishes everything committed before the call. @throws CodedError `revocation.bad_list`, `store.…`; the old list stays. */
  publish(): Promise<Publication> {
    return this.#runs.run();
  }

  /** At start: serves what was published last if it is intact, and publishes when anything was revoked after it. */
  async resume(): Promise<Publication> {
    const last = await this.#adopt();
    if (last === undefined) return this.publish();
    return last.revocations === (await this.#parts.store.revocationCount()) ? last : this.publish();
  }

  /**
   * Serves what another broker published meanwhile, and publishes what was committed and is not yet out, as after a publication
   * that failed. Cheap when there is nothing.
   */
  async catchUp(): Promise<void> {
    const { store } = this.#parts;
    // What a publication under way leaves out, the next call finds.
    if (this.#runs.isRunning) return;
    if ((await store.publicationVersion('krl')) !== this.#current?.version) await this.#adopt();
    if (this.#current?.revocations !== (await store.revocationCount())) await this.publish();
  }

  /** Publishes when certificates in the list have expired since, beyond their margin. */
  async prune(): Promise<void> {
    if (this.#current === undefined) return;
    const [thenMs, nowMs] = [this.#current.publishedMs, this.#parts.clock.nowMs()];
    const listed = await this.#collectSerials(thenMs);
    const lasting = await this.#collectSerials(nowMs);
    const ranges = await this.#collectRanges(thenMs);
    const hosts = [await this.#collectHosts(thenMs), await this.#collectHosts(nowMs)] as const;
    if (
      lasting.length !== listed.length ||
      (await this.#collectRanges(nowMs)).length !== ranges.length ||
      hosts[0].serials.length !== hosts[1].serials.length ||
      hosts[0].ranges.length !== hosts[1].ranges.length
    )
      await this.publish();
  }

  /** Serves what is in the database, whoever published it, if it is intact and not older than what is served. */
  async #adopt(): Promise<Publication | undefined> {
    const { store, issuer, hostIssuer, worker } = this.#parts;
    const last = await store.publication('krl');
    if (last === undefined || !(await worker.isIntact(last, [issuer.caKey.blob, hostIssuer.caKey.blob])))
      return undefined;
    if (this.#current === undefined || last.version > this.#current.version) this.#serve(last);
    return last;
  }

  #serve(publication: Publication, loss?: CodedError): void {
    this.#current = publication;
    this.#loss = loss;
    for (const listener of this.#listeners) listener();
  }

  /** What a list of that time holds, as far as it is known now. */
  #collectSerials(atMs: number): Promise<BigUint64Array> {
    const { store, issuer } = this.#parts;
    return store.revokedSerials(issuer.caFingerprint, forgottenBefore(atMs));
  }

  #collectRanges(atMs: number): ReturnType<KrlParts['store']['revokedRanges']> {
    const { store, issuer } = this.#parts;
    return store.revokedRanges(issuer.caFingerprint, forgottenBefore(atMs));
  }

  async #collectHosts(atMs: number): Promise<NonNullable<RevokedSet['hosts']>> {
    const { store, hostIssuer } = this.#parts;
    const { caFingerprint, caKey } = hostIssuer;
    return {
      caKey: caKey.blob,
      serials: await store.revokedHostSerials(caFingerprint, forgottenBefore(atMs)),
      ranges: await store.revokedRanges(caFingerprint, forgottenBefore(atMs)),
    };
  }

  /** All that the rows say is revoked. */
  async #collect(atMs: number): Promise<WholeSet> {
    const { store, issuer } = this.#parts;
    return {
      caKey: issuer.caKey.blob,
      serials: await this.#collectSerials(atMs),
      ranges: await this.#collectRanges(atMs),
      hosts: await this.#collectHosts(atMs),
      keyIds: (await store.revokedKeyIds(forgottenBefore(atMs))).map(({ keyId }) => keyId),
      keyFingerprints: (await store.revokedKeys()).map(({ fingerprint }) => fingerprint),
    };
  }

  /** Another broker may be quicker. If its list holds all that was to be in this one, it is the one; if not, the next one does. */
  async #publishOrAdopt(): Promise<Publication> {
    const { store } = this.#parts;
    const revocations = await store.revocationCount();
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#publish();
      } catch (error) {
        if (!isCodedError(error, 'store.conflict') || attempt === mostAttempts) throw error;
        const last = await this.#adopt();
        if (last !== undefined && last.revocations >= revocations) return last;
      }
    }
  }

  async #publish(): Promise<Publication> {
    const { store, issuer, hostIssuer, listSigner, worker, clock } = this.#parts;
    const nowMs = clock.nowMs();
    // An entry and what it revokes are one transaction: what entries below this size revoked, the questions below find.
    const { size } = await store.logHead();
    // The count first: what is committed between here and the collection is in the list, and merely published once more.
    const revocations = await store.revocationCount();
    const known = await this.#collect(nowMs);
    const version = ((await store.publicationVersion('krl')) ?? 0n) + 1n;
    const assembled = await worker.assemble(known, version, nowMs);
    // What was revoked stays revoked, also when the rows have lost it: the list before and the log know it.
    const losses = await findLosses(this.#parts, {
      bytes: assembled.bytes,
      logSize: size,
      forgottenBefore: forgottenBefore(nowMs),
      current: this.#current,
      authorities: [issuer, hostIssuer].map((one) => ({
        caFingerprint: one.caFingerprint,
        caKey: one.caKey.blob,
      })),
    });
    const revoked = losses.length === 0 ? known : withLosses(known, losses);
    const krl = await signKrl(
      losses.length === 0 ? assembled : await worker.assemble(revoked, version, nowMs),
      listSigner,
    );
    const publication: Publication = { kind: 'krl', version, publishedMs: nowMs, revocations, ...krl };
    await store.commit({
      publication,
      entries: [
        {
          type: 'krl.publish',
          outcome: 'success',
          ...(losses.length === 0 ? {} : { reasonCode: listLostCode }),
          timeMs: nowMs,
          actor: { kind: 'broker' },
          fields: {
            artifact: { version: String(version), sha256: krl.sha256, size: krl.bytes.length },
            list: {
              ca_fp: issuer.caFingerprint,
              serials: revoked.serials.length,
              ...(revoked.ranges.length === 0 ? {} : { ranges: revoked.ranges.length }),
              ...(revoked.hosts.serials.length === 0 ? {} : { host_serials: revoked.hosts.serials.length }),
              key_ids: revoked.keyIds.length,
              keys: revoked.keyFingerprints.length,
              log_size: String(size),
            },
          },
        },
      ],
    });
    this.#serve(publication, losses.length === 0 ? undefined : listLost(losses));
    return publication;
  }
}

function forgottenBefore(nowMs: number): bigint {
  return BigInt(Math.floor(nowMs / 1000)) - expiredMarginSeconds;
}

function withLosses(known: WholeSet, losses: readonly Loss[]): WholeSet {
  const of = ({ caKey, serials, ranges }: WholeSet['hosts']): WholeSet['hosts'] => {
    const lost = losses.find((loss) => loss.caKey.equals(caKey));
    if (lost === undefined) return { caKey, serials, ranges };
    return {
      caKey,
      serials: BigUint64Array.from([...serials, ...lost.serials]),
      ranges: [...ranges, ...lost.ranges],
    };
  };
  return { ...known, ...of(known), hosts: of(known.hosts) };
}

function listLost(losses: readonly Loss[]): CodedError {
  const serials = losses.flatMap((loss) => [...loss.serials, ...loss.ranges.map(({ first }) => first)]);
  const [first] = serials;
  const many = serials.length === 1 ? `serial ${first}` : `serial ${first} and ${serials.length - 1} more`;
  return new CodedError(
    listLostCode,
    `The database has lost revocations: ${many}, by the log and the list before. The list has them nevertheless.`,
    {
      next: 'The database was changed or damaged: put a backup back (docs/operations/backup.md), and find out who did it.',
      details: { serial: String(first) },
    },
  );
}
