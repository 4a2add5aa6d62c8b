import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyBundle } from '../../src/accounting/verify/index.ts';
import { lockPerson, openSession } from '../../src/broker/index.ts';
import { generateProofKey, signProof } from '../../src/doors/client/index.ts';
import { setDisabled } from '../../src/identity/index.ts';
import { isCodedError, systemRandom } from '../../src/kernel/index.ts';
import { formatPublicKey, parseCertificate, parseKrl, publicKeyFromKeyObject } from '../../src/ssh/index.ts';
import {
  alice,
  auditor,
  bob,
  boss,
  startTestBroker,
  type LoggedInClient,
  type TestBroker,
} from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';

const second = { login: 'second', groups: ['admins'], password: 'canary-second-4Jt9Qa' };
const twin = { login: 'al.ice', groups: ['twins'], password: 'canary-twin-2Gm6Xs' };
let broker: TestBroker;
beforeAll(async () => {
  broker = await startTestBroker({ people: [boss, second, alice, bob, auditor, twin] });
});
afterAll(() => broker.stop());

const newKey = (): string =>
  formatPublicKey(publicKeyFromKeyObject(generateKeyPairSync('ed25519').publicKey), 'test');

describe('the main job over real HTTPS', () => {
  it('turns a password into a certificate for the own name, and the log says so', async () => {
    const client = await broker.loggedIn(alice);
    const signed = await client.sign(newKey(), {});
    const certificate = parseCertificate(signed.certificate);
    expect(certificate.principals).toEqual(['alice']);
    expect(certificate.serial).toBe(signed.serial);
    const own = await client.searchLog({ serial: String(signed.serial) });
    expect(own.items.map(({ entry }) => (entry as { type: string }).type)).toEqual(['cred.issue']);
  });

  it('narrows to what was asked, and never widens', async () => {
    const client = await broker.loggedIn(alice);
    const signed = await client.sign(newKey(), { ttlSeconds: 600 });
    const certificate = parseCertificate(signed.certificate);
    expect(certificate.validBefore - certificate.validAfter).toBe(660n);
    expect(await codeOf(client.sign(newKey(), { principals: ['bob'] }))).toBe('policy.principal_not_granted');
    expect(await codeOf(client.sign(newKey(), { principals: ['root'] }))).toMatch(/^policy\.principal_/);
    expect(await codeOf(client.sign(newKey(), { profile: 'nosuch' }))).toBe('policy.unknown_profile');
  });

  it('refuses a wrong password and an unknown name in the same words', async () => {
    const attempts = [];
    for (const login of ['bob', 'nobody-here']) {
      const client = broker.client();
      try {
        await client.login({ login, password: 'wrong-password' }, generateProofKey());
      } catch (error) {
        if (!isCodedError(error)) throw error;
        attempts.push([error.code, error.message, error.next]);
      }
    }
    expect(attempts).toHaveLength(2);
    expect(attempts[0]).toEqual(attempts[1]);
    expect(attempts[0]?.[0]).toBe('identity.login_refused');
  });

  it('revokes a person: session dead, certificate in the list before the answer, login refused until unlocked', async () => {
    const admin = await broker.loggedIn(boss);
    const victim = await broker.loggedIn(bob);
    const signed = await victim.sign(newKey(), {});
    const target = { kind: 'person', value: 'bob' } as const;
    const before = parseKrl(await admin.krl());

    const rehearsed = await admin.revoke({ target, reason: 'left', lock: true, apply: false });
    expect(rehearsed.credentials.map(({ serial }) => serial)).toContain(signed.serial);
    expect(parseKrl(await admin.krl()).version).toBe(before.version);
    // An entry is for ever: whoever was meant stands in it by id, not by name.
    const looks = (await admin.searchLog({ type: 'log.read', person: 'bob' })).items.map(
      ({ entry }) => entry as { subject: { uid: string }; target: { kind: string; value: string } },
    );
    const looked = looks.find(({ target: { kind } }) => kind === 'revoke person');
    expect(looked?.target.value).toBe(looked?.subject.uid);
    expect(looked?.target.value).toMatch(/^builtin:/);

    const done = await admin.revoke({ target, reason: 'left', lock: true, apply: true });
    expect(done.sessions).toBe(1);
    const krl = parseKrl(await admin.krl());
    expect(krl.version).toBeGreaterThan(before.version);
    const certificate = parseCertificate(signed.certificate);
    const asked = {
      key: certificate.key.blob,
      caKey: certificate.caKey.blob,
      serial: certificate.serial,
      keyId: certificate.keyId,
    };
    expect(krl.isRevoked(asked)).toEqual({ revoked: true, by: 'serial' });
    expect(await codeOf(victim.sign(newKey(), {}))).toBe('identity.session_unknown');
    expect(await codeOf(broker.loggedIn(bob))).toBe('identity.locked_out');

    await admin.setLock('unlock', { person: 'bob', reason: 'came back' });
    expect(await codeOf(broker.loggedIn(bob))).toBe('accepted');
  });

  it('meets the same record by decimal, hex and colon form, and changes nothing for unknown targets', async () => {
    const admin = await broker.loggedIn(boss);
    const client = await broker.loggedIn(alice);
    const { serial } = await client.sign(newKey(), {});
    const hex = serial.toString(16);
    const colons = hex.padStart(4, '0').replace(/(..)(?=.)/g, '$1:');
    for (const value of [String(serial), `0x${hex}`, colons]) {
      const hit = await admin.revoke({
        target: { kind: 'serial', value },
        reason: 'x',
        lock: false,
        apply: false,
      });
      expect(hit.credentials.map((credential) => credential.serial)).toEqual([serial]);
    }
    const { version } = parseKrl(await admin.krl());
    const unknown = [
      ['serial', '999999'],
      ['person', 'nobody-here'],
      ['key', `SHA256:${'A'.repeat(43)}`],
      ['key_id', 'sp-0000000000000000'],
      ['before', '2001-01-01T00:00:00Z'],
    ] as const;
    for (const [kind, value] of unknown) {
      const asked = { target: { kind, value }, reason: 'x', lock: false, apply: true };
      expect(await codeOf(admin.revoke(asked)), kind).toBe('revocation.unknown_target');
    }
    expect(parseKrl(await admin.krl()).version).toBe(version);
  });

  it('never certifies a revoked key again', async () => {
    const admin = await broker.loggedIn(boss);
    const client = await broker.loggedIn(alice);
    const key = newKey();
    await client.sign(key, {});
    await admin.revoke({ target: { kind: 'key', value: key }, reason: 'stolen', lock: false, apply: true });
    // The session went with it: whoever holds the key may hold the session.
    expect(await codeOf(client.sign(newKey(), {}))).toBe('identity.session_unknown');
    const again = await broker.loggedIn(alice);
    expect(await codeOf(again.sign(key, {}))).toBe('revocation.key_revoked');
    expect(await codeOf(again.sign(newKey(), {}))).toBe('accepted');
  });

  it('gives a certificate in flight no way past a revocation', async () => {
    const admin = await broker.loggedIn(boss);
    const client = await broker.loggedIn(alice);
    const signing = Array.from({ length: 24 }, () =>
      client.sign(newKey(), {}).catch((error: unknown) => error),
    );
    const revoking = admin.revoke({
      target: { kind: 'person', value: 'alice' },
      reason: 'race',
      lock: false,
      apply: true,
    });
    const answers = await Promise.all(signing);
    await revoking;
    const krl = parseKrl(await admin.krl());
    const released = answers.filter((answer) => !(answer instanceof Error)) as { certificate: string }[];
    for (const { certificate } of released) {
      const { key, caKey, serial, keyId } = parseCertificate(certificate);
      expect(krl.isRevoked({ key: key.blob, caKey: caKey.blob, serial, keyId }).revoked).toBe(true);
    }
  });

  it('exports a log that verifies offline, and an auditor may read but not revoke', async () => {
    const client = await broker.loggedIn(auditor);
    const chunks: Buffer[] = [];
    for await (const chunk of await client.exportLog({})) chunks.push(chunk);
    const file = join(broker.folder, 'log.bundle');
    writeFileSync(file, Buffer.concat(chunks));
    const verdict = await verifyBundle(file, { verifierKey: readFileSync(broker.logKeyFile, 'utf8').trim() });
    expect([verdict.integrity.state, verdict.completeness.state, verdict.exitCode]).toEqual([
      'verified',
      'verified',
      0,
    ]);
    const asked = {
      target: { kind: 'person', value: 'alice' },
      reason: 'x',
      lock: false,
      apply: true,
    } as const;
    expect(await codeOf(client.revoke(asked))).toBe('http.not_permitted');
  });

  it('shows a person only their own entries', async () => {
    const client = await broker.loggedIn(alice);
    const { person } = await client.session();
    const seen = await client.searchLog({});
    expect(seen.items.length).toBeGreaterThan(3);
    for (const { entry } of seen.items) {
      const { actor, subject } = entry as { actor?: { uid?: string }; subject?: { uid?: string } };
      expect([actor?.uid, subject?.uid]).toContain(person.id);
    }
    expect(await codeOf(client.searchLog({ person: 'boss' }))).toBe('policy.not_permitted');
  });

  it('records a key that cannot be read as a refusal', async () => {
    const client = await broker.loggedIn(alice);
    expect(await codeOf(client.sign('ssh-ed25519 AAAA', {}))).toMatch(/^ssh\./);
    const [latest] = (await client.searchLog({ type: 'cred.issue_denied' })).items;
    expect((latest?.entry as { reason_code?: string } | undefined)?.reason_code).toMatch(/^ssh\./);
  });

  it('gives no second person a name that is taken, in any case, and the log names both', async () => {
    const first = await broker.loggedIn(alice);
    await first.sign(newKey(), {});
    const { person } = await first.session();
    const before = readFileSync(broker.policyFile, 'utf8');
    const twins = `  twins:
    who:
      groups: [builtin:twins]
    principals:
      explicit: [ALICE]
    lifetime: { default: 1h, max: 1h }
`;
    writeFileSync(broker.policyFile, before + twins);
    await broker.running.reload();
    const again = await broker.loggedIn(twin);
    expect(await codeOf(again.sign(newKey(), {}))).toBe('policy.principal_taken');
    const admin = await broker.loggedIn(boss);
    const [refused] = (await admin.searchLog({ type: 'cred.issue_denied' })).items;
    const { subject, decision } = (refused?.entry ?? {}) as Record<
      string,
      { uid?: string; conflict?: unknown }
    >;
    expect(subject?.uid).not.toBe(person.id);
    expect(decision?.conflict).toEqual({ principal: 'ALICE', person: subject?.uid, owner: person.id });
    const explained = await admin.explain({ person: 'al.ice' });
    expect(JSON.stringify(explained.raw)).toContain(person.id);
    expect(JSON.stringify((await again.explain({})).raw)).not.toContain(person.id);
    writeFileSync(broker.policyFile, before);
    await broker.running.reload();
  });

  it('tells the log when somebody changes the people of the built-in directory', async () => {
    const admin = await broker.loggedIn(boss);
    const { id } = (await (await broker.loggedIn(auditor)).session()).person;
    await setDisabled(broker.peopleFile, { login: 'audrey', disabled: true });
    const newest = async (): Promise<unknown> =>
      (await admin.searchLog({ type: 'directory.change', limit: '1' })).items.map(({ entry }) => {
        const { subject, change } = entry as { subject: { uid: string }; change: { what: string[] } };
        return [subject.uid, change.what];
      });
    await expect.poll(newest, { timeout: 10_000, interval: 100 }).toEqual([[id, ['disabled']]]);
    await expect
      .poll(() => codeOf(broker.loggedIn(auditor)), { timeout: 5000 })
      .toBe('identity.account_disabled');
    await setDisabled(broker.peopleFile, { login: 'audrey', disabled: false });
  });

  it('ends with the session whatever was under way: an admin who is cut off cannot let himself in again', async () => {
    const rogue = await broker.loggedIn(boss);
    const admin = await broker.loggedIn(second);
    const { person } = await rogue.session();
    // The request has been let in; its body is still on the way.
    const opened = await openSession(broker.running.rooms, sessionProof(rogue), {
      requestId: 'slow',
      sourceAddress: '127.0.0.1',
    });
    await admin.revoke({
      target: { kind: 'person', value: person.id },
      reason: 'rogue',
      lock: true,
      apply: true,
    });
    const unlock = { person: person.id, reason: 'me again', locked: false };
    expect(await codeOf(lockPerson(broker.running.rooms, unlock, opened))).toBe('store.conflict');
    expect(await codeOf(broker.loggedIn(boss))).toBe('identity.locked_out');
    await admin.setLock('unlock', { person: person.id, reason: 'test is over' });
  });

  it('does not release a name while a live certificate bears it', async () => {
    const admin = await broker.loggedIn(second);
    const client = await broker.loggedIn(alice);
    await client.sign(newKey(), {});
    const release = { principal: 'alice', reason: 'next person' };
    expect(await codeOf(admin.releasePrincipal(release))).toBe('policy.principal_in_use');
    const otherwise = { ...release, principal: 'ALICE' };
    expect(await codeOf(admin.releasePrincipal(otherwise))).toBe('policy.principal_in_use');
    await admin.revoke({
      target: { kind: 'person', value: 'alice' },
      reason: 'left',
      lock: false,
      apply: true,
    });
    expect((await admin.releasePrincipal(release)).principal).toBe('alice');
  });

  it('lists what was issued newest first, page by page', async () => {
    const admin = await broker.loggedIn(second);
    const client = await broker.loggedIn(alice);
    const made = [await client.sign(newKey(), {}), await client.sign(newKey(), {})].map(
      ({ serial }) => serial,
    );
    const first = await admin.issued({ limit: '1' });
    const next = await admin.issued({ limit: '1', after: first.next });
    expect([...next.items, ...first.items].map(({ serial }) => serial)).toEqual(made);
  });

  it('binds a name anew when it was released while a certificate for it was under way', async () => {
    const admin = await broker.loggedIn(second);
    const owner = await broker.loggedIn(alice);
    const { person } = await owner.session();
    await owner.sign(newKey(), {});
    await admin.revoke({
      target: { kind: 'person', value: person.id },
      reason: 'x',
      lock: false,
      apply: true,
    });
    const { rooms } = broker.running;
    const again = await broker.loggedIn(alice);
    const next = rooms.serials.next.bind(rooms.serials);
    // Between the decision, for which the name was hers, and the commit.
    rooms.serials.next = async () => {
      await admin.releasePrincipal({ principal: 'alice', reason: 'left' });
      rooms.serials.next = next;
      return next();
    };
    await again.sign(newKey(), {});
    expect((await rooms.store.principalOwners(['alice'])).get('alice')).toBe(person.id);
  });
});

function sessionProof({ token, proofKey }: LoggedInClient): Parameters<typeof openSession>[1] {
  const url = new URL('/v1/admin/unlock', broker.url);
  const proof = signProof(proofKey, { method: 'POST', url, token, nowMs: Date.now(), random: systemRandom });
  return { token, proof, method: 'POST', path: url.pathname };
}
