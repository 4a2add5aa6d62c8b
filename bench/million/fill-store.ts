// Fills the SQLite database of a broker that does not run with so many certificates, through the store as `issueSshUser` does,
// with revocations and refused logins between them, over the year before now. Arguments: configuration file, how many.
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { EntryDraft } from '../../src/accounting/index.ts';
import { credentialFields } from '../../src/broker/entries.ts';
import { keepCheckpoint } from '../../src/broker/index.ts';
import type { Credential } from '../../src/broker/index.ts';
import { checkpointFile } from '../../src/main/checkpoint-file.ts';
import { loadConfig } from '../../src/main/config.ts';
import { placeOf } from '../../src/main/database.ts';
import { createStore, logSignerOf, openKeys, openStore } from '../../src/main/load.ts';
import { fingerprint, publicKeyFromKeyObject } from '../../src/ssh/index.ts';
import { createIssuances, personAt } from '../issuance.ts';

/** More at once than share a transaction: the next batch waits while one is synced. */
const wave = 1024;
const spacingMs = 30_000;

const [configFile = '', text = ''] = process.argv.slice(2);
const count = Number(text);
const config = loadConfig(configFile);
const passphrase = readFileSync(join(dirname(configFile), 'secrets', 'keys.passphrase'), 'utf8').trim();
const keys = await openKeys(config, passphrase);
const place = placeOf(config);
const log = { origin: config.log.origin, logSigner: logSignerOf(keys.log) };
// What `init` wrote is of today, and a log does not run backwards.
if (place.kind === 'sqlite') rmSync(place.folder, { recursive: true });
await createStore(place, log);
const store = await openStore(place, log);

const startMs = Date.now() - 600_000 - count * spacingMs;
const caFingerprint = fingerprint(publicKeyFromKeyObject(keys.userCa.publicKey).blob);
const issuances = await createIssuances(store, caFingerprint, { atMs: startMs });
for (let done = 0; done < count; done += wave) {
  const size = Math.min(wave, count - done);
  const atMs = (nth: number): number => startMs + (done + nth) * spacingMs;
  const changes = [];
  for (let nth = 0; nth < size; nth += 1) changes.push(await issuances.next(atMs(nth)));
  await Promise.all(changes.map((change) => issuances.commit(change)));
  const credentials = changes.flatMap(({ credential }) => (credential === undefined ? [] : [credential]));
  await others(credentials.slice(0, Math.ceil(size / 100)), atMs(size));
}
await issuances.finish();
// Searches are indexed by the first that asks, so that nobody measures that.
await store.searchLog({ serial: '1', limit: 1 });
await store.credentials({ principal: 'person1', live: false, limit: 1, nowMs: Date.now() });
await keepCheckpoint({
  store,
  logSigner: log.logSigner,
  checkpointKeep: checkpointFile(config.log.checkpoint),
});
await store.close();

/** A hundredth is revoked, and as many logins fail. */
async function others(credentials: readonly Credential[], atMs: number): Promise<void> {
  const reason = 'laptop lost';
  const revoked: EntryDraft[] = credentials.map((credential) => ({
    type: 'cred.revoke',
    outcome: 'success',
    timeMs: atMs,
    actor: { kind: 'person', uid: 'corp:person0', auth: 'session' },
    subject: { uid: credential.personId },
    fields: { cred: credentialFields(credential) },
    personal: { 'actor.name': 'person0', reason },
  }));
  const failed: EntryDraft[] = credentials.map((_, nth) => ({
    type: 'auth.fail',
    outcome: 'failure',
    reasonCode: 'identity.wrong_password',
    timeMs: atMs,
    actor: { kind: 'unknown' },
    subject: { uid: personAt(nth * 31).id },
    personal: { 'actor.name': personAt(nth * 31).login, 'src.ip': '10.30.0.7' },
  }));
  await store.commit({ revoke: { credentials, atMs, reason }, entries: [...revoked, ...failed] });
}
