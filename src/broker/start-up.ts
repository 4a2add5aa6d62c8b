import type { EntryDraft, EntryValue } from '../accounting/index.ts';
import { CodedError } from '../kernel/index.ts';
import type { Rooms } from './rooms.ts';
import { recordAuthorities } from './tls-authorities.ts';
import { catchUpCrls } from './tls-room.ts';
import type { SerialBlock } from './unit-of-work.ts';
import { publishTrust } from './publish-trust.ts';
import { voidOwed } from './void-serial.ts';
import { UnreleasedSearch } from './withdraw-unreleased.ts';

/**
 * Brings the house in order before the door opens. One transaction: the start is an entry, and serials that a broker which is gone
 * reserved and never released become void. Certificates that waited for a quorum when their broker died are revoked. Then the list is published when it is missing or behind.
 * @throws CodedError `revocation.other_authority`, `store.…`
 */
export async function startUp(rooms: Rooms, facts: Readonly<Record<string, EntryValue>>): Promise<void> {
  await refuseOtherAuthority(rooms);
  await rooms.store.transact(async (reads) => {
    const isNew = (await reads.logHead()).size === 0n;
    const timeMs = rooms.clock.nowMs();
    const entries: EntryDraft[] = [
      ...(isNew ? [firstUse(rooms, timeMs)] : []),
      // Before anything else that a started broker says: it ends the silence since the crash.
      {
        type: 'system.start',
        outcome: 'success',
        timeMs,
        actor: { kind: 'broker' },
        fields: { system: facts },
      },
      ...voidEntries(await reads.abandonedSerials(), timeMs),
    ];
    return { change: { settleAbandoned: true, entries }, result: undefined };
  });
  await new UnreleasedSearch(rooms).atStart();
  await rooms.krl.resume();
  await publishTrust(rooms);
  if (rooms.tls !== undefined) {
    await recordAuthorities(rooms, rooms.tls);
    await catchUpCrls(rooms.tls);
  }
}

/** Every now and then: what brokers that died beside this one left behind becomes void. Cheap when there is nothing. */
export async function settleAbandoned({ store, clock }: Pick<Rooms, 'store' | 'clock'>): Promise<void> {
  if ((await store.abandonedSerials()).length === 0) return;
  await store.transact(async (reads) => {
    const entries = voidEntries(await reads.abandonedSerials(), clock.nowMs());
    return { change: { settleAbandoned: true, entries }, result: undefined };
  });
}

function voidEntries(abandoned: readonly SerialBlock[], timeMs: number): EntryDraft[] {
  return abandoned.map(({ caFingerprint, first, last }) => ({
    type: 'cred.void',
    outcome: 'failure',
    reasonCode: 'issuance.abandoned',
    timeMs,
    actor: { kind: 'broker' },
    fields: { cred: { ca_fp: caFingerprint, serial_first: String(first), serial_last: String(last) } },
  }));
}

/** A list covers this broker's own CA: whatever another one issued could not be revoked, and would be good again. */
async function refuseOtherAuthority({ store, issuer, hosts, clock }: Rooms): Promise<void> {
  const nowSeconds = BigInt(Math.floor(clock.nowMs() / 1000));
  const other =
    (await store.authoritiesInUse(nowSeconds)).find((fingerprint) => fingerprint !== issuer.caFingerprint) ??
    (await store.hostAuthoritiesInUse(nowSeconds)).find(
      (fingerprint) => fingerprint !== hosts.issuer.caFingerprint,
    );
  if (other === undefined) return;
  throw new CodedError(
    'revocation.other_authority',
    `The database holds certificates of the CA ${other} that have not expired, and the keys here are ${issuer.caFingerprint} for people and ${hosts.issuer.caFingerprint} for hosts.`,
    {
      next: 'Put that key back. A new CA key needs a broker of its own: docs/operations/keys.md, “Rotation”.',
    },
  );
}

/** The keys that this log speaks of, as its first words. */
function firstUse({ authority }: Rooms, timeMs: number): EntryDraft {
  return {
    type: 'ca.create',
    outcome: 'success',
    timeMs,
    actor: { kind: 'operator' },
    fields: {
      ca: {
        ssh_user_ca_fp: authority.sshUserCa.fingerprint,
        ssh_host_ca_fp: authority.sshHostCa.fingerprint,
        algorithm: authority.sshUserCa.algorithm,
        list_key_fp: authority.listKey.fingerprint,
        log_key: authority.log.verifierKey,
      },
    },
  };
}

/** The last words of a clean stop: unused serials go back, and silence from here on is accounted for. */
export async function shutDown(rooms: Rooms): Promise<void> {
  await voidOwed(rooms);
  const [users, hosts] = [rooms.serials.giveBack(), rooms.hosts.serials.giveBack()];
  await rooms.store.commit({
    returnedSerials: [...(users.returnedSerials ?? []), ...(hosts.returnedSerials ?? [])],
    settledSerials: [...(users.settledSerials ?? []), ...(hosts.settledSerials ?? [])],
    entries: [
      { type: 'system.stop', outcome: 'success', timeMs: rooms.clock.nowMs(), actor: { kind: 'broker' } },
    ],
  });
}

/** Every ten minutes, so that silence differs from absence. */
export async function heartbeat(rooms: Rooms): Promise<void> {
  await rooms.store.commit({
    entries: [
      { type: 'log.heartbeat', outcome: 'success', timeMs: rooms.clock.nowMs(), actor: { kind: 'broker' } },
    ],
  });
}
