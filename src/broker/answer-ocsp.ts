import { createOcspSignerCertificate } from '../issuance/index.ts';
import { CodedError, systemRandom, toRfc3339, type Clock } from '../kernel/index.ts';
import {
  issuerHashes,
  newOcspKey,
  ocspFailure,
  parseOcspRequest,
  signOcsp,
  type OcspKey,
  type OcspQuestion,
  type OcspStatus,
} from '../revocation/index.ts';
import type { Signer } from '../keys/index.ts';
import type { TlsIssuer } from '../issuance/index.ts';
import type { RevokedTls, X509Serial } from './tls-rows.ts';
import type { Store } from './unit-of-work.ts';

const signerLifeMs = 7 * 86_400_000;
/** How long an answer is good. One that was signed ahead is given out for half of it. */
const answerLifeMs = 3_600_000;
const mostKept = 100_000;

export interface OcspParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly issuer: TlsIssuer;
  /** Of the authority: certifies the signers, and answers nothing by itself. */
  readonly signer: Signer;
}

interface Kept {
  readonly bytes: Buffer;
  readonly serial: string;
  readonly untilMs: number;
}

interface LivingKey extends OcspKey {
  readonly renewMs: number;
  readonly endMs: number;
}

/**
 * Answers for one authority, from memory: who is revoked as soon as the list says it, who was issued as soon as it was looked up once.
 * Its key is made here, certified for a week, and renewed by itself; it never leaves the process.
 */
export class OcspResponder {
  readonly #parts: OcspParts;
  readonly #hashes: ReturnType<typeof issuerHashes>;
  readonly #revoked = new Map<string, RevokedTls>();
  readonly #issued = new Set<string>();
  readonly #kept = new Map<string, Kept>();
  readonly #placesOf = new Map<string, Set<string>>();
  #key: LivingKey | undefined;
  #renewing: Promise<void> | undefined;

  constructor(parts: OcspParts) {
    this.#parts = parts;
    this.#hashes = issuerHashes(parts.issuer.read.subject, parts.issuer.read.publicKey);
  }

  /** Whether a question is about a certificate of this authority. */
  isAbout(question: OcspQuestion): boolean {
    const { name, key } = this.#hashes[question.hash];
    return name.equals(question.issuerNameHash) && key.equals(question.issuerKeyHash);
  }

  /** From the list, as soon as it is served. What was signed ahead about them is forgotten. */
  readonly learn = (items: readonly RevokedTls[]): void => {
    for (const item of items) {
      this.#revoked.set(item.serial, item);
      for (const place of this.#placesOf.get(item.serial) ?? []) this.#kept.delete(place);
      this.#placesOf.delete(item.serial);
    }
  };

  /** Makes the first signer, and another one when half of its life is over. Its entry is durable before it signs. */
  async renew(): Promise<void> {
    if (this.#key !== undefined && this.#parts.clock.nowMs() < this.#key.renewMs) return;
    this.#renewing ??= this.#certify().finally(() => (this.#renewing = undefined));
    return this.#renewing;
  }

  /** @returns the answer, DER, and until when it may be kept */
  async answer(
    questions: readonly OcspQuestion[],
    nonce: Buffer | undefined,
  ): Promise<{ readonly bytes: Buffer; readonly untilMs: number }> {
    const nowMs = this.#parts.clock.nowMs();
    const [only, ...others] = questions;
    const place =
      only !== undefined && others.length === 0 && nonce === undefined ? only.certId.toString('latin1') : '';
    const kept = this.#kept.get(place);
    if (kept !== undefined && kept.untilMs - answerLifeMs / 2 > nowMs) return kept;
    const key = await this.#usableKey(nowMs);
    const answers = [];
    for (const { certId, serial } of questions) answers.push({ certId, status: await this.#status(serial) });
    const untilMs = Math.min(nowMs + answerLifeMs, key.endMs);
    const bytes = await signOcsp(key, { answers, producedMs: nowMs, nextUpdateMs: untilMs, nonce });
    // Revoked while it was signed: what was said is over.
    const isStale = answers.some(
      ({ status }, nth) => status.kind !== 'revoked' && this.#revoked.has(questions[nth]?.serial ?? ''),
    );
    if (isStale) return this.answer(questions, nonce);
    if (place !== '' && only !== undefined && answers[0]?.status.kind !== 'unknown')
      this.#keep(place, { bytes, serial: only.serial, untilMs });
    return { bytes, untilMs };
  }

  #keep(place: string, kept: Kept): void {
    if (this.#kept.size >= mostKept) {
      this.#kept.clear();
      this.#placesOf.clear();
    }
    this.#kept.set(place, kept);
    const places = this.#placesOf.get(kept.serial) ?? new Set();
    this.#placesOf.set(kept.serial, places.add(place));
  }

  async #status(serial: string): Promise<OcspStatus> {
    const known = this.#revoked.get(serial);
    if (known !== undefined) return { kind: 'revoked', revokedMs: known.revokedMs, reason: known.reason };
    if (this.#issued.has(serial)) return { kind: 'good' };
    // Another length, or another beginning: never one of ours.
    if (!/^[4-7][0-9a-f]{39}$/.test(serial)) return { kind: 'unknown' };
    const row = await this.#parts.store.tlsCredential(serial as X509Serial);
    if (row === undefined || row.caFingerprint !== this.#parts.issuer.caFingerprint)
      return { kind: 'unknown' };
    // Revoked, and not in a list yet.
    if (row.revokedMs !== undefined)
      return { kind: 'revoked', revokedMs: row.revokedMs, reason: row.revokedCode ?? 'unspecified' };
    if (this.#issued.size >= mostKept) this.#issued.clear();
    this.#issued.add(serial);
    return { kind: 'good' };
  }

  async #usableKey(nowMs: number): Promise<LivingKey> {
    if (this.#key === undefined || nowMs >= this.#key.endMs) await this.renew();
    if (this.#key !== undefined) return this.#key;
    throw new CodedError('revocation.no_ocsp_signer', 'There is no OCSP signer yet.', {
      next: 'Ask again in a moment.',
    });
  }

  async #certify(): Promise<void> {
    const { store, clock, issuer, signer } = this.#parts;
    const nowMs = clock.nowMs();
    const { own, fingerprint } = await newOcspKey(signer.algorithm);
    const endMs = nowMs + signerLifeMs;
    const { certificate, serial } = await createOcspSignerCertificate(
      { signer, certificate: issuer.certificate },
      {
        publicKey: own.publicKey,
        commonName: `${issuer.name} OCSP`,
        notBeforeMs: nowMs - 3_600_000,
        notAfterMs: endMs,
      },
      systemRandom,
    );
    await store.commit({
      entries: [
        {
          type: 'ocsp.signer',
          outcome: 'success',
          timeMs: nowMs,
          actor: { kind: 'broker' },
          fields: {
            ocsp: {
              ca_fp: issuer.caFingerprint,
              serial,
              key_fp: fingerprint,
              not_after: toRfc3339(Math.floor(endMs / 1000) * 1000),
            },
          },
        },
      ],
    });
    this.#kept.clear();
    this.#placesOf.clear();
    this.#key = { own, certificate, renewMs: nowMs + signerLifeMs / 2, endMs };
  }
}

/** What goes out for a request, whatever is in it: never a fault, never longer than it must be. */
export async function answerOcsp(
  responders: readonly OcspResponder[],
  request: Buffer,
): Promise<{
  readonly bytes: Buffer;
  readonly untilMs: number | undefined;
  readonly code: string | undefined;
}> {
  try {
    const { questions, nonce } = parseOcspRequest(request);
    const responder = responders.find((one) => questions.every((question) => one.isAbout(question)));
    if (responder === undefined)
      return { bytes: ocspFailure('unauthorized'), untilMs: undefined, code: 'revocation.foreign_issuer' };
    const { bytes, untilMs } = await responder.answer(questions, nonce);
    // With a nonce it is good for one asker only.
    return { bytes, untilMs: nonce === undefined ? untilMs : undefined, code: undefined };
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const failure = error.code.startsWith('x509.') ? 'malformedRequest' : 'tryLater';
    return { bytes: ocspFailure(failure), untilMs: undefined, code: error.code };
  }
}
