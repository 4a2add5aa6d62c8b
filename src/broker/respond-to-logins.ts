import type { EntryDraft } from '../accounting/index.ts';
import { isCodedError, type Clock, type Serial } from '../kernel/index.ts';
import { credentialFields } from './entries.ts';
import { hostTarget, type LoggedLogin } from './judge-logins.ts';
import { enrolledHosts } from './list-logins.ts';
import type { ResponseRequest } from './response-row.ts';
import type { Rooms } from './rooms.ts';
import type { Change, Credential } from './unit-of-work.ts';

/** What is done about a login that nothing explains. */
export interface ResponseRule {
  readonly verdicts: ReadonlySet<string>;
  /** Of the credential that was used: the certificate with that serial, or the key itself, for good. */
  readonly revoke?: 'serial' | 'key';
  /** Asks that the host be taken off the net: name of a quarantine. */
  readonly quarantine?: string;
  /** False rehearses: the entry says what would have been done. */
  readonly live: boolean;
}

export interface ResponseLimits {
  /** Hosts for which something is done within ten minutes; the others are held. */
  readonly hostsPerTenMinutes: number;
  /** Of the enrolled hosts: when more were flagged within an hour, whatever flags them is at fault, or the house is on fire. */
  readonly fleetPercent: number;
}

const tenMinutesMs = 600_000;
const hourMs = 3_600_000;
const mostRecent = 1000;
/** Revocations that one host can bring about within ten minutes: whoever owns it may lie about every login on it. */
const revocationsPerHost = 5;
/** Two hosts are no fleet. */
const fewHosts = 3;

type Asked = Pick<Rooms, 'store' | 'clock' | 'random' | 'krl' | 'counters' | 'responses'>;

/**
 * Does what the rules say about logins that nothing explains. What a host reports touches the credential that it names and the host itself,
 * never another host: whoever owns one machine may lie about every login on it.
 * @returns how many rules came to something, rehearsals included. @throws CodedError `store.…`
 */
export async function respondToLogins(rooms: Asked, logins: readonly LoggedLogin[]): Promise<number> {
  let done = 0;
  for (const login of logins) {
    for (const rule of rooms.responses.rules) {
      if (!rule.verdicts.has(login.verdict)) continue;
      if (rule.revoke !== undefined) done += await revokeUsed(rooms, login, { ...rule, revoke: rule.revoke });
      if (rule.quarantine !== undefined)
        done += await requestQuarantine(rooms, login, { ...rule, quarantine: rule.quarantine });
    }
  }
  return done;
}

/** Revokes the certificate or the key of the login, and publishes. A host that makes many do so is held after a few. */
async function revokeUsed(
  rooms: Asked,
  login: LoggedLogin,
  rule: ResponseRule & { readonly revoke: 'serial' | 'key' },
): Promise<number> {
  const { store, clock, counters } = rooms;
  const nowMs = clock.nowMs();
  const target = await targetOf(rooms, login, rule.revoke);
  if (target === undefined) return 0;
  const isHeld = rule.live && !rooms.responses.mayRevoke(login.host.id);
  const state = !rule.live ? 'rehearsed' : isHeld ? 'held' : 'executed';
  const request = responseEntry(login, { action: `revoke ${rule.revoke}`, state, id: undefined }, nowMs);
  if (state !== 'executed') {
    await store.commit({ entries: [request] });
    return 1;
  }
  await store.commit({ ...target.change(nowMs), entries: [request, ...target.entries(nowMs)] });
  counters.revoked(target.credentials);
  // A list that cannot be published now is published by the timer: the revocation stands.
  await rooms.krl.publish().catch((error: unknown) => {
    if (!isCodedError(error)) throw error;
  });
  return 1;
}

interface RevocationTarget {
  readonly credentials: number;
  change(atMs: number): Pick<Change, 'revoke' | 'revokeKey'>;
  entries(atMs: number): readonly EntryDraft[];
}

/** Undefined: there is nothing to revoke, or it is revoked already. */
async function targetOf(
  { store }: Asked,
  { seen, host, verdict }: LoggedLogin,
  what: 'serial' | 'key',
): Promise<RevocationTarget | undefined> {
  const reason = `login with the verdict ${verdict} on ${host.name}`;
  if (seen === undefined || seen.credential.kind === 'other') return undefined;
  if (what === 'key') {
    const fingerprint =
      seen.credential.kind === 'key'
        ? seen.credential.keyFingerprint
        : seen.credential.certificate.keyFingerprint;
    if ((await store.revokedKey(fingerprint)) !== undefined) return undefined;
    const target = { kind: 'key', value: fingerprint, hits: 0 };
    return {
      credentials: 0,
      change: (atMs) => ({ revokeKey: { fingerprint, revokedMs: atMs, reason } }),
      entries: (timeMs) => [revocation(timeMs, reason, { fields: { target } })],
    };
  }
  if (seen.credential.kind !== 'certificate') return undefined;
  const { caFingerprint, serial } = seen.credential.certificate;
  const credential: Credential | undefined = await store.credential(caFingerprint, serial as Serial);
  if (credential === undefined || credential.revokedMs !== undefined) return undefined;
  return {
    credentials: 1,
    change: (atMs) => ({ revoke: { credentials: [credential], atMs, reason } }),
    entries: (timeMs) => [
      revocation(timeMs, reason, {
        subject: { uid: credential.personId },
        fields: { cred: credentialFields(credential) },
      }),
    ],
  };
}

function revocation(
  timeMs: number,
  reason: string,
  more: Pick<EntryDraft, 'subject' | 'fields'>,
): EntryDraft {
  return {
    type: 'cred.revoke',
    outcome: 'success',
    timeMs,
    actor: { kind: 'broker' },
    ...more,
    personal: { reason },
  };
}

/** One request for a host at a time: what is open already is not asked for again. */
async function requestQuarantine(
  rooms: Asked,
  login: LoggedLogin,
  rule: ResponseRule & { readonly quarantine: string },
): Promise<number> {
  const { store, clock, random } = rooms;
  const nowMs = clock.nowMs();
  const recent = await store.responseRequests(nowMs - hourMs, mostRecent);
  const { quarantine } = rule;
  const isOpen = recent.some(
    ({ hostId, quarantine: asked, state }) =>
      hostId === login.host.id &&
      asked === quarantine &&
      // What was only rehearsed, refused or not taken keeps nobody from asking in earnest.
      (state === 'rehearsed' ? !rule.live : state !== 'rejected' && state !== 'failed'),
  );
  if (isOpen) return 0;
  const isHeld = rule.live && (await isTooMuch(rooms, recent, login.host.id, nowMs));
  const state = !rule.live ? 'rehearsed' : isHeld ? 'held' : 'waiting';
  const request: ResponseRequest = {
    id: `q-${random(8).toString('hex')}`,
    hostId: login.host.id,
    hostName: login.host.name,
    quarantine,
    verdict: login.verdict,
    entryIndex: login.entryIndex,
    state,
    createdMs: nowMs,
    changedMs: nowMs,
    approvals: [],
  };
  const action = `quarantine ${quarantine}`;
  const entry = responseEntry(login, { action, state, id: request.id }, nowMs);
  await store.commit({ responses: { requested: [request] }, entries: [entry] });
  return 1;
}

/** Whether so many hosts were flagged that one more says less about that host than about whatever flags them. */
async function isTooMuch(
  { store, responses }: Asked,
  recent: readonly ResponseRequest[],
  hostId: string,
  nowMs: number,
): Promise<boolean> {
  const { hostsPerTenMinutes, fleetPercent } = responses.limits;
  const live = recent.filter(({ state }) => state !== 'rehearsed' && state !== 'rejected');
  const hosts = (sinceMs: number): number =>
    new Set([hostId, ...live.filter(({ createdMs }) => createdMs > sinceMs).map((request) => request.hostId)])
      .size;
  if (hosts(nowMs - tenMinutesMs) > hostsPerTenMinutes) return true;
  const enrolled = await enrolledHosts(store);
  const flagged = hosts(nowMs - hourMs);
  return flagged > fewHosts && flagged * 100 > enrolled * fleetPercent;
}

interface Response {
  readonly action: string;
  readonly state: ResponseRequest['state'];
  readonly id: string | undefined;
}

function responseEntry(login: LoggedLogin, { action, state, id }: Response, timeMs: number): EntryDraft {
  return {
    type: 'response.request',
    outcome: 'success',
    timeMs,
    actor: { kind: 'broker' },
    fields: {
      target: hostTarget(login.host),
      response: {
        action,
        state,
        verdict: login.verdict,
        login_index: String(login.entryIndex),
        ...(id === undefined ? {} : { id }),
      },
    },
  };
}

/** Bounds how many credentials are revoked because of what one host reports. Kept in memory: a restart begins anew. */
export function createRevocationLimit(clock: Clock): (hostId: string) => boolean {
  const recent = new Map<string, readonly number[]>();
  return (hostId) => {
    const nowMs = clock.nowMs();
    const within = (recent.get(hostId) ?? []).filter((atMs) => atMs > nowMs - tenMinutesMs);
    const may = within.length < revocationsPerHost;
    // The newest last, and the longest silent host first, to be forgotten.
    recent.delete(hostId);
    recent.set(hostId, may ? [...within, nowMs] : within);
    if (recent.size > mostRecent) recent.delete(recent.keys().next().value ?? '');
    return may;
  };
}
