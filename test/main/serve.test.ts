import { createServer } from 'node:net';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { appendFileSync, chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { generateProofKey, type BrokerClient } from '../../src/doors/client/index.ts';
import { isCodedError, systemClock, systemRandom } from '../../src/kernel/index.ts';
import { createKeyFile, openKeyFile } from '../../src/keys/index.ts';
import { parseCertificate } from '../../src/ssh/index.ts';
import { createCertificate } from '../../src/x509/index.ts';
import {
  alice,
  boss,
  clientOf,
  makeBrokerFolder,
  type BrokerFolder,
  type TestPerson,
} from '../support/broker.ts';
import { serve, type Served } from '../support/serve.ts';
import { newPublicKey } from '../doors/http/support.ts';
import { sallyport } from './child.ts';

let made: BrokerFolder;
let running: Served[] = [];
beforeEach(async () => {
  made = await makeBrokerFolder({ people: [boss, alice] });
});
afterEach(async () => {
  for (const one of running) {
    one.process.kill('SIGKILL');
    await one.ended();
  }
  running = [];
  made.remove();
});
const start = async (): Promise<Served> => {
  const serving = await serve(made.configFile);
  running.push(serving);
  return serving;
};
async function logIn(person: TestPerson): Promise<BrokerClient> {
  const proofKey = generateProofKey();
  const open = clientOf(made);
  const { token } = await open.login({ login: person.login, password: person.password }, proofKey);
  open.close();
  return clientOf(made, systemClock, { token, proofKey });
}
async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
}
/** How long a certificate lives, in milliseconds. */
const lifeOf = ({ certificate }: { readonly certificate: string }): number => {
  const { validAfter, validBefore } = parseCertificate(certificate);
  return Number(validBefore - validAfter) * 1000;
};
const config = (from: string, to: string): void => {
  const text = readFileSync(made.configFile, 'utf8');
  expect(text).toContain(from);
  writeFileSync(made.configFile, text.replace(from, to));
};
const at = (...names: string[]): string => join(made.folder, ...names);
const check = () => sallyport(['config', 'check', made.configFile]);
const serveOnce = (env?: Record<string, string>) =>
  sallyport(['serve', '--config', made.configFile], env === undefined ? {} : { env });

describe('what would keep a broker from starting', () => {
  const faults: [what: string, code: string, fault: () => void | Promise<void>][] = [
    ['a key folder that others can enter', 'keys.loose_permissions', () => chmodSync(at('keys'), 0o755)],
    [
      'a key that others can read',
      'keys.loose_permissions',
      () => chmodSync(at('keys', 'ssh-user-ca.key'), 0o640),
    ],
    [
      'a TLS key that others can read',
      'keys.loose_permissions',
      () => chmodSync(at('tls', 'server.key'), 0o644),
    ],
    [
      'a passphrase that others can read',
      'keys.loose_permissions',
      () => chmodSync(at('secrets', 'keys.passphrase'), 0o604),
    ],
    ['no passphrase file', 'keys.unreadable', () => rmSync(at('secrets', 'keys.passphrase'))],
    [
      'an empty passphrase file',
      'main.no_passphrase',
      () => writeFileSync(at('secrets', 'keys.passphrase'), '\n'),
    ],
    [
      'the wrong passphrase',
      'keys.wrong_passphrase',
      () => writeFileSync(at('secrets', 'keys.passphrase'), 'wrong-passphrase\n'),
    ],
    [
      'no variable',
      'main.no_passphrase',
      () => config('file: secrets/keys.passphrase', 'environment: NO_SUCH_VARIABLE'),
    ],
    ['nobody to ask', 'cli.no_terminal', () => config('file: secrets/keys.passphrase', 'prompt: true')],
    [
      'two keys exchanged',
      'keys.wrong_purpose',
      () => renameSync(at('keys', 'ssh-lists.key'), at('keys', 'ssh-user-ca.key')),
    ],
    ['no key of the log', 'keys.unreadable', () => rmSync(at('keys', 'accounting-log.key'))],
    ['a key that is none', 'keys.malformed', () => writeFileSync(at('keys', 'accounting-log.key'), 'x')],
    ['no certificate', 'main.unreadable_config', () => rmSync(at('tls', 'server.pem'))],
    ['a certificate that is none', 'main.bad_tls', () => writeFileSync(at('tls', 'server.pem'), 'x')],
    [
      'the key of another certificate',
      'main.bad_tls',
      () => {
        const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        writeFileSync(at('tls', 'server.key'), privateKey.export({ format: 'pem', type: 'pkcs8' }));
      },
    ],
    ['a data folder that others can write', 'keys.loose_permissions', () => chmodSync(at('data'), 0o777)],
    ['no database', 'store.missing', () => rmSync(at('data'), { recursive: true })],
    ['no policy', 'main.unreadable_config', () => rmSync(made.policyFile)],
    ['a policy with a mistake', 'policy.invalid', () => appendFileSync(made.policyFile, 'nonsense: 1\n')],
    [
      'a policy for a directory that is not there',
      'policy.invalid',
      () => appendFileSync(made.policyFile, '  corp:\n    who: {groups: [corp:users]}\n'),
    ],
    ['a configuration with a mistake', 'main.invalid_config', () => config('version: 1', 'version: 2')],
    ['no configuration', 'main.unreadable_config', () => rmSync(made.configFile)],
    [
      'an LDAP server in clear text',
      'identity.bad_directory_config',
      () =>
        appendFileSync(
          made.configFile,
          '  - {name: corp, kind: ldap, servers: ["ldap://x.example"], people: ["dc=x"]}\n',
        ),
    ],
  ];
  it.each(faults)('%s: check and serve say %s, and neither shows a stack', async (_what, code, fault) => {
    await fault();
    const status = code === 'cli.no_terminal' ? 2 : 1;
    for (const ran of [check(), serveOnce()]) {
      expect([ran.code, ran.status]).toEqual([code, status]);
      expect(ran.stdout + ran.stderr).not.toMatch(/\n\s+at |node:internal|\.ts:\d+/);
      const { error } = JSON.parse(ran.stdout) as { error: { message: string; next?: string } };
      expect(error.message.length).toBeGreaterThan(10);
      expect(error.next?.length).toBeGreaterThan(10);
    }
  });

  it('nothing, as init made it', () => {
    const ran = check();
    expect([ran.status, ran.code]).toEqual([0, 'done']);
    expect(JSON.parse(ran.stdout)).toMatchObject({
      valid: true,
      directories: ['builtin'],
      profiles: ['users'],
      tlsProfiles: [],
    });
  });

  it('an address that another program has', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(made.port, '127.0.0.1', () => resolve()));
    const ran = await new Promise<ReturnType<typeof serveOnce>>((resolve) => resolve(serveOnce()));
    expect([ran.status, ran.code]).toEqual([1, 'main.cannot_listen']);
    await new Promise((resolve) => other.close(resolve));
    const serving = await start();
    expect(await serving.stop()).toBe(0);
  });

  it('another broker on the same folder', async () => {
    await start();
    const ran = serveOnce();
    expect([ran.status, ran.code]).toEqual([1, 'store.in_use']);
  });
});

describe('a running broker', () => {
  it('stops cleanly on SIGTERM and SIGINT: no serial is lost, and the log says goodbye', async () => {
    const serials: bigint[] = [];
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGTERM'] as const) {
      const serving = await start();
      const client = await logIn(alice);
      serials.push((await client.sign(newPublicKey(), {})).serial);
      serials.push((await client.sign(newPublicKey(), {})).serial);
      client.close();
      serving.process.kill(signal);
      expect(await serving.ended()).toBe(0);
      expect(serving.stdout()).not.toContain('"level":50');
    }
    expect(serials).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
    const serving = await start();
    const admin = await logIn(boss);
    const types = async (type: string): Promise<number> =>
      (await admin.searchLog({ type, limit: '100' })).items.length;
    expect([await types('system.stop'), await types('system.start'), await types('cred.void')]).toEqual([
      3, 4, 0,
    ]);
    admin.close();
    await serving.stop();
  });

  it('declares void after a crash what it had reserved, and goes on behind it', async () => {
    const first = await start();
    const client = await logIn(alice);
    const { serial } = await client.sign(newPublicKey(), {});
    first.process.kill('SIGKILL');
    await first.ended();
    client.close();
    await start();
    const admin = await logIn(boss);
    const { items } = await admin.searchLog({ type: 'cred.void' });
    const [{ entry } = { entry: undefined }] = items;
    expect(entry).toMatchObject({
      reason_code: 'issuance.abandoned',
      cred: { serial_first: String(serial + 1n) },
    });
    expect((await admin.sign(newPublicKey(), {})).serial).toBeGreaterThan(serial + 1n);
    admin.close();
  });

  it('does not start with another CA key while certificates of the first are alive: no list could revoke them', async () => {
    const first = await start();
    const client = await logIn(alice);
    await client.sign(newPublicKey(), {});
    client.close();
    expect(await first.stop()).toBe(0);
    const file = at('keys', 'ssh-user-ca.key');
    const passphrase = readFileSync(at('secrets', 'keys.passphrase'), 'utf8').trim();
    renameSync(file, `${file}.first`);
    const { privateKey } = generateKeyPairSync('ed25519');
    await createKeyFile(file, { privateKey, purpose: 'ssh-user-ca' }, passphrase, systemRandom);
    const refused = serveOnce();
    expect([refused.code, refused.status]).toEqual(['revocation.other_authority', 1]);
    renameSync(`${file}.first`, file);
    expect(await (await start()).stop()).toBe(0);
  });

  it('keeps its policy when SIGHUP brings one with a mistake, and takes the corrected one', async () => {
    const serving = await start();
    const client = await logIn(alice);
    const good = readFileSync(made.policyFile, 'utf8');

    writeFileSync(made.policyFile, good.replace('default: 8h', 'default: 8 hours'));
    serving.process.kill('SIGHUP');
    await serving.said(/reload refused/);
    const before = await client.sign(newPublicKey(), {});
    expect(lifeOf(before)).toBe(8 * 3_600_000 + 60_000);

    writeFileSync(made.policyFile, good.replace('default: 8h', 'default: 1h'));
    serving.process.kill('SIGHUP');
    await serving.said(/policy and TLS certificate reloaded/);
    const after = await client.sign(newPublicKey(), {});
    expect(lifeOf(after)).toBe(3_600_000 + 60_000);
    client.close();
  });

  it('takes neither policy nor certificate when SIGHUP brings a certificate that does not fit its key', async () => {
    const serving = await start();
    const client = await logIn(alice);
    const policy = readFileSync(made.policyFile, 'utf8');
    const certificate = readFileSync(at('tls', 'server.pem'), 'utf8');
    writeFileSync(made.policyFile, policy.replace('default: 8h', 'default: 1h'));
    writeFileSync(at('tls', 'server.pem'), readFileSync(made.caFile));
    serving.process.kill('SIGHUP');
    await serving.said(/reload refused/);
    const signed = await client.sign(newPublicKey(), {});
    expect(lifeOf(signed)).toBe(8 * 3_600_000 + 60_000);

    const passphrase = readFileSync(at('secrets', 'keys.passphrase'), 'utf8').trim();
    const caKey = await openKeyFile(at('keys', 'tls-ca.key'), 'tls-ca', passphrase);
    const renewed = createCertificate(
      {
        commonName: 'renewed',
        publicKey: new X509Certificate(certificate).publicKey,
        notBeforeMs: Date.now() - 60_000,
        notAfterMs: Date.now() + 86_400_000,
        purpose: { kind: 'tls-server', names: ['127.0.0.1'] },
      },
      caKey,
      { issuer: new X509Certificate(readFileSync(made.caFile)), random: systemRandom },
    );
    writeFileSync(at('tls', 'server.pem'), renewed);
    serving.process.kill('SIGHUP');
    await serving.said(/policy and TLS certificate reloaded/);
    const subject = await new Promise<string>((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: made.port, ca: readFileSync(made.caFile) }, () => {
        resolve(socket.getPeerX509Certificate()?.subject ?? '');
        socket.destroy();
      });
      socket.once('error', reject);
    });
    expect(subject).toBe('CN=renewed');
    client.close();
  });

  it('sees people come, change and go within a second', async () => {
    await start();
    const newcomer = { login: 'nadia', groups: ['users'], password: 'canary-nadia-6Bv1Xs' };
    const people = (action: string, ...more: string[]) =>
      sallyport(['people', action, '--config', made.configFile, ...more], {
        input: `${newcomer.password}\n`,
      });
    const within = async (wanted: string, ask: () => Promise<string>): Promise<void> => {
      const deadlineMs = Date.now() + 1500;
      let found = await ask();
      while (found !== wanted && Date.now() < deadlineMs) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        found = await ask();
      }
      expect(found).toBe(wanted);
    };

    expect(people('add', 'nadia', '--group', 'users', '--password-stdin')).toMatchObject({ status: 0 });
    expect(people('add', 'nadia', '--password-stdin')).toMatchObject({
      status: 1,
      code: 'identity.person_exists',
    });
    expect(people('list').stdout).toContain('nadia');
    await within('done', () => codeOf(logIn(newcomer).then((client) => client.close())));
    const client = await logIn(newcomer);
    expect(await codeOf(client.session())).toBe('done');

    expect(people('remove', 'nadia')).toMatchObject({ status: 0 });
    await within('identity.session_ended', async () => {
      const code = await codeOf(client.session());
      return code === 'identity.session_unknown' ? 'identity.session_ended' : code;
    });
    expect(await codeOf(client.sign(newPublicKey(), {}))).toBe('identity.session_unknown');
    expect(await codeOf(logIn(newcomer))).toBe('identity.login_refused');
    expect(people('remove', 'nadia')).toMatchObject({ status: 1, code: 'identity.unknown_person' });
    client.close();
  });
});
