import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { isCodedError } from '../../src/kernel/index.ts';
import { init } from '../../src/main/operator/index.ts';
import { sallyport } from './child.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-init-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const quiet = { note: () => undefined, askSecret: async () => '' };
const at = (...names: string[]): string => join(folder, ...names);

const make = async (path: string, dnsNames: readonly string[] = [], password?: string): Promise<string> => {
  const admin = password === undefined ? undefined : { name: 'anna', password };
  try {
    await init({ folder: path, caType: 'ed25519', dnsNames, admin }, quiet);
    return 'done';
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
};

/** Every file and folder below with its mode and content. */
function snapshot(path: string): string[] {
  return (readdirSync(path, { recursive: true }) as string[]).sort().map((name) => {
    const stat = statSync(join(path, name));
    return `${name} ${(stat.mode & 0o777).toString(8)} ${stat.isFile() ? readFileSync(join(path, name), 'hex') : ''}`;
  });
}

describe('init', () => {
  it('makes a folder that check accepts, with its secrets for nobody else', () => {
    const path = at('broker');
    const ran = sallyport(
      ['init', path, '--yes', '--dns', 'Broker.Example.com', '--admin', 'anna', '--password-stdin'],
      {
        input: 'a-password-that-is-long\n',
      },
    );
    expect([ran.status, ran.stderr.includes('a-password')]).toEqual([0, false]);
    expect(JSON.parse(ran.stdout)).toMatchObject({ admin: 'anna', url: 'https://broker.example.com:8443' });
    expect(sallyport(['config', 'check', join(path, 'sallyport.yaml')])).toMatchObject({ status: 0 });
    const modes = snapshot(path).map((line) => line.split(' ').slice(0, 2).join(' '));
    expect(modes).toEqual(
      expect.arrayContaining([
        'keys 700',
        'secrets 700',
        'data 700',
        'tls 700',
        'keys/ssh-user-ca.key 600',
        'keys/ssh-lists.key 600',
        'keys/accounting-log.key 600',
        'keys/tls-ca.key 600',
        'secrets/keys.passphrase 600',
        'tls/server.key 600',
        'people.json 600',
      ]),
    );
    const passphrase = readFileSync(join(path, 'secrets', 'keys.passphrase'), 'utf8').trim();
    for (const name of ['sallyport.yaml', 'policy.yaml', 'people.json', 'keys/ssh-user-ca.key']) {
      const text = readFileSync(join(path, name), 'utf8');
      expect([text.includes(passphrase), text.includes('a-password-that-is-long')]).toEqual([false, false]);
    }
    expect(readFileSync(join(path, 'sallyport.yaml'), 'utf8')).toContain('listen: 0.0.0.0:8443');
  });

  it('changes nothing in a folder that is not empty', () => {
    const path = at('full');
    mkdirSync(path);
    writeFileSync(join(path, '.hidden'), 'mine');
    const before = snapshot(path);
    const ran = sallyport(['init', path, '--yes']);
    expect([ran.status, ran.code]).toEqual([1, 'main.folder_not_empty']);
    expect(snapshot(path)).toEqual(before);
  });

  it('never makes a second broker over the first', async () => {
    const path = at('twice');
    expect(await make(path)).toBe('done');
    const before = snapshot(path);
    expect(await make(path)).toBe('main.folder_not_empty');
    expect(snapshot(path)).toEqual(before);
  });

  it.each<[string, string, string[], string?]>([
    ['a name that is none', 'x509.bad_name', ['bad name']],
    ['a second name that is none', 'x509.bad_name', ['good.example', '*.example']],
    ['a password that is too weak', 'identity.weak_password', [], 'x'],
  ])('leaves nothing when it fails half-way, over %s', async (_what, code, names, password) => {
    expect(await make(at('half', 'way', 'there'), names, password)).toBe(code);
    expect(existsSync(at('half'))).toBe(false);
    mkdirSync(at('empty'));
    expect(await make(at('empty'), names, password)).toBe(code);
    expect(readdirSync(at('empty'))).toEqual([]);
    rmSync(at('empty'), { recursive: true });
  });

  it('says why a folder cannot be made', async () => {
    writeFileSync(at('file'), 'x');
    expect(await make(at('file'))).toBe('main.cannot_write');
    expect(await make(at('file', 'below'))).toBe('main.cannot_write');
    expect(readFileSync(at('file'), 'utf8')).toBe('x');
  });

  it('takes an empty folder as it is', async () => {
    mkdirSync(at('ready'));
    chmodSync(at('ready'), 0o750);
    expect(await make(at('ready'))).toBe('done');
    expect(statSync(at('ready')).mode & 0o777).toBe(0o750);
  });

  it.each([0o777, 0o770])(
    'refuses an empty folder of mode %o, in which others could put their own files',
    async (mode) => {
      mkdirSync(at(`loose-${mode}`));
      chmodSync(at(`loose-${mode}`), mode);
      expect(await make(at(`loose-${mode}`))).toBe('keys.loose_permissions');
      expect(readdirSync(at(`loose-${mode}`))).toEqual([]);
    },
  );

  it('makes other keys and another log each time', async () => {
    for (const name of ['one', 'two']) expect(await make(at(name))).toBe('done');
    for (const file of ['ssh-user-ca.pub', 'accounting-log.vkey', 'tls/ca.pem', 'secrets/keys.passphrase'])
      expect(readFileSync(at('one', file), 'utf8')).not.toBe(readFileSync(at('two', file), 'utf8'));
  });

  it('refuses a password on the command line and one without an admin', () => {
    expect(sallyport(['init', at('no'), '--yes', '--password', 'x'])).toMatchObject({ status: 2 });
    expect(sallyport(['init', at('no'), '--yes', '--password-stdin'])).toMatchObject({
      status: 2,
      code: 'cli.usage',
    });
    expect(existsSync(at('no'))).toBe(false);
  });
});
