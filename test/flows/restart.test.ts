import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyBundle } from '../../src/accounting/verify/index.ts';
import { addPerson, removePerson, setDisabled, setGroups } from '../../src/identity/index.ts';
import { isCodedError, systemRandom } from '../../src/kernel/index.ts';
import { newPublicKey } from '../doors/http/support.ts';
import { alice, bob, boss, makeBrokerFolder, type BrokerFolder, type TestPerson } from '../support/broker.ts';
import { describeWithPeers } from '../support/peers.ts';
import {
  bundleOf,
  clientWith,
  logInTo,
  runSallyport,
  serve,
  typeInto,
  type HeldSession,
  type Served,
} from '../support/serve.ts';

let made: BrokerFolder;
let serving: Served | undefined;
beforeAll(async () => {
  made = await makeBrokerFolder();
});
afterAll(async () => {
  await serving?.stop();
  made.remove();
});

async function start(env: Record<string, string> = {}): Promise<Served> {
  serving = await serve(made.configFile, env);
  return serving;
}

async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | undefined> {
  const ending = serving;
  serving = undefined;
  ending?.process.kill(signal);
  return ending?.ended();
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'accepted';
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
}

async function sign(session: HeldSession): Promise<bigint> {
  const client = clientWith(made, session);
  try {
    return (await client.sign(newPublicKey(), {})).serial;
  } finally {
    client.close();
  }
}

const wrong = (person: TestPerson): Promise<string> =>
  codeOf(logInTo(made, { login: person.login, password: 'wrong' }));

describe('a broker that is stopped and started again', () => {
  it('still knows its sessions, and who guessed too often', async () => {
    await start();
    const session = await logInTo(made, alice);
    await sign(session);
    for (let attempt = 0; attempt < 3; attempt += 1) expect(await wrong(bob)).toBe('identity.login_refused');
    expect(await end('SIGTERM')).toBe(0);

    await start();
    expect(await sign(session)).toBe(2n);
    // The pause of 5 s may be over by now; then this is the fourth failure, which costs 10 s. Forgotten, both would be free.
    expect([await wrong(bob), await wrong(bob)]).toContain('identity.throttled');
  });

  it('has used each serial once, by a certificate or by a void entry, whatever ended it', async () => {
    const session = await logInTo(made, boss);
    const issued = [1n, 2n, await sign(session), await sign(session)];
    expect(await end('SIGTERM')).toBe(0);
    await start();
    // A clean stop gives back what was not used.
    issued.push(await sign(session));
    expect(issued).toEqual([1n, 2n, 3n, 4n, 5n]);
    for (let kill = 0; kill < 2; kill += 1) {
      expect(await end('SIGKILL')).toBeUndefined();
      await start();
      issued.push(await sign(session));
    }

    const bytes = await bundleOf(made, session);
    const entries = bytes
      .toString('utf8')
      .split('\n')
      .filter((line) => line.startsWith('{"') && line.includes('"type":"cred.'))
      .map((line) => JSON.parse(line) as { type: string; cred: Record<string, string> });
    const used = entries.flatMap(({ type, cred }) => {
      if (type === 'cred.issue') return [BigInt(cred['serial'] ?? 0)];
      const [first, last] = [BigInt(cred['serial_first'] ?? 0), BigInt(cred['serial_last'] ?? 0)];
      return Array.from({ length: Number(last - first) + 1 }, (_, nth) => first + BigInt(nth));
    });
    expect(entries.filter(({ type }) => type === 'cred.void')).toHaveLength(2);
    expect(used.filter((serial) => issued.includes(serial))).toEqual(issued);
    expect(used.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(used.map((_, nth) => BigInt(nth + 1)));

    const bundle = join(made.folder, 'log.bundle');
    writeFileSync(bundle, bytes);
    const verdict = await verifyBundle(bundle, { verifierKey: readFileSync(made.logKeyFile, 'utf8').trim() });
    expect([verdict.exitCode, verdict.completeness.state]).toEqual([0, 'verified']);
  });

  it('has an entry for each person who was added, changed or removed while it was down, and none twice', async () => {
    const changes = async (): Promise<unknown[]> => {
      const client = clientWith(made, await logInTo(made, boss));
      const found = await client.searchLog({ type: 'directory.change', limit: '100' });
      client.close();
      return found.items.map(({ entry, openings }) => {
        const { change } = entry as { change: { what: string[]; after: { groups: string[] } | null } };
        return [...change.what, openings?.['subject.name'], change.after?.groups];
      });
    };
    const inOrder = (list: unknown[]): unknown[] => list.toSorted((a, b) => (String(a) < String(b) ? -1 : 1));
    if (serving === undefined) await start();
    // The first start of all found three people whom nobody had told it of.
    const first = await changes();
    expect(inOrder(first)).toEqual([
      ['added', 'alice', ['users']],
      ['added', 'audrey', ['auditors']],
      ['added', 'bob', ['users']],
      ['added', 'boss', ['admins', 'users']],
    ]);

    expect(await end('SIGTERM')).toBe(0);
    const deps = { random: systemRandom, cost: { N: 2 ** 14, r: 8, p: 1 } };
    const zed = { login: 'zed', groups: ['admins'], password: 'canary-zed-6Tg2Hw' };
    await addPerson(made.peopleFile, zed, deps);
    await setGroups(made.peopleFile, { login: 'bob', groups: ['admins', 'users'] });
    await setDisabled(made.peopleFile, { login: 'bob', disabled: true });
    await removePerson(made.peopleFile, 'audrey');
    await start();
    const second = await changes();
    expect(inOrder(second.slice(0, -first.length))).toEqual([
      ['added', 'zed', ['admins']],
      ['groups', 'disabled', 'bob', ['admins', 'users']],
      ['removed', undefined, undefined],
    ]);

    expect(await end('SIGTERM')).toBe(0);
    await setDisabled(made.peopleFile, { login: 'bob', disabled: false });
    await setGroups(made.peopleFile, { login: 'bob', groups: ['users'] });
    await start();
    expect((await changes()).slice(0, -second.length)).toEqual([['groups', 'enabled', 'bob', ['users']]]);
  });

  it('keeps the policy in force when SIGHUP brings a broken one, and says where it is broken', async () => {
    const broker = serving ?? (await start());
    const session = await logInTo(made, alice);
    const good = readFileSync(made.policyFile, 'utf8');
    const lines = good.split('\n');
    const line = lines.findIndex((text) => text.includes('default: 8h'));
    const column = (lines[line] ?? '').indexOf('8h');

    let heard = broker.length();
    writeFileSync(made.policyFile, good.replace('default: 8h', 'default: 8 hours'));
    broker.process.kill('SIGHUP');
    await broker.said(/reload refused/, heard);
    expect(broker.stdout()).toContain(`${made.policyFile}:${line + 1}:${column + 1}: `);
    expect(broker.stdout()).toContain('"code":"policy.invalid"');
    expect(broker.stdout()).not.toMatch(/"stack"|\bat .*\.ts:\d/);
    expect(await codeOf(sign(session))).toBe('accepted');

    heard = broker.length();
    writeFileSync(made.policyFile, good.replace('builtin:users', 'builtin:nobody-at-all'));
    broker.process.kill('SIGHUP');
    await broker.said(/policy and TLS certificate reloaded/, heard);
    expect(await codeOf(sign(session))).toBe('policy.no_profile');

    heard = broker.length();
    writeFileSync(made.policyFile, good);
    broker.process.kill('SIGHUP');
    await broker.said(/policy and TLS certificate reloaded/, heard);
    expect(await codeOf(sign(session))).toBe('accepted');
  });

  it('does not let a second one at its data', async () => {
    const session = await logInTo(made, alice);
    const second = runSallyport(['serve', '--config', made.configFile]);
    expect(await second.ended()).toBe(1);
    expect(second.stderr()).toMatch(/Another broker is running on this data folder[^\n]*\n {2}next: Stop it/);
    expect(second.stdout()).toBe('');
    expect(await codeOf(sign(session))).toBe('accepted');
    expect(await end('SIGTERM')).toBe(0);
  });
});

describeWithPeers(['script'], 'the passphrase of the keys', () => {
  let passphrase: string;
  let config: string;
  beforeAll(async () => {
    const file = join(made.folder, 'secrets', 'keys.passphrase');
    passphrase = readFileSync(file, 'utf8').trim();
    renameSync(file, join(made.folder, '..', 'elsewhere'));
    config = readFileSync(made.configFile, 'utf8');
  });
  const from = (source: string): void =>
    writeFileSync(made.configFile, config.replace('file: secrets/keys.passphrase', source));
  const variable = 'SALLYPORT_KEYS_PASSPHRASE';

  it('comes from an environment variable', async () => {
    from(`environment: ${variable}`);
    const broker = await start({ [variable]: passphrase });
    expect(await codeOf(logInTo(made, alice))).toBe('accepted');
    expect(await end('SIGTERM')).toBe(0);
    expect(broker.stdout() + broker.stderr()).not.toContain(passphrase);
  });

  it.each([
    ['missing', undefined, /the environment variable SALLYPORT_KEYS_PASSPHRASE is not set/],
    ['empty', '', /the environment variable SALLYPORT_KEYS_PASSPHRASE is not set/],
    ['wrong', 'canary-wrong-passphrase', /the passphrase is wrong or the file was changed/],
  ])('is refused when the variable is %s', async (_, value, message) => {
    from(`environment: ${variable}`);
    const refused = runSallyport(['serve', '--config', made.configFile], { [variable]: value });
    expect(await refused.ended()).toBe(1);
    expect(refused.stderr()).toMatch(message);
    expect(refused.stderr()).not.toContain('canary-wrong-passphrase');
  });

  it('comes from whoever sits at the terminal, unseen', async () => {
    from('prompt: true');
    const typed = typeInto(['serve', '--config', made.configFile]);
    await typed.said(/Passphrase of the CA keys/);
    typed.process.stdin?.write(`${passphrase}\r`);
    await typed.said(/is ready/);
    expect(await codeOf(logInTo(made, alice))).toBe('accepted');
    typed.process.stdin?.write('\u0003');
    expect(await typed.ended()).toBe(0);
    expect(typed.stdout()).not.toContain(passphrase);
  });

  it.each([
    ['a wrong one', 'canary-wrong-passphrase\r', 1, /the passphrase is wrong or the file was changed/],
    ['Ctrl-C', '\u0003', 130, /Passphrase of the CA keys/],
  ])('is not guessed: %s at the terminal ends it', async (_, keys, code, message) => {
    from('prompt: true');
    const typed = typeInto(['serve', '--config', made.configFile]);
    await typed.said(/Passphrase of the CA keys/);
    typed.process.stdin?.write(keys);
    expect(await typed.ended()).toBe(code);
    expect(stripVTControlCharacters(typed.stdout()).replaceAll(/\s+/g, ' ')).toMatch(message);
    expect(typed.stdout()).not.toContain('canary-wrong-passphrase');
  });

  it('is asked of nobody where there is no terminal', async () => {
    from('prompt: true');
    const refused = runSallyport(['serve', '--config', made.configFile]);
    expect(await refused.ended()).toBe(2);
    expect(refused.stderr()).toMatch(/There is no terminal to ask/);
  });
});
