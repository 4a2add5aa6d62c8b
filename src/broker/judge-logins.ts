import type { EntryDraft } from '../accounting/index.ts';
import {
  judgeLogin,
  parseLoginLine,
  type IssuedCertificate,
  type LoginVerdict,
  type ReportedEvent,
  type SeenLogin,
} from '../hosts/index.ts';
import { isCodedError, sha256, toRfc3339, type PersonId, type Serial } from '../kernel/index.ts';
import type { Rooms } from './rooms.ts';
import type { ReportProgress, WaitingLogin } from './reported-login.ts';

/** How strictly logins are judged. */
export interface LoginRules {
  /** So long a login that nothing explains waits: its certificate may still be on its way into the log. */
  readonly holdMs: number;
  /** So long a revocation may take to reach a host. */
  readonly graceMs: number;
  /** So far the clocks of a host and the broker may be apart. */
  readonly skewMs: number;
  /** Fingerprints of keys that were registered for emergencies. */
  readonly breakGlassKeys: ReadonlySet<string>;
}

/** The host that speaks, as its identity proved. */
export interface ReportingHost {
  readonly id: string;
  readonly name: string;
  /** Account to the names that open it, where the host has role principals; an account without any is opened by its own name. */
  readonly accounts: ReadonlyMap<string, readonly string[]>;
}

export interface JudgedLogin {
  readonly host: Pick<ReportingHost, 'id' | 'name'>;
  readonly verdict: LoginVerdict | 'unreadable';
  readonly login: Omit<WaitingLogin, 'dueMs'>;
  readonly seen: SeenLogin | undefined;
  readonly personId: PersonId | undefined;
}

/** A login that was judged, with the place of its entry in the log. */
export type LoggedLogin = JudgedLogin & { readonly entryIndex: bigint };

type Asked = Pick<Rooms, 'store' | 'clock' | 'issuer' | 'loginRules' | 'counters'>;

const perTurn = 200;
const quietEveryMs = 300_000;

/**
 * A host tells what happened there. What an issued certificate explains becomes an entry at once; every other login waits a moment and is
 * judged by `judgeDueLogins`. The host's count makes that each is taken once, in order: what was sent before is passed over, and what
 * is missing is an entry of its own.
 * @returns the number that the host is to report next: everything below it is durable. @throws CodedError `store.…`
 */
export async function takeReport(
  rooms: Asked,
  host: ReportingHost,
  { boot, events }: { readonly boot: string; readonly events: readonly ReportedEvent[] },
): Promise<bigint> {
  const { store, clock } = rooms;
  const { next: from, reportedMs } = await store.reportPosition(host.id, boot);
  const fresh = events.filter(({ seq }) => seq >= from);
  const [first, last] = [fresh[0], fresh.at(-1)];
  const nowMs = clock.nowMs();
  if (first === undefined || last === undefined) {
    // Nothing new is news as well, for the coverage; not at each call.
    const progress = { hostId: host.id, boot, from, next: from, atMs: nowMs };
    if (nowMs - reportedMs >= quietEveryMs) await store.commit({ reportedLogins: { progress }, entries: [] });
    return from;
  }

  const entries: EntryDraft[] = [];
  if (first.seq > from)
    entries.push(gapEntry(host, { boot, from, to: first.seq - 1n, why: 'not-reported' }, nowMs));
  const waiting: WaitingLogin[] = [];
  for (const event of fresh) {
    if (event.kind === 'gap')
      entries.push(gapEntry(host, { boot, from: event.seq, to: event.seq, why: event.why }, nowMs));
    if (event.kind === 'session') entries.push(sessionEntry(host, event, nowMs));
    if (event.kind === 'alert') entries.push(alertEntry(host, event, nowMs));
    if (event.kind !== 'login') continue;
    const login = { hostId: host.id, boot, seq: event.seq, atMs: event.atMs, line: event.line };
    const judged = await judgeLine(rooms, host, login);
    if (judged?.verdict === 'explained') entries.push(loginEntry(judged, nowMs));
    else if (judged !== undefined) waiting.push({ ...login, dueMs: nowMs + rooms.loginRules.holdMs });
  }
  const progress: ReportProgress = { hostId: host.id, boot, from, next: last.seq + 1n, atMs: nowMs };
  await store.commit({ reportedLogins: { progress, waiting }, entries });
  for (const { type } of entries) if (type === 'login.seen') rooms.counters.login('explained');
  return progress.next;
}

/**
 * Judges for good what has waited long enough. Several brokers may do so at once: each login is judged by one of them.
 * @returns what was judged and is not explained. @throws CodedError `store.…`
 */
export async function judgeDueLogins(
  rooms: Asked,
  hostOf: (hostId: string) => Promise<ReportingHost>,
): Promise<readonly LoggedLogin[]> {
  const { store, clock } = rooms;
  const unexplained: LoggedLogin[] = [];
  for (;;) {
    const nowMs = clock.nowMs();
    const due = await store.waitingLogins(nowMs, perTurn);
    const judged: JudgedLogin[] = [];
    for (const login of due) {
      const found = await judgeLine(rooms, await hostOf(login.hostId), login);
      if (found !== undefined) judged.push(found);
    }
    if (due.length > 0) {
      try {
        const entries = judged.map((found) => loginEntry(found, nowMs));
        const { firstIndex } = await store.commit({ reportedLogins: { judged: due }, entries });
        judged.forEach((login, nth) => {
          rooms.counters.login(login.verdict);
          if (login.verdict !== 'explained')
            unexplained.push({ ...login, entryIndex: firstIndex + BigInt(nth) });
        });
      } catch (error) {
        // Another broker was quicker with one of them: what is left is found the next time.
        if (isCodedError(error, 'store.conflict')) return unexplained;
        throw error;
      }
    }
    if (due.length < perTurn) return unexplained;
  }
}

/** What the log says of one login, now. @returns undefined for a line that tells of no login */
export async function judgeLine(
  rooms: Asked,
  host: ReportingHost,
  login: Omit<WaitingLogin, 'dueMs'>,
): Promise<JudgedLogin | undefined> {
  const seen = parseLoginLine(login.line);
  if (seen === undefined) return undefined;
  const common = { host, login };
  if (seen === 'unreadable')
    return { ...common, verdict: 'unreadable', seen: undefined, personId: undefined };
  const { store, issuer, loginRules } = rooms;
  const ourAuthorities = new Set([issuer.caFingerprint, ...(await store.authoritiesInUse(0n))]);
  const issued = await issuedFor(rooms, seen);
  const verdict = judgeLogin(seen, {
    atMs: login.atMs,
    ourAuthorities,
    issued: issued?.certificate,
    accountPrincipals: host.accounts.get(seen.account),
    ...loginRules,
  });
  return { ...common, verdict, seen, personId: verdict === 'mismatch' ? undefined : issued?.personId };
}

/** What the log says of the certificate that a login names: the entry of its issue, and whether it was revoked since. */
async function issuedFor(
  { store }: Asked,
  { credential }: SeenLogin,
): Promise<{ readonly certificate: IssuedCertificate; readonly personId: PersonId } | undefined> {
  if (credential.kind !== 'certificate') return undefined;
  const { serial, caFingerprint } = credential.certificate;
  const row = await store.credential(caFingerprint, serial as Serial);
  if (row === undefined) return undefined;
  const entries = await store.searchLog({ serial: String(serial), type: 'cred.issue', limit: 100 });
  const options = entries
    .map(({ bytes }) => JSON.parse(bytes.toString('utf8')) as IssueEntry)
    .find(({ cred }) => cred.ca_fp === caFingerprint)?.cred.options;
  if (options === undefined) return undefined;
  return {
    personId: row.personId,
    certificate: {
      keyFingerprint: row.keyFingerprint,
      keyId: row.keyId,
      principals: row.principals,
      validAfter: row.validAfter,
      validBefore: row.validBefore,
      revokedMs: row.revokedMs,
      sourceAddress: options.critical['source-address'],
    },
  };
}

/** The part of a `cred.issue` entry that is read back; docs/formats/log.md describes it. */
interface IssueEntry {
  readonly cred: {
    readonly ca_fp: string;
    readonly options: { readonly critical: Readonly<Record<string, string>> };
  };
}

/** Explained or not, every login becomes an entry; the line itself is kept, as a personal value, where nothing explains it. */
function loginEntry({ host, verdict, login, seen, personId }: JudgedLogin, timeMs: number): EntryDraft {
  const { boot, seq, atMs, line } = login;
  const isExplained = verdict === 'explained';
  const how: Record<string, string> =
    seen === undefined ? {} : { account: seen.account, method: methodOf(seen) };
  return {
    type: isExplained ? 'login.seen' : 'login.unexplained',
    timeMs,
    ...(isExplained ? { outcome: 'success' } : { outcome: 'failure', reasonCode: `hosts.${verdict}` }),
    actor: { kind: 'broker' },
    ...(personId === undefined ? {} : { subject: { uid: personId } }),
    fields: {
      target: hostTarget(host),
      login: {
        verdict,
        ...how,
        at: toRfc3339(atMs),
        boot,
        seq: String(seq),
        line_sha256: sha256(line).toString('hex'),
      },
      ...(seen === undefined ? {} : credentialOf(seen)),
    },
    personal: {
      ...(seen === undefined ? {} : { 'src.ip': seen.address }),
      ...(isExplained ? {} : { 'login.line': line.toWellFormed() }),
    },
  };
}

function methodOf({ credential }: SeenLogin): string {
  return credential.kind === 'other' ? credential.method : 'publickey';
}

function credentialOf({ credential }: SeenLogin): Readonly<Record<string, Record<string, string>>> {
  if (credential.kind === 'other') return {};
  if (credential.kind === 'key') return { cred: { kind: 'ssh-key', key_fp: credential.keyFingerprint } };
  const { serial, caFingerprint, keyFingerprint, keyId } = credential.certificate;
  return {
    cred: {
      kind: 'ssh-user',
      serial: String(serial),
      ca_fp: caFingerprint,
      key_fp: keyFingerprint,
      // What a foreign CA wrote there may be anything.
      ...(/^[A-Za-z0-9._@-]{1,64}$/.test(keyId) ? { key_id: keyId } : {}),
    },
  };
}

interface Gap {
  readonly boot: string;
  readonly from: bigint;
  readonly to: bigint;
  readonly why: string;
}

function gapEntry(host: ReportingHost, { boot, from, to, why }: Gap, timeMs: number): EntryDraft {
  return {
    type: 'host.feed_gap',
    outcome: 'failure',
    reasonCode: 'hosts.feed_gap',
    timeMs,
    actor: { kind: 'broker' },
    fields: { target: hostTarget(host), gap: { boot, from: String(from), to: String(to), why } },
  };
}

function sessionEntry(
  host: ReportingHost,
  { what, serial, caFingerprint, account, atMs }: Extract<ReportedEvent, { kind: 'session' }>,
  timeMs: number,
): EntryDraft {
  return {
    type: 'host.session',
    outcome: 'success',
    timeMs,
    actor: { kind: 'broker' },
    fields: {
      target: hostTarget(host),
      session: { what, account, at: toRfc3339(atMs) },
      cred: { kind: 'ssh-user', serial: String(serial), ca_fp: caFingerprint },
    },
  };
}

function alertEntry(
  host: ReportingHost,
  { source, text, atMs }: Extract<ReportedEvent, { kind: 'alert' }>,
  timeMs: number,
): EntryDraft {
  return {
    type: 'host.alert',
    outcome: 'failure',
    reasonCode: 'hosts.alert',
    timeMs,
    actor: { kind: 'broker' },
    fields: { target: hostTarget(host), alert: { source, at: toRfc3339(atMs) } },
    personal: { 'alert.text': text.toWellFormed() },
  };
}

/** The `target` of an entry about a host. */
export function hostTarget({ id, name }: Pick<ReportingHost, 'id' | 'name'>): Record<string, string> {
  return { kind: 'host', host_id: id, name };
}
