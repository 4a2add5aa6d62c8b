import { encodeProof, inclusionProof, parseCheckpoint } from '../accounting/index.ts';
import { CodedError, findX509Serial, parseSerial, type Serial } from '../kernel/index.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import { belongsToLogBefore } from './log-before.ts';
import { refuseForbidden, takeLook } from './require-role.ts';
import type { Rooms, SignedIn } from './rooms.ts';
import type { StoredTlsCredential, X509Serial } from './tls-rows.ts';
import { seesWholeLog, shownTo } from './shown-entry.ts';
import type { Credential, StoredEntry } from './unit-of-work.ts';
import { shownCheckpoint } from './witnessed-release.ts';

/** Of an SSH certificate, a number; of one for TLS, 40 hex digits. The two look alike in no spelling. */
export type CertificateSerial = Serial | X509Serial;

/** Reads either in any spelling that programs print. @throws CodedError `kernel.bad_serial` */
export function parseCertificateSerial(text: string): CertificateSerial {
  return (findX509Serial(text) as X509Serial | undefined) ?? parseSerial(text);
}

/** What the log and the rows say of one serial of this broker's CA. */
export interface ExplainedCertificate {
  /** Undefined when no certificate with this serial was released. */
  readonly credential: Credential | undefined;
  /** The same of a serial for TLS. */
  readonly tlsCredential: StoredTlsCredential | undefined;
  /** Every entry about it, oldest first: its issue or that it is void, its revocation. */
  readonly entries: readonly StoredEntry[];
  readonly nowMs: number;
}

const mostEntries = 100;

/**
 * Who asked for a certificate, which rule allowed it, and how it ended. Its bearer may ask; auditors and admins may ask about
 * everybody's. Asking is itself an entry.
 * @throws CodedError `policy.not_permitted`, `policy.too_many_looks`, `store.…`
 */
export async function explainCertificate(
  rooms: Rooms,
  serial: CertificateSerial,
  caller: SignedIn,
): Promise<ExplainedCertificate> {
  const { store, issuer, clock } = rooms;
  const about = await entriesAbout(rooms, serial);
  await recordLook(rooms, { kind: 'certificate', serial }, about, caller);
  return {
    ...(isX509(serial)
      ? { credential: undefined, tlsCredential: await store.tlsCredential(serial) }
      : { credential: await store.credential(issuer.caFingerprint, serial), tlsCredential: undefined }),
    entries: about.map((entry) => shownTo(caller, entry)),
    nowMs: clock.nowMs(),
  };
}

/**
 * The receipt of a certificate: that its issue stands in the log, checkable offline (docs/formats/proof.md). Who may have it is
 * as with `explainCertificate`.
 * @throws CodedError `accounting.never_issued`, `accounting.log_before`, `policy.not_permitted`, `policy.too_many_looks`, `store.…`
 */
export async function proveIssue(rooms: Rooms, serial: CertificateSerial, caller: SignedIn): Promise<string> {
  const about = await entriesAbout(rooms, serial);
  await recordLook(rooms, { kind: 'proof', serial }, about, caller);
  const issue = about.find((entry) => contentOf(entry).type === 'cred.issue');
  if (issue === undefined) {
    if (isX509(serial)) throw neverIssuedTls(serial);
    const elsewhere = await belongsToLogBefore(rooms, serial);
    if (elsewhere !== undefined) throw elsewhere;
    throw new CodedError(
      'accounting.never_issued',
      `This broker’s CA never issued a certificate with the serial ${serial}.`,
      {
        next: 'Check the number. `sallyport audit verify` over a whole export proves it: serials are dense.',
      },
    );
  }
  const checkpoint = await shownCheckpoint(rooms, issue.index);
  const { size } = parseCheckpoint(checkpoint);
  const path = await inclusionProof(issue.index, size, rooms.tree);
  return encodeProof({ index: issue.index, entry: issue.bytes, path, checkpoint });
}

const isX509 = (serial: CertificateSerial): serial is X509Serial => typeof serial === 'string';

/** These serials are random: that one is missing says so much for this log, and nothing for one before a recovery. */
function neverIssuedTls(serial: X509Serial): CodedError {
  return new CodedError(
    'accounting.never_issued',
    `This log knows of no certificate for TLS with the serial ${serial}.`,
    { next: 'Check the number. After a recovery, the log before may know it: look in its bundle.' },
  );
}

/** Of this broker's CA, or of its authorities for TLS, oldest first. */
async function entriesAbout(
  { store, issuer }: Rooms,
  serial: CertificateSerial,
): Promise<readonly StoredEntry[]> {
  const found = await store.searchLog({ serial: String(serial), limit: mostEntries });
  return found
    .filter((entry) => isX509(serial) || contentOf(entry).cred?.ca_fp === issuer.caFingerprint)
    .toSorted((a, b) => Number(a.index - b.index));
}

/** Whoever may not know learns neither that the serial was issued nor that it was not. */
async function recordLook(
  rooms: Rooms,
  { kind, serial }: { readonly kind: 'certificate' | 'proof'; readonly serial: CertificateSerial },
  about: readonly StoredEntry[],
  caller: SignedIn,
): Promise<void> {
  const target = { kind, value: String(serial) };
  if (!seesWholeLog(caller)) {
    const own = about.some((entry) => contentOf(entry).subject?.uid === caller.person.id);
    if (!own) {
      const error = new CodedError('policy.not_permitted', `The certificate ${serial} is not yours.`, {
        next: 'Take the serial that `sallyport status` shows, or ask an auditor.',
      });
      await refuseForbidden(rooms, caller, { error, target });
    }
    await takeLook(rooms, caller, target);
  }
  const entry = entryBy(caller, { type: 'log.read', timeMs: rooms.clock.nowMs(), fields: { target } });
  await rooms.store.commit({ guard: stillSignedIn(caller), entries: [entry] });
}

interface Content {
  readonly type?: string;
  readonly subject?: { readonly uid?: string };
  readonly cred?: { readonly ca_fp?: string };
}

function contentOf({ bytes }: StoredEntry): Content {
  return JSON.parse(bytes.toString('utf8')) as Content;
}
