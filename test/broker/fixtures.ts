import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { SignedIn, Store } from '../../src/broker/index.ts';
import type { Person, Session } from '../../src/identity/index.ts';
import { systemRandom } from '../../src/kernel/index.ts';
import { createSigner, type Signer } from '../../src/keys/index.ts';

/** A CA key, by itself a fresh one, that counts what it signs, and lets something happen before it does. */
export interface CountingSigner extends Signer {
  count: number;
  before: () => Promise<void>;
}

export function countingSigner(
  privateKey: KeyObject = generateKeyPairSync('ed25519').privateKey,
): CountingSigner {
  const signer = createSigner(privateKey);
  const counting = {
    ...signer,
    count: 0,
    before: async () => undefined as void,
    async sign(message: Uint8Array) {
      counting.count += 1;
      await counting.before();
      return signer.sign(message);
    },
  };
  return counting;
}

/** The person with a new session, of an hour unless said, as the door would pass them on. */
export async function signedIn(
  store: Store,
  person: Person,
  nowMs: number,
  lifetimeMs = 3_600_000,
): Promise<SignedIn> {
  const { id: personId, directory, login } = person;
  const tokenHash = systemRandom(32);
  const session: Session = {
    tokenHash,
    id: `s-${tokenHash.toString('hex').slice(0, 12)}`,
    personId,
    login,
    directory,
    keyThumbprint: 'thumbprint',
    createdMs: nowMs,
    expiresMs: nowMs + lifetimeMs,
  };
  const seenPerson = { personId, directory, login, atMs: nowMs };
  await store.commit({ seenPerson, newSession: session, entries: [] });
  const epoch = (await store.person(personId))?.epoch ?? 0;
  const roles: SignedIn['roles'] = new Set(['user']);
  return { requestId: 'r-1', sourceAddress: '192.0.2.7', session, person, roles, epoch };
}

export interface Logged {
  readonly type: string;
  readonly outcome?: string;
  readonly reason_code?: string;
  readonly subject?: { readonly uid: string };
  readonly cred?: {
    readonly serial?: string;
    readonly serial_first?: string;
    readonly serial_last?: string;
    readonly key_id?: string;
    readonly principals?: readonly string[];
  };
  readonly decision?: {
    readonly conflict?: { readonly principal: string; readonly person: string; readonly owner: string };
  };
}

/** The entries of the log from this index on. */
export async function loggedSince(store: Store, from: bigint): Promise<Logged[]> {
  const found: Logged[] = [];
  const { size } = await store.logHead();
  for await (const { bytes } of store.logEntries(from, size))
    found.push(JSON.parse(bytes.toString()) as Logged);
  return found;
}
