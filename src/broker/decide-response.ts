import type { EntryDraft } from '../accounting/index.ts';
import { CodedError, isCodedError, printable, toRfc3339 } from '../kernel/index.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import type { ResponseRequest, ResponseState } from './response-row.ts';
import type { Rooms, SignedIn } from './rooms.ts';

/** A way to have a host taken off the net: a command or a webhook of somebody else. The broker itself touches no machine. */
export interface Quarantine {
  readonly name: string;
  /** Hands the signed request over; resolves when the far end took it. @throws CodedError `responses.…` */
  send(request: SignedRequest): Promise<void>;
}

export interface SignedRequest {
  readonly id: string;
  /** Canonical JSON, one line: docs/formats/quarantine-request.md. */
  readonly document: string;
  /** Armoured SSHSIG over the bytes of `document` by the list key, namespace `quarantine-request@sallyport`. */
  readonly signature: string;
}

const administrators = 2;
/** What a far end that is late must not act on any more. */
const validMs = 600_000;
const listedMs = 30 * 86_400_000;

/** What was asked for within the last thirty days, newest first. Looking makes no entry: it tells nothing of people. */
export async function listResponses(
  { store, clock }: Pick<Rooms, 'store' | 'clock'>,
  limit: number,
): Promise<readonly ResponseRequest[]> {
  return store.responseRequests(clock.nowMs() - listedMs, limit);
}

/**
 * An administrator approves or rejects. The second one who approves sets it off: recorded as under way, then handed over, then recorded
 * as done or failed. One rejection ends it. @throws CodedError `responses.unknown`, `responses.not_open`, `responses.approved_already`,
 * `responses.held`, `responses.…` of the far end
 */
export async function decideResponse(
  rooms: Rooms,
  { id, approve }: { readonly id: string; readonly approve: boolean },
  caller: SignedIn,
): Promise<ResponseRequest> {
  const request = await rooms.store.responseRequest(id);
  if (request === undefined) {
    throw new CodedError('responses.unknown', `There is no request “${printable(id, 40)}”.`, {
      next: 'List them: `sallyport admin responses`.',
    });
  }
  if (!approve) return reject(rooms, request, caller);

  // 1. Only what waits, and each administrator once.
  if (request.state === 'held') {
    throw new CodedError('responses.held', 'Too many hosts were flagged at once: this request is held.', {
      next: 'Find out what flags them. Reject it, or act on the host by hand.',
    });
  }
  if (request.state !== 'waiting') throw notOpen(request);
  if (request.approvals.includes(caller.person.id)) {
    throw new CodedError('responses.approved_already', 'You approved this already.', {
      next: 'Another administrator must approve it as well.',
    });
  }
  const approvals = [...request.approvals, caller.person.id];
  const isEnough = approvals.length >= administrators;
  const approved = await move(
    rooms,
    request,
    { to: isEnough ? 'executing' : 'waiting', approvals },
    (timeMs) => decision(caller, request, 'response.approve', timeMs),
  );
  if (!isEnough) return approved;

  // 2. What was recorded as under way is handed over, and what came of it recorded.
  try {
    await rooms.responses.quarantine(request.quarantine).send(await signed(rooms, request));
  } catch (error) {
    await move(rooms, approved, { to: 'failed', approvals }, (timeMs) => outcome(request, timeMs, error));
    throw error;
  }
  return move(rooms, approved, { to: 'executed', approvals }, (timeMs) =>
    outcome(request, timeMs, undefined),
  );
}

async function reject(rooms: Rooms, request: ResponseRequest, caller: SignedIn): Promise<ResponseRequest> {
  if (request.state !== 'waiting' && request.state !== 'held') throw notOpen(request);
  return move(rooms, request, { to: 'rejected', approvals: request.approvals }, (timeMs) =>
    decision(caller, request, 'response.reject', timeMs),
  );
}

interface Move {
  readonly to: ResponseState;
  readonly approvals: ResponseRequest['approvals'];
}

/** Two who decide at once: the store lets one through. */
async function move(
  { store, clock }: Rooms,
  request: ResponseRequest,
  { to, approvals }: Move,
  entry: (timeMs: number) => Pick<Parameters<Rooms['store']['commit']>[0], 'guard' | 'entries'>,
): Promise<ResponseRequest> {
  const atMs = clock.nowMs();
  const { id, state: from } = request;
  const moved = { id, from, approvalsBefore: request.approvals.length, to, approvals, atMs };
  await store.commit({ ...entry(atMs), responses: { moved } });
  return { ...request, state: to, approvals, changedMs: atMs };
}

function decision(
  caller: SignedIn,
  request: ResponseRequest,
  type: 'response.approve' | 'response.reject',
  timeMs: number,
): Pick<Parameters<Rooms['store']['commit']>[0], 'guard' | 'entries'> {
  return {
    guard: stillSignedIn(caller),
    entries: [entryBy(caller, { type, timeMs, fields: fieldsOf(request) })],
  };
}

function outcome(
  request: ResponseRequest,
  timeMs: number,
  error: unknown,
): Pick<Parameters<Rooms['store']['commit']>[0], 'entries'> {
  const how: Pick<EntryDraft, 'outcome' | 'reasonCode'> =
    error === undefined
      ? { outcome: 'success' }
      : { outcome: 'failure', reasonCode: isCodedError(error) ? error.code : 'responses.fault' };
  const common = { type: 'response.execute', timeMs, actor: { kind: 'broker' } } as const;
  return { entries: [{ ...common, ...how, fields: fieldsOf(request) }] };
}

function fieldsOf(request: ResponseRequest): NonNullable<EntryDraft['fields']> {
  const { id, hostId, hostName, quarantine, verdict, entryIndex } = request;
  return {
    target: { kind: 'host', host_id: hostId, name: hostName },
    response: { id, action: `quarantine ${quarantine}`, verdict, login_index: String(entryIndex) },
  };
}

async function signed(rooms: Rooms, request: ResponseRequest): Promise<SignedRequest> {
  const { id, hostId, hostName, quarantine, verdict, entryIndex } = request;
  const nowMs = rooms.clock.nowMs();
  const { origin } = rooms.authority.log;
  // In the order of canonical JSON.
  const document = JSON.stringify({
    expires_at: toRfc3339(nowMs + validMs),
    host_id: hostId,
    host_name: hostName,
    id,
    issued_at: toRfc3339(nowMs),
    log: origin,
    login_index: String(entryIndex),
    quarantine,
    v: 1,
    verdict,
  });
  return { id, document, signature: await rooms.responses.sign(Buffer.from(document)) };
}

function notOpen({ state }: ResponseRequest): CodedError {
  return new CodedError('responses.not_open', `This request is ${state}: there is nothing to decide.`, {
    next: 'List them: `sallyport admin responses`.',
  });
}
