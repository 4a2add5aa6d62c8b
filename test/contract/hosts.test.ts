import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  claimsOf,
  type Host,
  type HostCertificate,
  type HostsChange,
  type HostToken,
  type Store,
} from '../../src/broker/index.ts';
import { newHostId } from '../../src/hosts/index.ts';
import { parseKeyId, systemRandom } from '../../src/kernel/index.ts';
import { codeOf, entry, implementations, start, type Place } from './store-fixture.ts';

const hostCa = 'SHA256:the-host-ca';

function token(over: Partial<HostToken> = {}): HostToken {
  return {
    id: `tk-${randomBytes(8).toString('hex')}`,
    hash: randomBytes(32),
    group: 'web',
    names: ['web-*.example.com'],
    addresses: [],
    maxUses: 1,
    used: 0,
    createdMs: start,
    expiresMs: start + 1000,
    createdBy: 'boss',
    ...over,
  };
}

function newHost(over: Partial<Host> = {}): Host {
  const name = randomBytes(4).toString('hex');
  return {
    id: newHostId(systemRandom),
    group: 'web',
    state: 'enrolled',
    names: [`${name}.example.com`, name],
    addresses: ['192.0.2.7'].slice(0, over.addresses?.length ?? 0),
    identityKey: 'ssh-ed25519 AAAA',
    identityFingerprint: `SHA256:${name}`,
    hostKeys: [`SHA256:key-of-${name}`],
    platform: 'linux',
    machine: 'aa',
    createdMs: start,
    changedMs: start,
    ...over,
  };
}

describe.each(implementations)('hosts, on $name', ({ newPlace }) => {
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
  const change = (hosts: HostsChange): Promise<unknown> => store.commit({ hosts, entries: [entry()] });
  const enrol = async (host: Host): Promise<Host> => {
    await change({ newHost: { host, claims: claimsOf(host) } });
    return host;
  };
  const issue = async (host: Host, over: Partial<HostCertificate> = {}): Promise<HostCertificate> => {
    const { first } = await store.reserveSerials(hostCa, 1);
    const certificate: HostCertificate = {
      caFingerprint: hostCa,
      serial: first,
      keyId: parseKeyId(`sp-${first}`),
      hostId: host.id,
      keyType: 'ssh-ed25519',
      keyFingerprint: 'SHA256:k',
      principals: host.names,
      validAfter: BigInt(start / 1000) - 60n,
      validBefore: BigInt(start / 1000) + 3600n,
      issuedMs: start,
      ...over,
    };
    await change({ certificates: [certificate] });
    return certificate;
  };
  const contact = (host: Host, over: Partial<NonNullable<HostsChange['contact']>> = {}): Promise<unknown> =>
    change({
      contact: {
        host: host.id,
        machine: 'aa',
        step: 1n,
        contactMs: start,
        installed: 3n,
        checks: ['ok'],
        sshd: 'OpenSSH_9.2p1',
        ...over,
      },
    });

  it('are found by id and by identity, as they were written', async () => {
    const host = await enrol(newHost({ tokenId: 'tk-1' }));
    expect(await store.host(host.id)).toEqual(host);
    expect(await store.hostByIdentity(host.identityFingerprint)).toEqual(host);
    expect(await store.host(newHostId(systemRandom))).toBeUndefined();
    expect(await store.hostByIdentity('SHA256:nobody')).toBeUndefined();
    const other = await enrol(newHost());
    const several = await store.hostsById([other.id, newHostId(systemRandom), host.id, host.id]);
    expect(several).toEqual(
      new Map([
        [host.id, host],
        [other.id, other],
      ]),
    );
    expect(await store.hostsById([])).toEqual(new Map());
    expect(await codeOf(enrol(newHost({ identityFingerprint: host.identityFingerprint })))).toBe(
      'store.conflict',
    );
  });

  it('hold their names and keys alone, until they retire', async () => {
    const [first, second] = [await enrol(newHost()), newHost()];
    const taken = { ...second, names: [...second.names, first.names[0] ?? ''] };
    expect(await codeOf(enrol(taken))).toBe('store.conflict');
    expect(await store.host(second.id)).toBeUndefined();
    expect(await codeOf(enrol({ ...second, hostKeys: first.hostKeys }))).toBe('store.conflict');
    // One that waits, or that begins in conflict, takes nothing from anybody.
    await enrol({ ...newHost({ state: 'pending' }), names: first.names });
    await enrol({ ...newHost({ state: 'conflict' }), hostKeys: first.hostKeys });
    expect(await store.hostClaims([...claimsOf(first), 'name:free'])).toEqual(
      new Map(claimsOf(first).map((claim) => [claim, first.id])),
    );
    await change({ moves: [{ id: first.id, from: ['enrolled'], to: 'retired', atMs: start + 1 }] });
    expect(await store.hostClaims(claimsOf(first))).toEqual(new Map());
    await enrol({ ...second, hostKeys: first.hostKeys });
    const again = { moves: [{ id: first.id, from: ['enrolled'], to: 'retired', atMs: start + 2 } as const] };
    expect(await codeOf(change(again))).toBe('store.conflict');
  });

  it('go from one state to another with what is given, and keep the rest', async () => {
    const host = await enrol(newHost({ state: 'pending' }));
    const claims = ['name:new.example.com'];
    const move = { id: host.id, from: ['pending'], to: 'enrolled', atMs: start + 5 } as const;
    await change({ moves: [{ ...move, group: 'db', names: ['new.example.com'], claims }] });
    const moved = {
      ...host,
      state: 'enrolled',
      group: 'db',
      names: ['new.example.com'],
      changedMs: start + 5,
    };
    expect(await store.host(host.id)).toEqual(moved);
    const why = { why: 'two of them', with: newHostId(systemRandom) };
    await change({
      moves: [{ ...move, from: ['enrolled'], to: 'conflict', atMs: start + 6, conflict: why }],
    });
    expect(await store.host(host.id)).toMatchObject({
      state: 'conflict',
      conflict: why.why,
      conflictWith: why.with,
    });
    await change({ moves: [{ ...move, from: ['conflict'], machine: '', hostKeys: ['SHA256:n'] }] });
    expect(await store.host(host.id)).toEqual({ ...moved, machine: '', hostKeys: ['SHA256:n'] });
    // Of two moves of one change, the second needs what the first lets go.
    const other = await enrol(newHost());
    const swap = [
      { id: other.id, from: ['enrolled'], to: 'retired', atMs: start } as const,
      { ...move, from: ['enrolled'] as const, claims: claimsOf(other) },
    ];
    await change({ moves: swap });
    expect((await store.hostClaims(claimsOf(other))).size).toBe(claimsOf(other).length);
  });

  it('use a token as often as it is good for, and not beyond its end', async () => {
    const made = token({ maxUses: 2 });
    await change({ newToken: made });
    expect(await store.hostTokenByHash(made.hash)).toEqual(made);
    const use = (atMs = start): Promise<string> => codeOf(change({ useToken: { id: made.id, atMs } }));
    expect((await Promise.all([use(), use(), use()])).sort()).toEqual(['done', 'done', 'store.conflict']);
    expect((await store.hostToken(made.id))?.used).toBe(2);
    const [late, dropped] = [token(), token({ createdMs: start + 1 })];
    await change({ newToken: late });
    await change({ newToken: dropped });
    await change({ dropToken: { id: dropped.id, atMs: start } });
    expect(await codeOf(change({ useToken: { id: late.id, atMs: start + 1000 } }))).toBe('store.conflict');
    expect(await codeOf(change({ useToken: { id: dropped.id, atMs: start } }))).toBe('store.conflict');
    expect(await codeOf(change({ dropToken: { id: dropped.id, atMs: start } }))).toBe('store.conflict');
    expect((await store.hostTokens(10)).map(({ id }) => id)[0]).toBe(dropped.id);
    expect(await store.hostTokens(1)).toHaveLength(1);
  });

  it('have certificates of a dense count of their own', async () => {
    const host = await enrol(newHost());
    const [one, two] = [await issue(host), await issue(host)];
    expect([one.serial, two.serial]).toEqual([1n, 2n]);
    expect(await store.liveHostCertificates(host.id, start)).toEqual([one, two]);
    expect(await codeOf(change({ certificates: [one] }))).not.toBe('done');
    expect(await codeOf(change({ certificates: [{ ...one, serial: 99n as typeof one.serial }] }))).toBe(
      'store.conflict',
    );
    // Released: never abandoned, and never void.
    const voided = [{ caFingerprint: hostCa, first: one.serial, last: one.serial }];
    expect(await codeOf(store.commit({ voidedSerials: voided, entries: [entry()] }))).toBe('store.conflict');
    await store.close();
    store = await place.open();
    expect(await store.abandonedSerials()).toEqual([]);
    expect(await store.hostAuthoritiesInUse(BigInt(start / 1000))).toEqual([hostCa]);
    expect(await store.hostAuthoritiesInUse(BigInt(start / 1000) + 3601n)).toEqual([]);
    expect(await store.authoritiesInUse(0n)).toEqual([]);
  });

  it('die with their certificates, which is an act of revocation', async () => {
    const [host, other] = [await enrol(newHost()), await enrol(newHost())];
    const [one, long] = [await issue(host), await issue(host, { validBefore: BigInt(start / 1000) + 9999n })];
    const kept = await issue(other);
    const acts = await store.revocationCount();
    await change({ revokeCertificates: { hosts: [host.id], atMs: start + 1, reason: 'retired' } });
    expect(await store.revocationCount()).toBe(acts + 1);
    expect(await store.liveHostCertificates(host.id, start)).toEqual([]);
    expect(await store.liveHostCertificates(other.id, start)).toEqual([kept]);
    const listed = async (after: bigint): Promise<bigint[]> => [
      ...(await store.revokedHostSerials(hostCa, after)),
    ];
    expect(await listed(0n)).toEqual([one.serial, long.serial]);
    expect(await listed(BigInt(start / 1000) + 3601n)).toEqual([long.serial]);
    expect([...(await store.revokedSerials(hostCa, 0n))]).toEqual([]);
  });

  it('speak in rising steps, from one machine', async () => {
    const host = await enrol(newHost({ machine: '' }));
    await contact(host, { lastLoginMs: start - 5 });
    expect(await store.host(host.id)).toMatchObject({
      machine: 'aa',
      contact: {
        step: 1n,
        contactMs: start,
        installed: 3n,
        installedMs: start,
        checks: ['ok'],
        lastLoginMs: start - 5,
      },
    });
    await contact(host, { step: 2n, contactMs: start + 10, checks: ['no_krl', 'stale'] });
    await contact(host, { step: 7n, contactMs: start + 20, installed: 4n });
    expect((await store.host(host.id))?.contact).toEqual({
      step: 7n,
      contactMs: start + 20,
      installed: 4n,
      installedMs: start + 20,
      checks: ['ok'],
      sshd: 'OpenSSH_9.2p1',
      lastLoginMs: start - 5,
    });
    expect(await codeOf(contact(host, { step: 7n }))).toBe('store.conflict');
    expect(await codeOf(contact(host, { step: 8n, machine: 'bb' }))).toBe('store.conflict');
    expect((await store.host(host.id))?.contact?.step).toBe(7n);
    const move = {
      id: host.id,
      from: ['enrolled'],
      to: 'enrolled',
      atMs: start,
      machine: '',
      forgetStep: true,
    } as const;
    await change({ moves: [move] });
    await contact(host, { step: 1n, machine: 'bb' });
    await change({ moves: [{ id: host.id, from: ['enrolled'], to: 'conflict', atMs: start }] });
    expect(await codeOf(contact(host, { step: 9n, machine: 'bb' }))).toBe('store.conflict');
  });

  it('are listed by id, state and group, and counted', async () => {
    const made = [
      await enrol(newHost()),
      await enrol(newHost({ group: 'db' })),
      await enrol(newHost({ state: 'pending', createdMs: start - 10 })),
    ].sort((a, b) => (a.id < b.id ? -1 : 1));
    const ids = async (query: Parameters<Store['hosts']>[0]): Promise<string[]> =>
      (await store.hosts(query)).map(({ id }) => id);
    expect(await ids({ limit: 10 })).toEqual(made.map(({ id }) => id));
    const [first] = made;
    expect(await ids({ limit: 1 })).toEqual([first?.id]);
    expect(await ids({ limit: 10, ...(first && { after: first.id }) })).toEqual(
      made.slice(1).map(({ id }) => id),
    );
    expect(await store.hosts({ limit: 10, state: 'enrolled', group: 'db' })).toHaveLength(1);
    const counts = (await store.hostCounts()).map(({ state, group, count }) => `${state} ${group} ${count}`);
    expect(counts.sort()).toEqual(['enrolled db 1', 'enrolled web 1', 'pending web 1']);
    const [web] = await store.hosts({ limit: 1, state: 'enrolled', group: 'web' });
    expect(await store.hostLag('web', 3n, start)).toEqual({ behind: 1, stale: 1 });
    if (web !== undefined) await contact(web);
    expect(await store.hostLag('web', 3n, start)).toEqual({ behind: 0, stale: 0 });
    expect(await store.hostLag('web', 4n, start + 1)).toEqual({ behind: 1, stale: 1 });
    await change({ forgetPendingBefore: start });
    expect(await store.hosts({ limit: 10, state: 'pending' })).toEqual([]);
  });

  it('remember the digest of what bundles hold', async () => {
    expect(await store.trustDigest()).toBeUndefined();
    await change({ trustDigest: 'a' });
    await change({ trustDigest: 'b' });
    expect(await store.trustDigest()).toBe('b');
  });
});
