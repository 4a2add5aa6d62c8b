import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { newPublicKey } from '../doors/http/support.ts';
import { alice, boss, makeBrokerFolder, startTestBroker, type BrokerFolder } from '../support/broker.ts';
import { handOut } from '../support/handed-out.ts';
import { listenTo, logInTo, runSallyport, serve } from '../support/serve.ts';

const service = 'canary-service-5Vq8Yt';
const made = (): Promise<BrokerFolder> =>
  makeBrokerFolder({ people: [boss, alice], files: { 'secrets/staff.password': `${service}\n` } });

/** Ends the folder as every test does. @returns what was found in it */
function leftIn(folder: BrokerFolder): string {
  try {
    folder.remove();
  } catch (error) {
    expect(existsSync(folder.folder)).toBe(false);
    return String(error);
  }
  return 'nothing';
}

/** Every test with a broker ends by looking for the secrets that its helpers gave it. These plant one each. */
describe('the look for secrets at the end of every broker', () => {
  it('finds nothing where each stands in the place that is its own', async () => {
    expect(leftIn(await made())).toBe('nothing');
  });

  it('finds a password in the database, in the write-ahead log of a broker that runs', async () => {
    const broker = await startTestBroker();
    const client = await broker.loggedIn(alice);
    await client.sign(newPublicKey(), { reason: `my password is ${alice.password}` });
    await expect(broker.stop()).rejects.toThrow(/password of alice in broker\/data\/sallyport\.db/);
    expect(existsSync(broker.folder)).toBe(false);
  });

  it.each([
    ['a password', (): string => `{"x":"${alice.password}"}`, 'password of alice'],
    [
      'a password in base64',
      () => Buffer.from(`x:${alice.password}:y`).toString('base64'),
      'password of alice',
    ],
    ['a password in hexadecimal', () => Buffer.from(alice.password).toString('hex'), 'password of alice'],
    ['the password of a service account', () => service, 'staff.password'],
    [
      'the passphrase of the keys',
      ({ folder }: BrokerFolder) => readFileSync(join(folder, 'secrets', 'keys.passphrase'), 'utf8'),
      'keys.passphrase',
    ],
    [
      'a password that a directory gave',
      () => {
        handOut('password of svc', 'Pw-planted-12345');
        return 'Pw-planted-12345';
      },
      'password of svc',
    ],
  ])('finds %s in a file', async (_, textFor, what) => {
    const folder = await made();
    writeFileSync(join(folder.folder, 'data', 'planted'), textFor(folder));
    expect(leftIn(folder)).toMatch(new RegExp(`left behind: ${what} in broker/data/planted$`));
  });

  it('finds in what a process printed a password, and a token that the command line kept', async () => {
    const folder = await made();
    const broker = await serve(folder.configFile);
    const env = {
      SALLYPORT_URL: folder.url,
      SALLYPORT_CA_FILE: folder.caFile,
      SALLYPORT_HOME: join(folder.folder, '..', 'home'),
    };
    const login = ['login', '--user', 'alice', '--password-stdin', '--no-certificate'];
    expect(await runSallyport(login, env, alice.password).ended()).toBe(0);
    const { token } = JSON.parse(readFileSync(join(env.SALLYPORT_HOME, 'session.json'), 'utf8')) as {
      token: string;
    };
    const second = await logInTo(folder, boss);
    expect(await broker.stop()).toBe(0);
    const printed = listenTo(spawn('echo', [alice.password, token, second.token]));
    await printed.ended();
    const place = `output of echo ${printed.process.pid}`;
    const found = ['password of alice', 'token that login left', 'token of boss'];
    expect(leftIn(folder)).toBe(
      `Error: secrets were left behind: ${found.map((what) => `${what} in ${place}`).join('; ')}`,
    );
    // It was told once: the next broker of the file is not blamed for it.
    expect(leftIn(await made())).toBe('nothing');
  });
});
