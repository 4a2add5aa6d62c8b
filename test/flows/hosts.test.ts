import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Replay } from '../../src/accounting/verify/replay.ts';
import { parseEntry } from '../../src/accounting/verify/entry.ts';
import { parseBundle } from '../../src/hosts/index.ts';
import { parseCertificate, parseKrl, parsePublicKey } from '../../src/ssh/index.ts';
import { alice, boss, startTestBroker, type LoggedInClient, type TestBroker } from '../support/broker.ts';
import { newKeyPair, newProtocolHost, post, signed, type ProtocolHost } from '../support/protocol-host.ts';

let skewMs = 0;
const clock = { nowMs: () => Date.now() + skewMs };
let broker: TestBroker;
let admin: LoggedInClient;
beforeAll(async () => {
  broker = await startTestBroker({ people: [boss, alice], clock });
  admin = await broker.loggedIn(boss);
});
afterAll(() => broker.stop());

const tokenFor = async (names: readonly string[], over: { maxUses?: number; addresses?: string[] } = {}) =>
  admin.newHostToken({ names, addresses: [], group: 'default', maxUses: 1, lifeSeconds: 600, ...over });
let count = 0;
/** An enrolled host of a name that nobody has. */
async function enrolled(): Promise<{ readonly host: ProtocolHost; readonly name: string }> {
  count += 1;
  const name = `n${count}.example.com`;
  const { token } = await tokenFor([name]);
  const host = newProtocolHost({ clock });
  expect((await host.enrol(broker, token, [name])).status).toBe(200);
  return { host, name };
}
const codes = async (...asked: Promise<{ one(word: string): string }>[]): Promise<string[]> =>
  (await Promise.all(asked)).map((answer) => answer.one('error'));
const currentVersion = (): bigint => broker.running.rooms.krl.current?.version ?? 0n;

describe('enrolment by a token', () => {
  it('gives certificates for what the token allows, and nothing for what the host merely claims', async () => {
    const { token } = await tokenFor(['web-*.example.com'], { addresses: ['192.0.2.0/24'] });
    const web = newProtocolHost({ clock, hostKeys: [newKeyPair(), newKeyPair()] });
    const claims = ['address 192.0.2.7', 'address 10.0.0.1'];
    const answer = await web.enrol(broker, token, ['WEB-1.example.com', 'db.example.com'], claims);
    expect([answer.status, answer.one('status')]).toEqual([200, 'enrolled']);
    expect([answer.all('name'), answer.all('address')]).toEqual([['web-1.example.com'], ['192.0.2.7']]);
    const certificates = answer.all('certificate').map(parseCertificate);
    expect(certificates.map(({ key }) => key.blob)).toEqual(
      web.hostKeys.map(({ publicKey }) => publicKey.blob),
    );
    for (const certificate of certificates) {
      expect(certificate).toMatchObject({ kind: 'host', principals: ['web-1.example.com', '192.0.2.7'] });
      const { sshHostCa } = await admin.authority();
      expect(certificate.caKey.blob).toEqual(parsePublicKey(sshHostCa?.publicKey ?? '').blob);
    }
  });

  it('takes a token as often as it was made for; used up, expired, dropped and unknown are one refusal', async () => {
    const { token } = await tokenFor(['a*.example.com'], { maxUses: 2 });
    const tries = Array.from({ length: 5 }, (_, at) =>
      newProtocolHost({ clock }).enrol(broker, token, [`a${at}.example.com`]),
    );
    expect((await codes(...tries)).sort()).toEqual(['', '', ...Array<string>(3).fill('hosts.bad_token')]);
    const dropped = await tokenFor(['b.example.com']);
    await admin.dropHostToken({ id: dropped.id });
    const late = await tokenFor(['b.example.com']);
    const ask = (secret: string) => newProtocolHost({ clock }).enrol(broker, secret, ['b.example.com']);
    skewMs += 3_600_000;
    const [one, two, three] = await Promise.all([ask(dropped.token), ask(late.token), ask('A'.repeat(32))]);
    expect(new Set([one.text, two.text, three.text]).size).toBe(1);
    expect(one.one('error')).toBe('hosts.bad_token');
    const faults = (await admin.searchLog({ type: 'host.enrol', outcome: 'denied' })).items.map(
      ({ entry }) => (entry['host'] as { token_fault?: string }).token_fault,
    );
    expect(faults).toEqual(expect.arrayContaining(['dropped', 'expired', 'unknown', 'used_up']));
  });

  it('refuses names that the token does not allow, and names that another host has', async () => {
    const { name } = await enrolled();
    const [wrong, taken] = [await tokenFor(['c.example.com']), await tokenFor(['*.example.com'])];
    const [one, two] = [newProtocolHost({ clock }), newProtocolHost({ clock })];
    expect(
      await codes(one.enrol(broker, wrong.token, ['d.example.com']), two.enrol(broker, taken.token, [name])),
    ).toEqual(['hosts.name_not_allowed', 'hosts.name_taken']);
    // Neither cost the token anything.
    expect(
      (await admin.hostTokens())
        .filter(({ id }) => [wrong.id, taken.id].includes(id))
        .map(({ used }) => used),
    ).toEqual([0, 0]);
  });

  it('gives the same host again to the same identity: a lost answer costs nothing', async () => {
    const { token } = await tokenFor(['e.example.com']);
    const host = newProtocolHost({ clock });
    const [first, second] = [
      await host.enrol(broker, token, ['e.example.com']),
      await host.enrol(broker, token, ['e.example.com']),
    ];
    expect(second.one('host')).toBe(first.one('host'));
    expect(second.all('certificate')).toHaveLength(1);
  });
});

describe('two machines', () => {
  it('that are clones with keys of their own become two hosts', async () => {
    const { token } = await tokenFor(['f*.example.com'], { maxUses: 2 });
    const [one, two] = [newProtocolHost({ clock }), newProtocolHost({ clock })];
    await one.enrol(broker, token, ['f1.example.com']);
    await two.enrol(broker, token, ['f2.example.com']);
    expect(one.id).not.toBe(two.id);
  });

  it('that present one host key are both refused by name, until an admin says which is right', async () => {
    const { host: one, name } = await enrolled();
    const { token } = await tokenFor(['g.example.com']);
    const two = newProtocolHost({ clock, hostKeys: one.hostKeys });
    const refused = await two.enrol(broker, token, ['g.example.com']);
    expect(refused.one('error')).toBe('hosts.conflict');
    expect(refused.one('detail')).toContain(name);
    const torn = (await admin.hosts({ state: 'conflict' })).items;
    expect(torn.flatMap(({ names }) => names)).toEqual(expect.arrayContaining([name, 'g.example.com']));
    two.id = torn.find(({ names }) => names.includes('g.example.com'))?.id ?? '';
    expect(await codes(one.sync(broker), one.renew(broker), two.sync(broker))).toEqual(
      Array<string>(3).fill('hosts.conflict'),
    );
    const before = currentVersion();
    const resolved = await admin.resolveHost({ host: name, reason: 'the other was a clone' });
    expect(resolved).toMatchObject({ host: one.id, state: 'enrolled', retired: two.id });
    expect(currentVersion()).toBeGreaterThan(before);
    expect(await codes(one.sync(broker), two.sync(broker))).toEqual(['', 'hosts.retired']);
  });

  it('that use one identity are found by their steps, or by the machine', async () => {
    const [{ host: byStep }, { host: byMachine }] = [await enrolled(), await enrolled()];
    await byStep.sync(broker);
    byStep.step = 0n;
    await byMachine.sync(broker);
    const other = 'ab'.repeat(16);
    expect(await codes(byStep.sync(broker), byMachine.sync(broker, { machine: other }))).toEqual([
      'hosts.conflict',
      'hosts.conflict',
    ]);
    expect(await codes(byStep.sync(broker), byMachine.sync(broker))).toEqual([
      'hosts.conflict',
      'hosts.conflict',
    ]);
    await admin.resolveHost({ host: byStep.id, reason: 'x' });
    byStep.step = 0n;
    expect((await byStep.sync(broker)).status).toBe(200);
  });
});

describe('an enrolment without a token', () => {
  it('waits for an admin who compares the fingerprint', async () => {
    const host = newProtocolHost({ clock });
    const asked = await host.enrol(broker, undefined, ['h.example.com']);
    expect([asked.one('status'), asked.one('fingerprint'), asked.all('certificate')]).toEqual([
      'pending',
      host.identity.fingerprint,
      [],
    ]);
    expect(await codes(host.sync(broker), host.renew(broker))).toEqual(['hosts.pending', 'hosts.pending']);
    const approve = (fingerprint: string) =>
      admin.approveHost({ host: host.id, fingerprint, group: 'default' });
    await expect(approve(newKeyPair().fingerprint)).rejects.toMatchObject({
      code: 'hosts.other_fingerprint',
    });
    await approve(host.identity.fingerprint);
    const again = await host.enrol(broker, undefined, ['other.example.com']);
    expect(again.one('status')).toBe('enrolled');
    expect(parseCertificate(again.one('certificate')).principals).toEqual(['h.example.com']);
  });
});

describe('a request of a host', () => {
  it('is refused when it is repeated, old, changed, or signed by another key', async () => {
    const { host } = await enrolled();
    const request = host.syncing();
    expect((await post(broker, 'sync', request)).status).toBe(200);
    expect(await codes(post(broker, 'sync', request))).toEqual(['hosts.replayed']);
    expect(await codes(post(broker, 'sync', host.syncing().replace('wait 0', 'wait 1')))).toEqual([
      'hosts.bad_signature',
    ]);
    const stranger = newProtocolHost({ clock });
    stranger.id = host.id;
    expect(await codes(stranger.sync(broker))).toEqual(['hosts.bad_signature']);
    stranger.id = `h-${'a'.repeat(26)}`;
    expect(await codes(stranger.sync(broker))).toEqual(['hosts.unknown_host']);
    const old = newProtocolHost({ identity: host.identity, clock: { nowMs: () => clock.nowMs() - 130_000 } });
    old.id = host.id;
    expect(await codes(old.sync(broker))).toEqual(['hosts.clock_skew']);
    expect(
      await codes(post(broker, 'sync', 'x\n'), post(broker, 'renew', signed(['y'], [host.identity]))),
    ).toEqual(['hosts.malformed', 'hosts.malformed']);
  });

  it('renews for the names it was granted, also with a new host key that it proves to hold', async () => {
    const { host, name } = await enrolled();
    const keys = [...host.hostKeys, newKeyPair()];
    const answer = await host.renew(broker, keys);
    expect(answer.all('certificate').map((line) => parseCertificate(line).principals)).toEqual([
      [name],
      [name],
    ]);
    const { host: other } = await enrolled();
    expect(await codes(host.renew(broker, other.hostKeys))).toEqual(['hosts.conflict']);
  });
});

describe('the bundle', () => {
  const read = (text: string) => parseBundle(Buffer.from(text.slice(0, text.indexOf('-----BEGIN'))));

  it('reaches every waiting host with a revocation, and holds what was revoked', async () => {
    const hosts = await Promise.all([enrolled(), enrolled(), enrolled()]);
    const have = currentVersion();
    const waiting = hosts.map(({ host }) => host.sync(broker, { have, waitSeconds: 60 }));
    while (broker.running.rooms.hosts.waiting.count < 3)
      await new Promise((resolve) => setImmediate(resolve));
    const user = await broker.loggedIn(alice);
    const { serial } = await user.sign(newKeyPair().line, {});
    await admin.revoke({
      target: { kind: 'person', value: 'alice' },
      reason: 'left',
      lock: false,
      apply: true,
    });
    for (const [at, answer] of (await Promise.all(waiting)).entries()) {
      const bundle = read(answer.text);
      expect(bundle).toMatchObject({ host: hosts[at]?.host.id, version: have + 1n });
      const [section] = parseKrl(bundle.krl.bytes).certificates;
      expect([...(section?.serials.firsts ?? [])]).toContain(serial);
    }
  });

  it('does not come when there is nothing new, and the wait ends with the broker', async () => {
    const { host } = await enrolled();
    expect((await host.sync(broker, { have: currentVersion(), waitSeconds: 0 })).status).toBe(204);
  });
});

describe('a retired host', () => {
  it('is refused, its names are free, and its certificates are in the section of the host CA', async () => {
    const { host, name } = await enrolled();
    const rehearsed = await admin.retireHost({ host: name, reason: 'old', apply: false });
    expect([rehearsed.applied, rehearsed.state, rehearsed.certificates.length]).toEqual([
      false,
      'enrolled',
      1,
    ]);
    const done = await admin.retireHost({ host: name, reason: 'old', apply: true });
    expect(await codes(host.sync(broker), host.renew(broker))).toEqual(['hosts.retired', 'hosts.retired']);
    const { sshHostCa } = await admin.authority();
    const hostCa = parsePublicKey(sshHostCa?.publicKey ?? '').blob;
    const krl = parseKrl(await admin.krl());
    const section = krl.certificates.find(({ caKey }) => caKey?.equals(hostCa) === true);
    expect([...(section?.serials.firsts ?? [])].map(String)).toEqual(
      expect.arrayContaining(done.certificates.map(({ serial }) => serial)),
    );
    const { token } = await tokenFor([name]);
    expect((await newProtocolHost({ clock }).enrol(broker, token, [name])).status).toBe(200);
  });
});

it('leaves a log in which both CAs account for every serial', async () => {
  const { store } = broker.running.rooms;
  const replay = new Replay(true);
  for await (const { index, bytes } of store.logEntries(0n, (await store.logHead()).size)) {
    const entry = parseEntry(bytes);
    if (typeof entry === 'string') throw new Error(entry);
    replay.entry(index, entry);
  }
  expect(replay.finish().state).toBe('verified');
});
