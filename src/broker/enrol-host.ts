import { allowedClaims, describeKey, newHostId, verifyProofs, type EnrolRequest } from '../hosts/index.ts';
import { CodedError, isCodedError, sha256 } from '../kernel/index.ts';
import { certifyHost } from './certify-host.ts';
import { refuseTwins } from './conflict-host.ts';
import { entryOfHost, hostFields, hostTarget } from './host-entries.ts';
import { requireEnrolled, useOnce } from './host-request.ts';
import { claimsOf, type Host, type HostToken } from './host-rows.ts';
import { releaseHostCertificates, signHostCertificates } from './issue-ssh-host.ts';
import type { Caller, Rooms } from './rooms.ts';

/** Pending hosts are rows that strangers make: so many at once, and not for ever. */
const mostPending = 200;
const pendingForMs = 86_400_000;

export interface EnrolledHost {
  readonly host: Host;
  /** One line for each host key, in the order of the request; none while an admin has not approved it. */
  readonly certificates: readonly string[];
}

/**
 * A machine becomes a host: by a token, or for an admin to approve. The same identity that asks again gets the same host, so that a
 * lost answer costs nothing. Two machines that present one host key are both refused from then on.
 * @throws CodedError `hosts.bad_token` whatever is wrong with it, `hosts.name_not_allowed`, `hosts.name_taken`, `hosts.conflict` naming
 * both, `hosts.pending_full`, `hosts.bad_signature`, `hosts.clock_skew`, `hosts.replayed`, `hosts.retired`
 */
export async function enrolHost(rooms: Rooms, request: EnrolRequest, caller: Caller): Promise<EnrolledHost> {
  // 1. It holds the private keys it speaks of. Nothing has been looked up or written before.
  verifyProofs(request, request.identity);
  const { line: identityKey, fingerprint: identityFingerprint } = describeKey(request.identity);
  await useOnce(rooms, request, identityFingerprint);

  // 2. Somebody who has asked before gets the same answer.
  const known = await rooms.store.hostByIdentity(identityFingerprint);
  if (known !== undefined) return again(rooms, known, request, caller);

  // 3. What the token lets it claim. Without one it claims freely, and gets nothing before an admin has looked.
  const nowMs = rooms.clock.nowMs();
  const token = request.token === undefined ? undefined : await goodToken(rooms, request, caller);
  const claimed = token === undefined ? request : allowedClaims(token, request);
  const host: Host = {
    id: newHostId(rooms.random),
    group: token?.group ?? 'default',
    state: token === undefined ? 'pending' : 'enrolled',
    names: [...new Set(claimed.names)],
    addresses: [...new Set(claimed.addresses)],
    identityKey,
    identityFingerprint,
    hostKeys: request.hostKeys.map((key) => describeKey(key).fingerprint),
    platform: request.platform,
    machine: request.machine,
    ...(token === undefined ? {} : { tokenId: token.id }),
    createdMs: nowMs,
    changedMs: nowMs,
  };
  if (host.names.length === 0) return refuse(rooms, host, nameNotAllowed(token), caller);

  // 4. Nobody else holds what it claims: a key that two present is a clone, a name that two want is somebody's mistake or worse.
  const holders = await rooms.store.hostClaims(claimsOf(host));
  const twin = host.hostKeys.map((key) => holders.get(`key:${key}`)).find((id) => id !== undefined);
  if (twin !== undefined) return refuseTwins(rooms, { newcomer: host, isNew: true, twinId: twin }, caller);
  const [taken] = holders;
  if (taken !== undefined) return refuse(rooms, host, nameTaken(taken[0]), caller);

  // 5. One transaction: the token is used, the host is there, its certificates and entries are recorded; then they leave.
  return token === undefined
    ? waitForApproval(rooms, host, caller)
    : enrolWith(rooms, { host, token, request }, caller);
}

async function again(rooms: Rooms, host: Host, request: EnrolRequest, caller: Caller): Promise<EnrolledHost> {
  if (host.state === 'pending') return { host, certificates: [] };
  requireEnrolled(host);
  const certificates = await certifyHost(rooms, { host, keys: request.hostKeys, rule: ruleOf(host) }, caller);
  return { host, certificates };
}

async function goodToken(rooms: Rooms, request: EnrolRequest, caller: Caller): Promise<HostToken> {
  const token = await rooms.store.hostTokenByHash(sha256(request.token ?? ''));
  const why = faultOf(token, rooms.clock.nowMs());
  if (token !== undefined && why === undefined) return token;
  return refuseToken(rooms, request, { why: why ?? 'unknown', token }, caller);
}

function faultOf(token: HostToken | undefined, nowMs: number): string | undefined {
  if (token === undefined) return 'unknown';
  if (token.droppedMs !== undefined) return 'dropped';
  if (token.expiresMs <= nowMs) return 'expired';
  return token.used >= token.maxUses ? 'used_up' : undefined;
}

async function enrolWith(
  rooms: Rooms,
  { host, token, request }: { host: Host; token: HostToken; request: EnrolRequest },
  caller: Caller,
): Promise<EnrolledHost> {
  const keys = request.hostKeys;
  const signed = await signHostCertificates(rooms, { host, keys, rule: ruleOf(host) }, caller);
  const fields = { target: hostTarget(host), host: hostFields(host) };
  try {
    const certificates = await releaseHostCertificates(rooms, signed, {
      hosts: {
        useToken: { id: token.id, atMs: host.createdMs },
        newHost: { host, claims: claimsOf(host) },
      },
      entries: [entryOfHost(caller, { type: 'host.enrol', timeMs: host.createdMs, fields })],
    });
    return { host, certificates };
  } catch (error) {
    if (!isCodedError(error, 'store.conflict')) throw error;
    // Somebody was quicker: with the token, most likely. Asked again, the steps above say what it was.
    const why = faultOf(await rooms.store.hostToken(token.id), rooms.clock.nowMs());
    if (why === undefined) throw error;
    return refuseToken(rooms, request, { why, token }, caller);
  }
}

async function waitForApproval(rooms: Rooms, host: Host, caller: Caller): Promise<EnrolledHost> {
  const forgetPendingBefore = host.createdMs - pendingForMs;
  const pending = await rooms.store.hosts({ state: 'pending', limit: mostPending });
  if (pending.filter(({ createdMs }) => createdMs >= forgetPendingBefore).length >= mostPending) {
    throw new CodedError('hosts.pending_full', `${mostPending} hosts wait for an admin already.`, {
      next: 'Use a token, or ask an admin to approve or retire those that wait.',
    });
  }
  const fields = { target: hostTarget(host), host: hostFields(host) };
  await rooms.store.commit({
    hosts: { forgetPendingBefore, newHost: { host, claims: [] } },
    entries: [entryOfHost(caller, { type: 'host.enrol', timeMs: host.createdMs, fields })],
  });
  return { host, certificates: [] };
}

/** Records the refusal, then refuses. */
async function refuse(rooms: Rooms, host: Host, error: CodedError, caller: Caller): Promise<never> {
  const { state: _none, ...fields } = hostFields(host);
  await recordRefusal(rooms, { error, fields }, caller);
  throw error;
}

async function refuseToken(
  rooms: Rooms,
  request: EnrolRequest,
  { why, token }: { why: string; token: HostToken | undefined },
  caller: Caller,
): Promise<never> {
  // One message, whatever is wrong: whoever tries tokens learns nothing from it.
  const error = new CodedError('hosts.bad_token', 'The token is not good.', {
    next: 'Ask an admin for a new one: `sallyport host token new`.',
  });
  const fields = {
    identity_fp: describeKey(request.identity).fingerprint,
    names: request.names,
    token_fault: why,
    ...(token === undefined ? {} : { token: token.id, group: token.group }),
  };
  await recordRefusal(rooms, { error, fields }, caller);
  throw error;
}

async function recordRefusal(
  rooms: Rooms,
  { error, fields }: { error: CodedError; fields: Parameters<typeof entryOfHost>[1]['fields'] },
  caller: Caller,
): Promise<void> {
  const quota = await rooms.hosts.refusalQuota.take(caller.sourceAddress);
  if (quota.outcome === 'refused' && !quota.first) throw quota.error;
  const timeMs = rooms.clock.nowMs();
  await rooms.store.commit({
    entries: [
      entryOfHost(caller, { type: 'host.enrol', timeMs, reasonCode: error.code, fields: { host: fields } }),
    ],
  });
}

function ruleOf({ group, tokenId }: Host): string {
  return tokenId === undefined ? `host-groups.${group}, approved` : `host-groups.${group}, token ${tokenId}`;
}

function nameNotAllowed(token: HostToken | undefined): CodedError {
  return new CodedError('hosts.name_not_allowed', 'None of the names of this host may be enrolled so.', {
    next:
      token === undefined
        ? 'Give the host a name (hostname -f) and ask again.'
        : `The token is for ${token.names.join(', ')}; ask an admin for one that fits.`,
  });
}

function nameTaken(claim: string): CodedError {
  const what = claim.slice(claim.indexOf(':') + 1);
  return new CodedError('hosts.name_taken', `Another host has the name or address ${what}.`, {
    next: 'If this machine replaces it, an admin retires the old one first: `sallyport host retire`.',
  });
}
