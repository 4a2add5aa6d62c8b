import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { EntryDraft } from '../../src/accounting/index.ts';
import { verifyBundle } from '../../src/accounting/verify/index.ts';
import {
  exportLog,
  issueSshUser,
  SerialSource,
  type Rooms,
  type SignedIn,
  type SshUserRequest,
} from '../../src/broker/index.ts';
import { createSshUserIssuer } from '../../src/issuance/index.ts';
import { CodedError, isCodedError, systemRandom, type Principal } from '../../src/kernel/index.ts';
import { openKeyFile } from '../../src/keys/index.ts';
import { startBroker } from '../../src/main/broker.ts';
import { loadConfig } from '../../src/main/config.ts';
import { parsePolicy } from '../../src/policy/index.ts';
import { formatPublicKey, parseCertificate, publicKeyFromKeyObject } from '../../src/ssh/index.ts';
import { alice, auditor, bob, boss, startTestBroker, type TestBroker } from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';
import { countingSigner, loggedSince, signedIn, type CountingSigner, type Logged } from './fixtures.ts';

const policy = `version: 1
roles:
  admin: {groups: [builtin:admins]}
profiles:
  usual:
    who: {groups: [builtin:users]}
    principals: {from: [{attribute: uid}]}
  several:
    who: {groups: [builtin:users]}
    principals: {explicit: [deploy, backup]}
  strong:
    who: {groups: [builtin:users]}
    principals: {explicit: [deploy]}
    keys: {rsa-min-bits: 3072, types: [ssh-rsa]}
  hardware:
    who: {groups: [builtin:users]}
    principals: {explicit: [deploy]}
    keys: {require-security-key: true}
  inside:
    who: {groups: [builtin:users]}
    principals: {explicit: [deploy]}
    sources: [10.0.0.0/8]
  sundays:
    who: {groups: [builtin:users]}
    principals: {explicit: [deploy]}
    windows: [{days: [sun], from: 08:00, to: 09:00, timezone: UTC}]
  reasoned:
    who: {groups: [builtin:users]}
    principals: {explicit: [deploy]}
    reason: required
  admins:
    who: {groups: [builtin:admins]}
    principals: {explicit: [deploy]}
`;
const sealedProfile = `  sealed:
    who: {groups: [builtin:users]}
    principals: {explicit: [sealed]}
    require-witness: true
`;

// A Friday, and then real time, so that sessions and windows are where the tests want them.
const fridayMs = Date.parse('2027-01-15T12:00:00Z') - Date.now();
const clock = { nowMs: () => Date.now() + fridayMs };

const key = (type: 'ed25519' | 'rsa' = 'ed25519'): string => {
  const { publicKey } =
    type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519');
  return formatPublicKey(publicKeyFromKeyObject(publicKey), 'test');
};

let broker: TestBroker;
let rooms: Rooms;
let signer: CountingSigner;
beforeAll(async () => {
  broker = await startTestBroker({ policy, people: [boss, alice, bob, auditor], clock });
  const passphrase = readFileSync(join(broker.folder, 'secrets', 'keys.passphrase'), 'utf8').trim();
  signer = countingSigner(
    await openKeyFile(join(broker.folder, 'keys', 'ssh-user-ca.key'), 'ssh-user-ca', passphrase),
  );
  const issuer = createSshUserIssuer({ signer, random: systemRandom });
  const { store } = broker.running.rooms;
  rooms = { ...broker.running.rooms, issuer, serials: new SerialSource(store, issuer.caFingerprint) };
});
afterAll(() => broker.remove());
beforeEach(() => {
  signer.count = 0;
  signer.before = async () => undefined;
});

async function caller(login = 'alice'): Promise<SignedIn> {
  const found = await rooms.identity.find(login);
  if (found?.person === undefined) throw new Error(`nobody is called ${login}`);
  return signedIn(rooms.store, found.person, clock.nowMs());
}

const outcomeOf = (request: SshUserRequest, who: SignedIn): Promise<string> =>
  codeOf(issueSshUser(rooms, request, who));

/** What requests left in the log: a broker publishes by itself, within a second of a revocation. */
const entriesSince = async (from: bigint): Promise<Logged[]> =>
  (await loggedSince(rooms.store, from)).filter(({ type }) => type !== 'krl.publish');
const logSize = async (): Promise<bigint> => (await rooms.store.logHead()).size;
const nothing = async (): Promise<void> => undefined;

/** The entry of such a revocation: a list that holds more than the log revoked is no whole log. */
const keyRevoked = ({ fingerprint, revokedMs }: { fingerprint: string; revokedMs: number }): EntryDraft => ({
  type: 'cred.revoke',
  outcome: 'success',
  timeMs: revokedMs,
  actor: { kind: 'broker' },
  fields: { target: { kind: 'key', value: fingerprint, hits: 0 } },
  personal: { reason: 'stolen' },
});

describe('a refused request', () => {
  const cases: [code: string, request: () => Partial<SshUserRequest>, who?: () => Promise<SignedIn>][] = [
    ['ssh.unreadable_key', () => ({ publicKey: 'no key at all' })],
    ['ssh.malformed', () => ({ publicKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA x' })],
    [
      'ssh.private_key_given',
      () => ({
        publicKey: generateKeyPairSync('ed25519').privateKey.export({
          format: 'pem',
          type: 'pkcs8',
        }) as string,
      }),
    ],
    ['policy.unknown_profile', () => ({ profile: 'nosuch' })],
    ['policy.unknown_profile', () => ({ profile: '__proto__' })],
    ['policy.not_a_member', () => ({ profile: 'admins' })],
    ['policy.no_profile', () => ({}), () => caller('audrey')],
    ['policy.key_type', () => ({ profile: 'strong' })],
    ['policy.key_too_small', () => ({ profile: 'strong', publicKey: key('rsa') })],
    ['policy.security_key_required', () => ({ profile: 'hardware' })],
    ['policy.source_not_allowed', () => ({ profile: 'inside' })],
    ['policy.outside_window', () => ({ profile: 'sundays' })],
    ['policy.reason_required', () => ({ profile: 'reasoned' })],
    ['policy.reason_too_long', () => ({ reason: 'x'.repeat(1001) })],
    ['policy.ttl_too_short', () => ({ ttlSeconds: 1 })],
    ['policy.principal_not_granted', () => ({ principals: ['bob'] })],
    ['policy.principal_not_granted', () => ({ principals: ['alice', 'bob'] })],
    ['policy.no_principals', () => ({ principals: [] })],
    ['policy.extension_not_granted', () => ({ extensions: ['permit-pty'] })],
    ['policy.too_many_principals', () => ({ principals: Array.from({ length: 2000 }, (_, at) => `p${at}`) })],
    [
      'policy.principal_taken',
      () => ({ profile: 'usual' }),
      async () => {
        const owner = (await caller('bob')).person.id;
        const claim = { principals: ['boss' as Principal], personId: owner, atMs: clock.nowMs() };
        await rooms.store.commit({ claim, entries: [] });
        return caller('boss');
      },
    ],
    [
      'identity.locked_out',
      () => ({}),
      async () => {
        const locked = await caller('bob');
        const lock = { personId: locked.person.id, atMs: clock.nowMs(), reason: 'left' };
        await rooms.store.commit({ lock, entries: [] });
        return locked;
      },
    ],
    [
      'identity.locked_out',
      () => ({}),
      async () => {
        const known = await caller();
        return { ...known, person: { ...known.person, id: `${known.person.id}0` as typeof known.person.id } };
      },
    ],
  ];

  it.each(cases)('for %s costs no signature and no serial, and is recorded', async (code, request, who) => {
    const by = await (who ?? caller)();
    const before = await logSize();
    const reserved = await rooms.store.abandonedSerials();
    expect(await outcomeOf({ publicKey: key(), ...request() }, by)).toBe(code);
    expect(signer.count).toBe(0);
    expect(await rooms.store.abandonedSerials()).toEqual(reserved);
    const [entry, ...more] = await entriesSince(before);
    expect(more).toEqual([]);
    expect(entry).toMatchObject({ type: 'cred.issue_denied', outcome: 'denied', reason_code: code });
  });

  it.each([
    ['witnesses do not answer', { isFailing: true }],
    ['there are no witnesses', undefined],
  ])('because %s costs no signature and no serial, and is recorded', async (_why, state) => {
    const by = await caller();
    const before = await logSize();
    const reserved = await rooms.store.abandonedSerials();
    const cosigning: Rooms['cosigning'] = state && {
      ...state,
      newest: undefined,
      quorum: 'G',
      states: () => [],
      look: nothing,
      covering: async () => undefined,
    };
    const sealed = parsePolicy(policy + sealedProfile, 'policy.yaml');
    const request = { publicKey: key(), profile: 'sealed' };
    const unwitnessed = { ...rooms, cosigning, policy: () => sealed };
    expect(await codeOf(issueSshUser(unwitnessed, request, by))).toBe('accounting.no_quorum');
    expect(signer.count).toBe(0);
    expect(await rooms.store.abandonedSerials()).toEqual(reserved);
    expect(await entriesSince(before)).toMatchObject([
      { type: 'cred.issue_denied', outcome: 'denied', reason_code: 'accounting.no_quorum' },
    ]);
  });

  it('for a revoked key costs no signature and no serial', async () => {
    const publicKey = key();
    const by = await caller();
    const { credential } = await issueSshUser(rooms, { publicKey }, by);
    const revokeKey = { fingerprint: credential.keyFingerprint, revokedMs: clock.nowMs(), reason: 'stolen' };
    await rooms.store.commit({ revokeKey, entries: [keyRevoked(revokeKey)] });
    signer.count = 0;
    expect(await outcomeOf({ publicKey }, by)).toBe('revocation.key_revoked');
    expect(signer.count).toBe(0);
  });

  it.each([
    ['users', (): string => formatPublicKey(rooms.issuer.caKey, '')],
    ['hosts', (): string => formatPublicKey(rooms.hosts.issuer.caKey, '')],
  ])('for the key of our own CA of %s costs no signature and no serial', async (_, publicKey) => {
    const reserved = await rooms.store.abandonedSerials();
    signer.count = 0;
    expect(await outcomeOf({ publicKey: publicKey() }, await caller())).toBe('issuance.authority_key');
    expect(signer.count).toBe(0);
    expect(await rooms.store.abandonedSerials()).toEqual(reserved);
  });

  it('covers every refusal that policy knows for a request of this kind', () => {
    const source = join(import.meta.dirname, '..', '..', 'src', 'policy');
    const known = ['checks.ts', 'choose-principals.ts', 'decide.ts']
      .map((file) => readFileSync(join(source, file), 'utf8'))
      .flatMap((text) => [...text.matchAll(/'(policy\.[a-z_]+)'/g)].map(([, code]) => code ?? ''));
    expect(known.length).toBeGreaterThan(15);
    const tried = new Set(cases.map(([code]) => code));
    // Attributes of built-in people have the grammar of logins; nobody shares one.
    const elsewhere = ['policy.bad_principal', 'policy.principal_shared', 'policy.principal_protected'];
    expect([...new Set(known)].filter((code) => !tried.has(code) && !elsewhere.includes(code))).toEqual([]);
  });
});

describe('a certificate that fails after its serial was reserved', () => {
  const failures: [what: string, code: string, signatures: number, over: () => Partial<Rooms>][] = [
    [
      'lint refuses it',
      'issuance.lint',
      0,
      () => ({
        issuer: {
          ...rooms.issuer,
          lint: (grant, subject, now) => rooms.issuer.lint({ ...grant, principals: [] }, subject, now),
        },
      }),
    ],
    [
      'the signature fails',
      'keys.bad_signature',
      1,
      () => {
        signer.before = () => Promise.reject(new CodedError('keys.bad_signature', 'x'));
        return {};
      },
    ],
    [
      'the signer breaks',
      'fault',
      1,
      () => {
        signer.before = () => Promise.reject(new Error('hardware'));
        return {};
      },
    ],
  ];
  it.each(failures)(
    'because %s has a void entry, and nothing is released',
    async (_what, code, signatures, over) => {
      const by = await caller();
      const before = await logSize();
      const own = { ...rooms, ...over() };
      const failed = await issueSshUser(own, { publicKey: key() }, by).then(
        () => 'issued',
        (error: unknown) => (isCodedError(error) ? error.code : 'fault'),
      );
      expect([failed, signer.count]).toEqual([code, signatures]);
      const entries = await entriesSince(before);
      expect(entries.map(({ type }) => type)).toEqual(['cred.void']);
      const [{ cred } = { cred: undefined }] = entries;
      expect(cred?.serial_first).toBe(cred?.serial_last);
      const serial = BigInt(cred?.serial_first ?? 0);
      const abandoned = await rooms.store.abandonedSerials();
      expect(abandoned.some(({ first, last }) => first <= serial && serial <= last)).toBe(false);
    },
  );

  it.each<[string, (by: SignedIn) => Promise<unknown>]>([
    [
      'the person is revoked',
      ({ person }) => rooms.store.commit({ expel: { people: [person.id], atMs: 1000 }, entries: [] }),
    ],
    ['the session ends', ({ session }) => rooms.store.commit({ endSession: session.tokenHash, entries: [] })],
    ['everything before now is revoked', () => rooms.store.commit({ voidDecisions: true, entries: [] })],
  ])('because %s while it is signed is not released', async (_what, happens) => {
    const by = await caller();
    signer.before = async () => void (await happens(by));
    const before = await logSize();
    expect(await outcomeOf({ publicKey: key() }, by)).toBe('store.conflict');
    expect((await entriesSince(before)).map(({ type }) => type)).toEqual(['cred.void', 'cred.issue_denied']);
  });

  it('because the key is revoked while it is signed is not released', async () => {
    const by = await caller();
    const publicKey = key();
    const { credential } = await issueSshUser(rooms, { publicKey }, by);
    const revokeKey = { fingerprint: credential.keyFingerprint, revokedMs: clock.nowMs(), reason: 'x' };
    signer.before = async () =>
      void (await rooms.store.commit({ revokeKey, entries: [keyRevoked(revokeKey)] }));
    expect(await outcomeOf({ publicKey }, by)).toBe('store.conflict');
  });
});

describe('a granted request', () => {
  it('costs one signature, and its entry is durable before the certificate is there', async () => {
    const by = await caller();
    const before = await logSize();
    const issued = await issueSshUser(
      rooms,
      { publicKey: key(), profile: 'several', principals: ['backup'] },
      by,
    );
    expect(signer.count).toBe(1);
    const certificate = parseCertificate(issued.certificate);
    expect(certificate.principals).toEqual(['backup']);
    const [entry, ...more] = await entriesSince(before);
    expect(more).toEqual([]);
    expect(entry).toMatchObject({
      type: 'cred.issue',
      cred: { serial: String(certificate.serial), key_id: certificate.keyId, principals: ['backup'] },
    });
  });

  it('gives a hundred at once a hundred serials without a hole', async () => {
    const by = await caller();
    const before = await logSize();
    const issued = await Promise.all(
      Array.from({ length: 100 }, () => issueSshUser(rooms, { publicKey: key() }, by)),
    );
    const serials = issued.map(({ credential }) => credential.serial).sort((a, b) => Number(a - b));
    expect(new Set(serials).size).toBe(100);
    const logged = (await entriesSince(before)).map(({ cred }) => BigInt(cred?.serial ?? 0));
    expect(logged.sort((a, b) => Number(a - b))).toEqual(serials);
  });
});

describe('after all of this and a crash', () => {
  it('the log still verifies: each serial is issued or void, and none twice', async () => {
    // No farewell: the next process finds what this one had reserved.
    await rooms.store.close();
    await broker.running.stop().catch(nothing);
    const again = await startBroker({
      config: loadConfig(broker.configFile),
      passphrase: readFileSync(join(broker.folder, 'secrets', 'keys.passphrase'), 'utf8').trim(),
      log: pino({ level: 'silent' }),
      version: 'test',
      clock,
    });
    try {
      const found = await again.rooms.identity.find('boss');
      if (found?.person === undefined) throw new Error('no boss');
      const chunks: Buffer[] = [];
      const by: SignedIn = {
        requestId: 'r-2',
        sourceAddress: '192.0.2.7',
        person: found.person,
        roles: new Set(['admin']),
        epoch: (await again.rooms.store.person(found.id))?.epoch ?? 0,
        session: {
          tokenHash: Buffer.alloc(32),
          id: 's-1',
          personId: found.id,
          login: 'boss',
          directory: 'builtin',
          keyThumbprint: 'x',
          createdMs: clock.nowMs(),
          expiresMs: clock.nowMs() + 3_600_000,
        },
      };
      const seenPerson = { personId: found.id, directory: 'builtin', login: 'boss', atMs: clock.nowMs() };
      await again.rooms.store.commit({ seenPerson, newSession: by.session, entries: [] });
      for await (const chunk of await exportLog(again.rooms, {}, by)) chunks.push(chunk);
      const file = join(broker.folder, 'log.bundle');
      writeFileSync(file, Buffer.concat(chunks));
      const verdict = await verifyBundle(file, {
        verifierKey: readFileSync(broker.logKeyFile, 'utf8').trim(),
      });
      expect([verdict.integrity.state, verdict.completeness]).toEqual([
        'verified',
        expect.objectContaining({ state: 'verified' }),
      ]);
      expect(Buffer.concat(chunks).toString('latin1')).toContain('issuance.abandoned');
    } finally {
      await again.stop();
    }
  });
});
