import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyBundle } from '../../src/accounting/verify/index.ts';
import { formatPublicKey, parseCertificate, parseKrl, publicKeyFromKeyObject } from '../../src/ssh/index.ts';
import { alice, boss, makeBrokerFolder, type BrokerFolder } from '../support/broker.ts';
import { bundleOf, clientWith, logInTo, serve, type HeldSession } from '../support/serve.ts';

const kills = 200;
/** In every so many rounds an admin revokes as well. */
const revokeEvery = 5;
const workers = 8;
const seeds = [20_261_123, 20_261_124];

// Two brokers side by side: while one works and dies, the other starts, which takes much longer.
let lanes: readonly BrokerFolder[] = [];
beforeAll(async () => {
  lanes = await Promise.all(seeds.map(() => makeBrokerFolder()));
});
afterAll(() => {
  for (const made of lanes) made.remove();
});

/** A small generator of its own, so that the moments of death are the same in every run. */
function moments(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

interface Survived {
  /** Every certificate that a client got. */
  readonly held: readonly string[];
  /** Every serial that an admin was told is revoked. */
  readonly revoked: readonly bigint[];
}

/** Starts the broker, loads it and kills it, so many times. */
async function killUnderLoad(made: BrokerFolder, rounds: number, random: () => number): Promise<Survived> {
  const held: string[] = [];
  const revoked: bigint[] = [];
  const key = formatPublicKey(publicKeyFromKeyObject(generateKeyPairSync('ed25519').publicKey), 'held');
  let session: HeldSession | undefined;
  for (let round = 0; round < rounds; round += 1) {
    const broker = await serve(made.configFile);
    // Once: a session outlives the broker that gave it.
    session ??= await logInTo(made, alice);
    const client = clientWith(made, session);
    const target = held.length + 1 + Math.floor(random() * 40);
    const due = Promise.withResolvers<void>();
    const state = { dead: false };
    const working = Array.from({ length: workers }, async () => {
      while (!state.dead) {
        try {
          held.push((await client.sign(key, { ttlSeconds: 600 })).certificate);
        } catch {
          // What died on the way was not received: it may or may not be in the log.
          return;
        }
        if (held.length >= target) due.resolve();
      }
    });
    // Work until a certain number has been received, then a random fraction of a turn longer: that is the moment.
    await Promise.race([due.promise, Promise.all(working)]);
    expect(held.length).toBeGreaterThanOrEqual(target);
    const isRevoking = round % revokeEvery === 0;
    const revoking = isRevoking ? revokeNewest(made, held, revoked) : undefined;
    // Every other time right behind the answer, else somewhere on the way to it.
    if (round % (2 * revokeEvery) === 0) await revoking;
    const spinUntil = performance.now() + random() * (isRevoking ? 300 : 4);
    while (performance.now() < spinUntil) await new Promise((resolve) => setImmediate(resolve));
    const gone = once(broker.process, 'exit');
    broker.process.kill('SIGKILL');
    await gone;
    state.dead = true;
    await Promise.all([...working, revoking]);
    client.close();
    // A revocation ends the sessions of whoever held the certificate, acknowledged or not.
    if (isRevoking) session = undefined;
  }
  return { held, revoked };
}

/** Whatever becomes of it, only what was acknowledged counts. */
async function revokeNewest(made: BrokerFolder, held: readonly string[], revoked: bigint[]): Promise<void> {
  const { serial } = parseCertificate(held.at(-1) ?? '');
  try {
    const admin = clientWith(made, await logInTo(made, boss));
    const target = { kind: 'serial', value: String(serial) } as const;
    await admin.revoke({ target, reason: 'lost', lock: false, apply: true }).finally(() => admin.close());
    revoked.push(serial);
  } catch {
    // The broker died on the way.
  }
}

describe('kill -9 of the broker under load', () => {
  it(`leaves no certificate without its entry and loses no revocation, at ${kills} moments`, async () => {
    const all = await Promise.all(
      lanes.map((made, lane) => killUnderLoad(made, kills / lanes.length, moments(seeds[lane] ?? 0))),
    );
    expect(all.flatMap(({ held }) => held).length).toBeGreaterThan(kills);
    expect(all.flatMap(({ revoked }) => revoked).length).toBeGreaterThanOrEqual(kills / revokeEvery / 2);

    for (const [lane, made] of lanes.entries()) {
      const { held: texts = [], revoked = [] } = all[lane] ?? {};
      const held = texts.map(parseCertificate);
      const broker = await serve(made.configFile);
      const admin = await logInTo(made, boss);
      const bytes = await bundleOf(made, admin);
      const client = clientWith(made, admin);
      const krl = parseKrl(await client.krl());
      client.close();
      const isListed = (serial: bigint): boolean =>
        held.some(
          ({ key, caKey, keyId, ...one }) =>
            one.serial === serial &&
            krl.isRevoked({ key: key.blob, caKey: caKey.blob, serial, keyId }).revoked,
        );
      expect(revoked.filter((serial) => !isListed(serial))).toEqual([]);
      expect(await broker.stop()).toBe(0);

      const bundle = join(made.folder, 'log.bundle');
      writeFileSync(bundle, bytes);
      const verdict = await verifyBundle(bundle, {
        verifierKey: readFileSync(made.logKeyFile, 'utf8').trim(),
      });
      expect([verdict.exitCode, verdict.completeness.state]).toEqual([0, 'verified']);

      const logged = new Set(
        [...bytes.toString('utf8').matchAll(/^\{.*"type":"cred\.issue".*\}$/gm)].map(([line]) => {
          const { cred } = JSON.parse(line) as { cred: { serial: string; key_id: string } };
          return `${cred.serial} ${cred.key_id}`;
        }),
      );
      expect(held.filter(({ serial, keyId }) => !logged.has(`${serial} ${keyId}`))).toEqual([]);
      expect(new Set(held.map(({ serial }) => serial)).size).toBe(held.length);
    }
  }, 1_200_000);
});
