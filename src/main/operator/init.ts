import { X509Certificate, type KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { verifierKey } from '../../accounting/index.ts';
import type { InitOptions, OperatorIo, Outcome } from '../../doors/cli/index.ts';
import { addPerson } from '../../identity/index.ts';
import { CodedError, isSystemError, systemClock, systemRandom } from '../../kernel/index.ts';
import {
  checkTrustedFolder,
  createKeyFile,
  createPrivateFile,
  createSigner,
  generatePrivateKey,
  type KeyPurpose,
} from '../../keys/index.ts';
import { defaultPolicyYaml } from '../../policy/index.ts';
import { fingerprint, formatPublicKey, publicKeyFromKeyObject } from '../../ssh/index.ts';
import { createCertificate } from '../../x509/index.ts';
import { parseDatabaseArgument, type StorePlace } from '../database.ts';
import { createStore, keyFile, logSignerOf } from '../load.ts';
import { defaultConfigYaml } from './default-config.ts';

const dayMs = 86_400_000;
/** Whatever the umask is: what others may change, the broker refuses to read. */
const readable = { mode: 0o644 };
const port = 8443;
const loopback = ['localhost', '127.0.0.1', '::1'];

/**
 * Makes a broker's folder: configuration, policy, CA keys sealed with a fresh passphrase, TLS certificate, built-in directory
 * with its first admin. Either all of it is there afterwards, or nothing.
 * @throws CodedError `main.folder_not_empty`, `main.cannot_write`, `main.bad_database_url`, `keys.loose_permissions`, `identity.…` for the admin,
 * `x509.bad_name`, `store.…`
 */
export async function init(options: InitOptions, io: OperatorIo): Promise<Outcome> {
  // A mistake in it is told before anything is made.
  if (options.database !== undefined) parseDatabaseArgument(options.database.url, options.database.caFile);
  const folder = resolve(options.folder);
  const made = makeFolder(folder);
  try {
    return await fill(folder, options, io);
  } catch (error) {
    if (made !== undefined) rmSync(made, { recursive: true, force: true });
    else for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true });
    throw isSystemError(error) ? cannotWrite(folder, error) : error;
  }
}

async function fill(folder: string, options: InitOptions, io: OperatorIo): Promise<Outcome> {
  const data = options.database === undefined ? ['data'] : [];
  for (const name of ['keys', 'secrets', 'tls', ...data]) mkdirSync(join(folder, name), { mode: 0o700 });
  const passphrase = systemRandom(24).toString('base64url');
  createPrivateFile(join(folder, 'secrets', 'keys.passphrase'), `${passphrase}\n`);

  io.note('Making the CA keys…');
  const seal = async (purpose: KeyPurpose, privateKey: KeyObject): Promise<KeyObject> => {
    await createKeyFile(
      keyFile(join(folder, 'keys'), purpose),
      { privateKey, purpose },
      passphrase,
      systemRandom,
    );
    return privateKey;
  };
  const [userCa, hostCa, log] = await Promise.all([
    seal('ssh-user-ca', await generatePrivateKey(options.caType)),
    seal('ssh-host-ca', await generatePrivateKey(options.caType)),
    seal('accounting-log', await generatePrivateKey('ed25519')),
    seal('ssh-lists', await generatePrivateKey('ed25519')),
  ]);

  const names = [...new Set([...options.dnsNames.map((name) => name.toLowerCase()), ...loopback])];
  await makeTls(folder, names, (privateKey) => seal('tls-ca', privateKey));

  const people = join(folder, 'people.json');
  createPrivateFile(people, '{"version":1,"people":[]}\n');
  const { admin } = options;
  if (admin !== undefined) {
    const person = { login: admin.name, groups: ['admins', 'users'], password: admin.password };
    await addPerson(people, person, { random: systemRandom });
  }

  const logOrigin = `${names[0] ?? 'localhost'}/accounting/${systemRandom(4).toString('hex')}`;
  const origins = names.map((name) => `https://${name.includes(':') ? `[${name}]` : name}:${port}`);
  const caLine = formatPublicKey(publicKeyFromKeyObject(createSigner(userCa).publicKey), 'sallyport-user-ca');
  const hostCaLine = formatPublicKey(
    publicKeyFromKeyObject(createSigner(hostCa).publicKey),
    'sallyport-host-ca',
  );
  const logSigner = logSignerOf(createSigner(log));
  const logKey = verifierKey(logOrigin, logSigner.publicKey);
  writeFileSync(
    join(folder, 'policy.yaml'),
    defaultPolicyYaml(admin === undefined ? {} : { adminLogin: admin.name }),
    readable,
  );
  writeFileSync(join(folder, 'ssh-user-ca.pub'), `${caLine}\n`, readable);
  writeFileSync(join(folder, 'ssh-host-ca.pub'), `${hostCaLine}\n`, readable);
  writeFileSync(join(folder, 'accounting-log.vkey'), `${logKey}\n`, readable);
  const host = options.dnsNames.length > 0 ? '0.0.0.0' : '127.0.0.1';
  const configFile = join(folder, 'sallyport.yaml');
  const { database } = options;
  const listen = `${host}:${port}`;
  writeFileSync(configFile, defaultConfigYaml({ listen, origins, logOrigin, database }), readable);
  // Here and nowhere else: a broker that finds no database later has lost its own, and must not begin another. Last: what is
  // begun in a PostgreSQL database does not go with the folder when something fails.
  const place: StorePlace =
    database === undefined
      ? { kind: 'sqlite', folder: join(folder, 'data') }
      : { kind: 'postgres', address: parseDatabaseArgument(database.url, database.caFile) };
  await createStore(place, { origin: logOrigin, logSigner });

  const caFingerprint = fingerprint(publicKeyFromKeyObject(createSigner(userCa).publicKey).blob);
  return {
    value: {
      folder,
      config: configFile,
      caFile: join(folder, 'tls', 'ca.pem'),
      url: origins[0] ?? '',
      userCaFingerprint: caFingerprint,
      logVerifierKey: logKey,
      admin: admin?.name ?? null,
    },
    lines: [
      `Made a broker in ${folder}`,
      `  configuration  ${configFile}`,
      `  SSH user CA    ${join(folder, 'ssh-user-ca.pub')}  (${caFingerprint})`,
      `  SSH host CA    ${join(folder, 'ssh-host-ca.pub')}  (for clients: sallyport ca show --only known-hosts)`,
      `  TLS CA         ${join(folder, 'tls', 'ca.pem')}  (for clients: SALLYPORT_CA_FILE)`,
      `  log key        ${join(folder, 'accounting-log.vkey')}  (for auditors: audit verify --key)`,
      `  passphrase     ${join(folder, 'secrets', 'keys.passphrase')}  (back it up apart from the keys)`,
      ...(admin === undefined ? [] : [`  first admin    ${admin.name}`]),
      '',
      ...(database === undefined
        ? []
        : [
            'First: give the role of the broker its rights, and name it in the configuration: docs/operations/postgresql.md',
          ]),
      `Next: sallyport serve --config ${configFile}`,
      ...(admin === undefined
        ? [`      sallyport people add --config ${configFile} NAME --group admins --group users`]
        : [
            'and in another terminal:',
            `      export SALLYPORT_URL=${origins[0]} SALLYPORT_CA_FILE=${join(folder, 'tls', 'ca.pem')}`,
            `      sallyport login --user ${admin.name}`,
          ]),
    ],
  };
}

async function makeTls(
  folder: string,
  names: readonly string[],
  seal: (key: KeyObject) => Promise<KeyObject>,
): Promise<void> {
  const nowMs = systemClock.nowMs();
  const caKey = await generatePrivateKey('ecdsa-p256');
  const serverKey = await generatePrivateKey('ecdsa-p256');
  const caPem = createCertificate(
    {
      commonName: `Sallyport TLS CA ${systemRandom(4).toString('hex')}`,
      publicKey: createSigner(caKey).publicKey,
      notBeforeMs: nowMs - 3_600_000,
      notAfterMs: nowMs + 3650 * dayMs,
      purpose: { kind: 'ca' },
    },
    caKey,
    { random: systemRandom },
  );
  const certificate = createCertificate(
    {
      commonName: (names[0] ?? 'localhost').slice(0, 64),
      publicKey: createSigner(serverKey).publicKey,
      notBeforeMs: nowMs - 3_600_000,
      notAfterMs: nowMs + 397 * dayMs,
      purpose: { kind: 'tls-server', names },
    },
    caKey,
    { issuer: new X509Certificate(caPem), random: systemRandom },
  );
  await seal(caKey);
  writeFileSync(join(folder, 'tls', 'ca.pem'), caPem, readable);
  writeFileSync(join(folder, 'tls', 'server.pem'), certificate, readable);
  createPrivateFile(join(folder, 'tls', 'server.key'), serverKey.export({ format: 'pem', type: 'pkcs8' }));
}

/** @returns the first folder that was made on the way there, if any. @throws CodedError `main.folder_not_empty`, `main.cannot_write` */
function makeFolder(folder: string): string | undefined {
  try {
    if (!existsSync(folder)) return mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (readdirSync(folder).length === 0) {
      checkTrustedFolder(folder);
      return undefined;
    }
  } catch (error) {
    throw isSystemError(error) ? cannotWrite(folder, error) : error;
  }
  throw new CodedError('main.folder_not_empty', `${folder} is not empty; nothing was changed.`, {
    next: 'Choose a new or an empty folder. An existing broker is never overwritten.',
  });
}

function cannotWrite(folder: string, error: NodeJS.ErrnoException): CodedError {
  return new CodedError('main.cannot_write', `A broker cannot be made in ${folder} (${error.code}).`, {
    next: 'Choose a folder that this user may write, on a disk with free space. Nothing was left behind.',
    cause: error,
  });
}
