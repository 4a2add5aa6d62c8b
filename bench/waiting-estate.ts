import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseHostId, type HostId } from '../src/kernel/index.ts';
import { loadConfig } from '../src/main/config.ts';
import { placeOf } from '../src/main/database.ts';
import { logSignerOf, openKeys, openStore } from '../src/main/load.ts';
import { formatPublicKey, publicKeyFromKeyObject } from '../src/ssh/index.ts';
import type { BrokerFolder } from '../test/support/broker.ts';

/** What the processes that wait must know. */
export interface WaitingEstate {
  readonly port: number;
  readonly ca: string;
  /** One identity key for all: the broker checks it for each as if it were its own. */
  readonly identityPem: string;
}

const letters = 'abcdefghijklmnopqrstuvwxyz234567';

export function hostIdAt(nth: number): HostId {
  const digits = Array.from({ length: 4 }, (_, at) => letters[Math.floor(nth / 32 ** at) % 32] ?? 'a');
  return parseHostId(`h-${digits.join('').padEnd(26, 'a')}`);
}

/** Puts so many enrolled hosts into the database of a broker that does not run. @returns the file for the processes that wait */
export async function makeWaitingEstate(made: BrokerFolder, count: number): Promise<string> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const config = loadConfig(made.configFile);
  const passphrase = readFileSync(join(made.folder, 'secrets', 'keys.passphrase'), 'utf8').trim();
  const keys = await openKeys(config, passphrase);
  const store = await openStore(placeOf(config), {
    origin: config.log.origin,
    logSigner: logSignerOf(keys.log),
  });
  const identityKey = formatPublicKey(publicKeyFromKeyObject(publicKey), '');
  const nowMs = Date.now();
  const enrol = (nth: number): Promise<unknown> => {
    const name = `host${nth}.example.com`;
    const host = {
      id: hostIdAt(nth),
      group: 'default',
      state: 'enrolled',
      names: [name],
      addresses: [],
      identityKey,
      identityFingerprint: `SHA256:identity-of-${nth}`,
      hostKeys: [`SHA256:key-of-${nth}`],
      platform: 'linux',
      machine: '',
      createdMs: nowMs,
      changedMs: nowMs,
    } as const;
    const claims = [`name:${name}`, `key:SHA256:key-of-${nth}`];
    return store.commit({ hosts: { newHost: { host, claims } }, entries: [] });
  };
  for (let from = 0; from < count; from += 500)
    await Promise.all(Array.from({ length: Math.min(500, count - from) }, (_, nth) => enrol(from + nth)));
  await store.close();
  const file = join(made.folder, 'waiting-estate.json');
  const estate: WaitingEstate = {
    port: made.port,
    ca: readFileSync(made.caFile, 'utf8'),
    identityPem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
  writeFileSync(file, JSON.stringify(estate), { mode: 0o600 });
  return file;
}
