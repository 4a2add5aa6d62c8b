import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { verifyBundle } from '../../src/accounting/verify/index.ts';
import { formatPublicKey, parseCertificate, parseKrl, publicKeyFromKeyObject } from '../../src/ssh/index.ts';
import type { BrokerClient } from '../../src/doors/client/index.ts';
import { alice, boss, type BrokerFolder } from './broker.ts';
import { bundleOf, clientWith, logInTo, serve, type HeldSession, type Served } from './serve.ts';

/** In every so many rounds an admin revokes as well. */
export const revokeEvery = 5;
const workers = 8;

/** A small generator of its own, so that the moments of death are the same in every run. */
export function moments(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

export interface Survived {
  /** Every certificate that a client got. */
  readonly held: readonly string[];
  /** Every serial that an admin was told is revoked. */
  readonly revoked: readonly bigint[];
}

export interface KillOptions {
  readonly rounds: number;
  readonly random: () => number;
  /** What dies at the moment of this round; the broker when it is left out. @returns whether the broker lives on */
  readonly killOther?: (round: number) => Promise<boolean>;
}

/** Starts the broker, loads it and kills it, or what it depends on, so many times. */
export async function killUnderLoad(
  made: BrokerFolder,
  { rounds, random, killOther = async () => false }: KillOptions,
): Promise<Survived> {
  const held: string[] = [];
  const revoked: bigint[] = [];
  const key = formatPublicKey(publicKeyFromKeyObject(generateKeyPairSync('ed25519').publicKey), 'held');
  let session: HeldSession | undefined;
  let admin: HeldSession | undefined;
  let broker: Served | undefined;
  for (let round = 0; round < rounds; round += 1) {
    broker ??= await serve(made.configFile);
    // Once: a session outlives the broker that gave it.
    session ??= await logInTo(made, alice);
    // Before the moment too: a login that dies with the broker counts as a failed attempt.
    admin ??= await logInTo(made, boss);
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
    const revoking = isRevoking ? revokeNewest(clientWith(made, admin), held, revoked) : undefined;
    // Every other time right behind the answer, else somewhere on the way to it.
    if (round % (2 * revokeEvery) === 0) await revoking;
    const spinUntil = performance.now() + random() * (isRevoking ? 300 : 4);
    while (performance.now() < spinUntil) await new Promise((resolve) => setImmediate(resolve));
    if (!(await killOther(round))) {
      const gone = once(broker.process, 'exit');
      broker.process.kill('SIGKILL');
      await gone;
      broker = undefined;
    }
    state.dead = true;
    await Promise.all([...working, revoking]);
    client.close();
    // A revocation ends the sessions of whoever held the certificate, acknowledged or not.
    if (isRevoking) session = undefined;
  }
  await broker?.stop();
  return { held, revoked };
}

/** Whatever becomes of it, only what was acknowledged counts. */
async function revokeNewest(admin: BrokerClient, held: readonly string[], revoked: bigint[]): Promise<void> {
  const { serial } = parseCertificate(held.at(-1) ?? '');
  try {
    const target = { kind: 'serial', value: String(serial) } as const;
    await admin.revoke({ target, reason: 'lost', lock: false, apply: true }).finally(() => admin.close());
    revoked.push(serial);
  } catch {
    // The broker died on the way.
  }
}

/**
 * Starts the broker once more, by no other hand, and holds what clients got against its log and its list: every certificate has its
 * entry, every acknowledged revocation is in the list, and the log verifies, complete.
 */
export async function expectNothingLost(
  made: BrokerFolder,
  { held: texts, revoked }: Survived,
): Promise<void> {
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
        one.serial === serial && krl.isRevoked({ key: key.blob, caKey: caKey.blob, serial, keyId }).revoked,
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
