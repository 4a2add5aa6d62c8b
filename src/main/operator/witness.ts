import { createPrivateKey } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { cosignerKey } from '../../accounting/index.ts';
import type { Outcome, OperatorIo, WitnessInitOptions } from '../../doors/cli/index.ts';
import { createWitness, lockFolder, openWitnessDoor, type LogMemory } from '../../doors/witness/index.ts';
import {
  CodedError,
  isSystemError,
  sha256,
  systemClock,
  systemRandom,
  systemStopwatch,
} from '../../kernel/index.ts';
import {
  checkTrustedFolder,
  createPrivateFile,
  createSigner,
  generatePrivateKey,
  readPrivateFile,
} from '../../keys/index.ts';
import { pino } from 'pino';
import { checkpointFile } from '../checkpoint-file.ts';
import { logSignerOf } from '../load.ts';
import { readConfigured } from '../read-configured.ts';
import { witnessLines } from './witness-lines.ts';
import { loadWitnessConfig, type WitnessConfig } from '../witness-config.ts';

const readable = { mode: 0o644 };

/** Makes the folder of a witness: its key, its configuration, and an empty memory. Leaves nothing when it fails. */
export async function initWitness(options: WitnessInitOptions): Promise<Outcome> {
  const folder = resolve(options.folder);
  const name = options.name ?? `witness/${systemRandom(4).toString('hex')}`;
  const privateKey = await generatePrivateKey('ed25519');
  const vkey = cosignerKey(name, createSigner(privateKey).publicKey);
  const made = emptyFolder(folder);
  try {
    createPrivateFile(join(folder, 'witness.key'), privateKey.export({ format: 'pem', type: 'pkcs8' }));
    mkdirSync(join(folder, 'state'), { mode: 0o700 });
    writeFileSync(join(folder, 'witness.vkey'), `${vkey}\n`, readable);
    writeFileSync(join(folder, 'witness.yaml'), configYaml(name, options.logs), readable);
  } catch (error) {
    if (made !== undefined) rmSync(made, { recursive: true, force: true });
    else
      for (const entry of readdirSync(folder)) rmSync(join(folder, entry), { recursive: true, force: true });
    throw isSystemError(error) ? cannotWrite(folder, error) : error;
  }
  const configFile = join(folder, 'witness.yaml');
  return {
    value: { folder, config: configFile, name, verifierKey: vkey },
    lines: [
      `Made a witness in ${folder}`,
      `  configuration  ${configFile}`,
      `  verifier key   ${vkey}`,
      '',
      ...(options.logs.length === 0
        ? ['Next: put the verifier keys of the logs under “logs” in the configuration']
        : [`Next: sallyport witness serve --config ${configFile}`]),
    ],
  };
}

/** Runs a witness until SIGINT or SIGTERM. It prints a line for everything it was asked. */
export async function serveWitness(
  { configFile }: { readonly configFile: string },
  io: OperatorIo,
): Promise<void> {
  const config = loadWitnessConfig(configFile);
  const log = pino(
    { base: { name: 'sallyport-witness' }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 1, sync: true }),
  );
  const stopAsked = new Promise<void>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done());
  });
  checkTrustedFolder(config.state);
  const unlock = lockFolder(config.state);
  try {
    const witness = createWitness({
      name: config.name,
      signer: logSignerOf(createSigner(readKey(config.key))),
      logs: config.logs,
      memory: filesIn(config.state),
      clock: systemClock,
      observe: witnessLines(log, systemStopwatch),
    });
    const { host, port } = config;
    const failed = (error: unknown): void => log.error({ err: error }, 'nothing was cosigned');
    const door = await openWitnessDoor({ witness, host, port, tls: readTls(config), failed });
    log.info({ port: door.port, logs: witness.origins }, 'ready');
    io.note(`The witness ${config.name} is ready on port ${door.port}. Stop it with Ctrl-C.`);
    await stopAsked;
    await door.close();
  } finally {
    unlock();
  }
}

/** One file for each log, named by a hash: origins have slashes. */
function filesIn(folder: string): LogMemory {
  const file = (origin: string): ReturnType<typeof checkpointFile> =>
    checkpointFile(join(folder, `${sha256(origin).toString('hex')}.checkpoint`));
  return {
    read: (origin) => file(origin).read(),
    write: (origin, note) => file(origin).write(note),
  };
}

function readKey(path: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(readPrivateFile(path, 'The key of the witness'));
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw new CodedError('main.bad_witness_key', `${path} does not hold a private key.`, {
      next: 'Restore the file that `sallyport witness init` made.',
      cause: error,
    });
  }
}

function readTls({ tls }: WitnessConfig): { readonly certificate: string; readonly key: string } | undefined {
  if (tls === undefined) return undefined;
  const certificate = readConfigured(tls.certificate, 'The TLS certificate', '`tls.certificate`').toString();
  const key = readPrivateFile(tls.key, 'The TLS key').toString('utf8');
  try {
    createSecureContext({ cert: certificate, key });
  } catch (error) {
    throw new CodedError('main.bad_tls', 'The TLS certificate and key cannot be used together.', {
      next: 'Check `tls` in the configuration: both PEM, and the key the one that the certificate was made for.',
      cause: error,
    });
  }
  return { certificate, key };
}

/** @returns the folder that was made, to be taken away again. @throws CodedError `main.folder_not_empty`, `main.cannot_write` */
function emptyFolder(folder: string): string | undefined {
  try {
    const made = mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (made !== undefined || readdirSync(folder).length === 0) return made;
  } catch (error) {
    throw isSystemError(error) ? cannotWrite(folder, error) : error;
  }
  throw new CodedError('main.folder_not_empty', `${folder} is not empty; nothing was changed.`, {
    next: 'Choose a new or an empty folder. An existing witness is never overwritten.',
  });
}

function cannotWrite(folder: string, error: NodeJS.ErrnoException): CodedError {
  return new CodedError('main.cannot_write', `A witness cannot be made in ${folder} (${error.code}).`, {
    next: 'Choose a folder that this user may write, on a disk with free space. Nothing was left behind.',
    cause: error,
  });
}

function configYaml(name: string, logs: readonly string[]): string {
  return `# A witness of logs; docs/operations/witness.md describes every field.
version: 1
# Plain HTTP, for this machine alone. With tls, any address.
listen: 127.0.0.1:8744
# tls: { certificate: server.pem, key: server.key }
name: ${name}
key: witness.key
# What was cosigned last. Never delete it, never restore it from a backup, never share it.
state: state
# Verifier keys of the logs to witness: sallyport ca show --only log-key
logs:${logs.length === 0 ? ' []' : ''}
${logs.map((key) => `  - ${key}\n`).join('')}`;
}
