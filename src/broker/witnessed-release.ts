import { CodedError } from '../kernel/index.ts';
import { credentialFields, fromCaller } from './entries.ts';
import type { Rooms, SignedIn } from './rooms.ts';
import type { Credential } from './unit-of-work.ts';
import { withdrawal } from './withdraw-unreleased.ts';

/** Longer than a witness takes to answer, shorter than clients wait. */
const quorumWaitMs = 10_000;
const shownWaitMs = 3000;

/** Why nothing is issued that must wait for a quorum; undefined when one is to be expected. */
export function quorumOutOfReach({ cosigning }: Pick<Rooms, 'cosigning'>): CodedError | undefined {
  if (cosigning?.isFailing === false) return undefined;
  return new CodedError(
    'accounting.no_quorum',
    'Too few witnesses cosign the log at present; nothing was issued.',
    { next: 'Try again in a minute. If it stays, tell whoever runs the broker that witnesses are down.' },
  );
}

/**
 * Waits until a quorum of witnesses has cosigned a checkpoint that covers the issue of a certificate. Without one it is revoked,
 * and the list published: it was never handed out, and must not be good should it turn up.
 * @param issue.index of its entry. @throws CodedError `accounting.no_quorum`, `store.conflict` when somebody revoked it meanwhile, `store.…`
 */
export async function waitForQuorum(
  rooms: Rooms,
  issue: { readonly credential: Credential; readonly index: bigint },
  caller: SignedIn,
): Promise<void> {
  const { credential, index } = issue;
  if ((await rooms.cosigning?.covering(index, quorumWaitMs)) === undefined) {
    await withdraw(rooms, credential, caller);
    throw new CodedError(
      'accounting.no_quorum',
      `Too few witnesses have cosigned the log; the certificate ${credential.serial} was revoked instead of handed out.`,
      { next: 'Try again in a moment. If it stays, tell whoever runs the broker that witnesses are down.' },
    );
  }
  const { caFingerprint, serial } = credential;
  const live = await rooms.store.liveCredentials(
    { kind: 'serial', caFingerprint, serial },
    rooms.clock.nowMs(),
  );
  if (live.length > 0) return;
  throw new CodedError('store.conflict', 'The certificate was revoked before it was handed out.', {
    next: 'Ask again; if the refusal stays, ask your administrator.',
  });
}

async function withdraw(rooms: Rooms, credential: Credential, caller: SignedIn): Promise<void> {
  const atMs = rooms.clock.nowMs();
  const { fields, personal } = fromCaller(caller);
  await rooms.store.commit({
    revoke: { credentials: [credential], atMs, reason: 'not handed out: no quorum of witnesses' },
    entries: [
      {
        ...withdrawal(credential, { atMs, code: 'accounting.no_quorum' }),
        fields: { ...fields, cred: credentialFields(credential) },
        personal,
      },
    ],
  });
  rooms.counters.revoked(1);
  // The timer publishes what this could not.
  await rooms.krl.publish().catch(() => undefined);
}

/**
 * The checkpoint to show somebody who wants to see an entry in it: one that witnesses cosigned, if there is one within a few
 * seconds; else the newest that the log itself signed.
 */
export async function shownCheckpoint(
  { store, cosigning }: Pick<Rooms, 'store' | 'cosigning'>,
  index: bigint,
): Promise<string> {
  const cosigned = await cosigning?.covering(index, shownWaitMs);
  return cosigned?.note ?? (await store.logHead()).checkpoint;
}
