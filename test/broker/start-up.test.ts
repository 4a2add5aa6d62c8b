import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifierKey } from '../../src/accounting/index.ts';
import { parseEntry } from '../../src/accounting/verify/entry.ts';
import { Replay } from '../../src/accounting/verify/replay.ts';
import type { Finding } from '../../src/accounting/verify/index.ts';
import { startUp, type Rooms, type Store } from '../../src/broker/index.ts';
import {
  ca,
  credential,
  entry,
  implementations,
  origin,
  start,
  type Place,
} from '../contract/store-fixture.ts';

const dayMs = 86_400_000;

describe.each(implementations)('a start on $name', ({ newPlace }) => {
  let place: Place;
  let store: Store;
  beforeEach(async () => {
    place = newPlace();
    store = await place.open();
  });
  afterEach(async () => {
    await store.close();
    place.remove();
  });

  const hostCa = 'SHA256:hosts';
  const startAt = (nowMs: number): Promise<void> => {
    const rooms = {
      store,
      clock: { nowMs: () => nowMs },
      issuer: { caFingerprint: ca },
      krl: { resume: async () => undefined },
      hosts: { issuer: { caFingerprint: hostCa }, bundles: { digest: 'as-it-is' } },
      authority: {
        sshUserCa: { publicKey: 'ssh-ed25519 AAAA', fingerprint: ca, algorithm: 'ed25519' },
        sshHostCa: { publicKey: 'ssh-ed25519 AAAA', fingerprint: hostCa, algorithm: 'ed25519' },
        listKey: { publicKey: 'ssh-ed25519 AAAA', fingerprint: 'SHA256:lists' },
        log: { origin, verifierKey: verifierKey(origin, place.signer.publicKey) },
      },
    };
    return startUp(rooms as unknown as Rooms, { version: '1' });
  };
  /** Types of all entries, and what the verifier's replay says of them. */
  const logged = async (): Promise<{ types: readonly string[]; completeness: Finding }> => {
    const replay = new Replay(true);
    const types: string[] = [];
    for await (const { index, bytes } of store.logEntries(0n, (await store.logHead()).size)) {
      const read = parseEntry(bytes);
      if (typeof read === 'string') throw new Error(read);
      replay.entry(index, read);
      types.push(read.type);
    }
    return { types, completeness: replay.finish() };
  };

  it('names the keys of a new log first, then says that it started', async () => {
    await startAt(start);
    expect(await logged()).toMatchObject({ types: ['ca.create', 'system.start'] });
  });

  it('ends the silence of a crash before it declares what was abandoned void', async () => {
    await startAt(start);
    const { first } = await store.reserveSerials(ca, 4);
    await store.commit({
      credential: credential({ serial: first }),
      entries: [
        entry({ type: 'cred.issue', fields: { cred: { ca_fp: ca, serial: String(first) } } }),
        entry({ timeMs: start + 600_000 }),
      ],
    });
    await store.close();
    store = await place.open();
    await startAt(start + dayMs);
    const { types, completeness } = await logged();
    expect(types.slice(2)).toEqual(['cred.issue', 'log.heartbeat', 'system.start', 'cred.void']);
    expect(completeness).toMatchObject({ state: 'verified' });
  });
});
