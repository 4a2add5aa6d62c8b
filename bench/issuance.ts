import { randomBytes } from 'node:crypto';
import { credentialFields, entryBy, stillSignedIn } from '../src/broker/entries.ts';
import { SerialSource } from '../src/broker/index.ts';
import type { Change, Credential, SignedIn, Store } from '../src/broker/index.ts';
import { newKeyId } from '../src/issuance/index.ts';
import { parsePersonId, parsePrincipal, pooledRandom, systemRandom } from '../src/kernel/index.ts';

/** How many of the people and machines of an estate there are. */
export const estate = {
  people: 2000,
  keysEach: 3,
  hosts: 500,
  roles: ['deploy', 'backup', 'oracle', 'webadmin'],
};

/** People with sessions, and the changes that a broker commits for their certificates. */
export interface Issuances {
  /** What `issueSshUser` commits, signature aside: guard, row, claim, settled serials and entry. */
  next(atMs: number): Promise<Change>;
  /** Commits it and tells where its serial came from that it is settled. */
  commit(change: Change): Promise<void>;
  /** What the serials that are left go back with. */
  finish(): Promise<void>;
}

const random = pooledRandom(systemRandom);

/** Somebody of the estate, the same in every run. */
export function personAt(nth: number): {
  readonly id: string;
  readonly login: string;
  readonly keys: string[];
} {
  const login = `person${nth % estate.people}`;
  const keys = Array.from(
    { length: estate.keysEach },
    (_, key) =>
      `SHA256:${Buffer.from(`${login} key ${key}`.padEnd(32, '.')).toString('base64').replace(/=+$/, '')}`,
  );
  return { id: `corp:${login}`, login, keys };
}

/** Signs so many people in, for as long as the run lasts. */
export async function createIssuances(
  store: Store,
  caFingerprint: string,
  { people = estate.people, atMs = Date.now() } = {},
): Promise<Issuances> {
  const callers: SignedIn[] = [];
  for (let nth = 0; nth < people; nth += 500) {
    const some = Array.from({ length: Math.min(500, people - nth) }, (_, i) => signIn(store, nth + i, atMs));
    callers.push(...(await Promise.all(some)));
  }
  const serials = new SerialSource(store, caFingerprint);
  let count = 0;
  return {
    async next(issuedMs) {
      const nth = count;
      count += 1;
      // A stride through everybody: neighbours in time are different people.
      const caller = callers[(nth * 7919) % callers.length];
      if (caller === undefined) throw new Error('nobody is signed in');
      const { person } = caller;
      const { keys } = personAt(Number(person.login.slice('person'.length)));
      const seconds = BigInt(Math.floor(issuedMs / 1000));
      const role = estate.roles[nth % estate.roles.length] ?? '';
      const credential: Credential = {
        caFingerprint,
        serial: await serials.next(),
        keyId: newKeyId(random),
        personId: person.id,
        login: person.login,
        profile: 'users',
        keyType: 'ssh-ed25519',
        keyFingerprint: keys[nth % keys.length] ?? '',
        principals: [person.login, role],
        validAfter: seconds - 60n,
        validBefore: seconds + 28_800n,
        issuedMs,
      };
      return {
        guard: { ...stillSignedIn(caller), keyFingerprint: credential.keyFingerprint },
        credential,
        claim: { principals: [parsePrincipal(person.login)], personId: person.id, atMs: issuedMs },
        settledSerials: serials.takeSettled(),
        entries: [entryOf(caller, credential, nth)],
      };
    },
    async commit(change) {
      await store.commit(change);
      if (change.credential !== undefined) serials.settle(change.credential.serial);
    },
    async finish() {
      await store.commit({ ...serials.giveBack(), entries: [] });
    },
  };
}

async function signIn(store: Store, nth: number, atMs: number): Promise<SignedIn> {
  const { id, login } = personAt(nth);
  const personId = parsePersonId(id);
  const tokenHash = randomBytes(32);
  const session = {
    tokenHash,
    id: `s-${tokenHash.toString('hex').slice(0, 16)}`,
    personId,
    login,
    directory: 'corp',
    keyThumbprint: tokenHash.toString('base64url'),
    createdMs: atMs,
    expiresMs: Date.now() + 86_400_000,
  };
  await store.commit({
    seenPerson: { personId, directory: 'corp', login, atMs },
    newSession: session,
    entries: [],
  });
  const { epoch } = (await store.person(personId)) ?? { epoch: 0 };
  return {
    requestId: 'c0a8017b-6a5c-4e9f-9d1e-1f0b7c2d3e4f',
    sourceAddress: `10.20.${nth >> 8}.${nth & 255}`,
    userAgent: 'sallyport/0.1.0',
    session,
    person: { id: personId, login, directory: 'corp', groups: [], attributes: new Map() },
    epoch,
    roles: new Set(['user']),
  };
}

function entryOf(
  caller: SignedIn,
  credential: Credential,
  nth: number,
): NonNullable<Change['entries']>[number] {
  const host = nth % estate.hosts;
  const options = { critical: {}, extensions: ['permit-pty', 'permit-port-forwarding'] };
  return entryBy(caller, {
    type: 'cred.issue',
    timeMs: credential.issuedMs,
    subject: caller.person.id,
    fields: {
      cred: { ...credentialFields(credential), options },
      decision: { rule: 'people-on-duty', version: 'sha256:4f1d2c' },
      // Nothing in the broker names hosts yet; the search knows them.
      ...(nth % 100 === 0 && {
        target: { kind: 'host', host_id: `h-${host}`, name: `app${host}.example.com` },
      }),
    },
    ...(nth % 4 === 0 && { reason: `ticket OPS-${nth % 20_000} restart of the nightly job` }),
  });
}
