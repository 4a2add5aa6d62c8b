import { CodedError, isCodedError, type Serial } from '../kernel/index.ts';
import type { Rooms } from './rooms.ts';

/** `issuer` and `serials` are of one CA: that of users, or that of hosts. */
interface Voiding extends Pick<Rooms, 'store' | 'serials' | 'clock'> {
  readonly issuer: { readonly caFingerprint: string };
}

/** A reserved serial that no certificate will bear gets its void entry at once, so that the count has no holes. */
export async function voidSerial(rooms: Voiding, serial: Serial, cause: unknown): Promise<void> {
  const { caFingerprint } = rooms.issuer;
  try {
    await rooms.store.commit({
      // In the same transaction: a start after a crash must not find it abandoned and declare it void a second time.
      voidedSerials: [{ caFingerprint, first: serial, last: serial }],
      entries: [
        {
          type: 'cred.void',
          outcome: 'failure',
          reasonCode: cause instanceof CodedError ? cause.code : 'issuance.fault',
          timeMs: rooms.clock.nowMs(),
          actor: { kind: 'broker' },
          fields: {
            cred: {
              ca_fp: caFingerprint,
              serial_first: String(serial),
              serial_last: String(serial),
            },
          },
        },
      ],
    });
  } catch (error) {
    if (!isCodedError(error, 'store.conflict')) {
      rooms.serials.owe({ serial, cause });
      throw error;
    }
    // Accounted for already: recorded after all when the database lost its answer, or declared void by others.
    if (!isCodedError(cause, 'store.unresolved')) return rooms.serials.lose(serial, cause);
  }
  rooms.serials.settle(serial);
}

/** Tells the database of serials that it could not be told of when they failed. Cheap when there are none. */
export async function voidOwed(rooms: Voiding & Partial<Pick<Rooms, 'hosts'>>): Promise<void> {
  await voidOwedOf(rooms);
  if (rooms.hosts !== undefined) await voidOwedOf({ ...rooms, ...rooms.hosts });
}

async function voidOwedOf(rooms: Voiding): Promise<void> {
  const owed = rooms.serials.takeOwed();
  for (const [at, { serial, cause }] of owed.entries()) {
    try {
      await voidSerial(rooms, serial, cause);
    } catch (error) {
      // This one is owed again; so are the rest.
      for (const later of owed.slice(at + 1)) rooms.serials.owe(later);
      throw error;
    }
  }
}
