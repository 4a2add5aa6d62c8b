import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseCertificate, parseKrl } from '../../src/ssh/index.ts';
import type { LoggedInClient } from './broker.ts';

/** A certificate in somebody's hands, as files that ssh takes. */
export interface Held {
  readonly identityFile: string;
  readonly serial: bigint;
  /** Asks the list that the broker serves now. */
  isRevoked(): Promise<boolean>;
  remove(): void;
}

/** Makes a key with ssh-keygen and has it certified. */
export async function getCertificate(client: LoggedInClient, profile?: string): Promise<Held> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-held-'));
  const identityFile = join(folder, 'key');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'held', '-f', identityFile]);
  const publicKey = readFileSync(`${identityFile}.pub`, 'utf8').trim();
  const signed = await client.sign(publicKey, profile === undefined ? {} : { profile });
  writeFileSync(`${identityFile}-cert.pub`, `${signed.certificate}\n`);
  const { key, caKey, serial, keyId } = parseCertificate(signed.certificate);
  return {
    identityFile,
    serial,
    async isRevoked() {
      const krl = parseKrl(await client.krl());
      return krl.isRevoked({ key: key.blob, caKey: caKey.blob, serial, keyId }).revoked;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Puts the list that the broker serves in the place of a file, as a host does. */
export async function fetchList(client: Pick<LoggedInClient, 'krl'>, file: string): Promise<void> {
  writeFileSync(`${file}.new`, await client.krl());
  renameSync(`${file}.new`, file);
}

/** Resolves with the milliseconds it took until `look` is true. @throws Error when it takes longer than `withinMs` */
export async function until(look: () => boolean | Promise<boolean>, withinMs: number): Promise<number> {
  const startedMs = performance.now();
  for (;;) {
    if (await look()) return performance.now() - startedMs;
    if (performance.now() - startedMs > withinMs) throw new Error(`it is not so within ${withinMs} ms`);
    await delay(50);
  }
}
