import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemRandom } from '../../src/kernel/index.ts';
import { sealStream } from '../../src/keys/index.ts';
import { startBroker, type RunningBroker } from '../../src/main/broker.ts';
import { loadConfig } from '../../src/main/config.ts';
import { backup, recover, restore } from '../../src/main/operator/index.ts';
import { writeMembers, type Member } from '../../src/main/operator/backup-members.ts';
import { newPublicKey } from '../doors/http/support.ts';
import { alice, makeBrokerFolder, type BrokerFolder } from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';
import { handOut } from '../support/handed-out.ts';
import { clientWith, logInTo, serve } from '../support/serve.ts';

const passphrase = 'canary-backup-Zq81 with words';
const answering = (...answers: string[]) => ({
  note: () => undefined,
  askSecret: async () => answers.shift() ?? '',
});

let made: BrokerFolder;
beforeEach(async () => {
  made = await makeBrokerFolder();
  handOut('passphrase of the backup', passphrase);
});
afterEach(() => made.remove());

const at = (...names: string[]): string => join(made.folder, '..', ...names);
const start = (configFile = made.configFile): Promise<RunningBroker> =>
  startBroker({
    config: loadConfig(configFile),
    passphrase: readFileSync(join(made.folder, 'secrets', 'keys.passphrase'), 'utf8').trim(),
    log: pino({ level: 'silent' }),
    version: 'test',
  });
const back = async (name = 'one.sealed', withKeys = true): Promise<string> => {
  const options = { configFile: made.configFile, out: at(name), passphraseFile: undefined, withKeys };
  await backup(options, answering(passphrase, passphrase));
  return at(name);
};
const open = (file: string, out = at('restored'), secret = passphrase): Promise<unknown> =>
  restore({ file, out, passphraseFile: undefined }, answering(secret));
const rename = (configFile: string): void => {
  const text = readFileSync(configFile, 'utf8');
  writeFileSync(configFile, text.replace(/^ {2}origin: (.*)$/m, '  origin: $1.2'));
};

describe('a backup', () => {
  it('is taken from a broker under load, restored, recovered from and started', async () => {
    const running = await serve(made.configFile);
    const client = clientWith(made, await logInTo(made, alice));
    const state = { done: false, issued: 0 };
    const working = Array.from({ length: 4 }, async () => {
      while (!state.done) {
        await client.sign(newPublicKey(), { ttlSeconds: 600 });
        state.issued += 1;
      }
    });
    await back();
    const first = state.issued;
    await back('two.sealed');
    // Nobody was held up for long, and nobody was refused.
    expect(state.issued).toBeGreaterThan(first);
    state.done = true;
    await Promise.all(working);
    client.close();
    expect(await running.stop()).toBe(0);
    expect(readdirSync(join(made.folder, 'data')).filter((name) => name.startsWith('backup-'))).toEqual([]);
    expect(statSync(at('one.sealed')).mode & 0o777).toBe(0o600);
    expect(readFileSync(at('one.sealed')).includes('sallyport.yaml')).toBe(false);

    await open(at('two.sealed'));
    const configFile = at('restored', 'sallyport.yaml');
    for (const name of [
      'policy.yaml',
      'people.json',
      'tls/server.key',
      'keys/ssh-user-ca.key',
      'secrets/keys.passphrase',
    ])
      expect(readFileSync(at('restored', name))).toEqual(readFileSync(join(made.folder, name)));
    expect(await codeOf(start(configFile))).toBe('accounting.no_kept_checkpoint');
    rename(configFile);
    await recover({ configFile, reason: 'x', asItStands: false, yes: true }, answering());
    const restored = await start(configFile);
    expect((await restored.rooms.store.credentials({ live: true, limit: 9, nowMs: Date.now() })).length).toBe(
      0,
    );
    expect((await restored.rooms.store.credentials({ live: false, limit: 1, nowMs: 0 })).length).toBe(1);
    const again = clientWith(made, await logInTo(made, alice));
    expect((await again.sign(newPublicKey(), { ttlSeconds: 600 })).certificate).toContain('ssh-ed25519-cert');
    again.close();
    await restored.stop();
  }, 120_000);

  it('holds what the configuration names, and is not made without a file that it names', async () => {
    const sink = (name: string): string =>
      `  - {name: ${name}, kind: webhook, format: json, url: 'https://127.0.0.1:9/x', secret-file: secrets/${name}.secret}\n`;
    const text = readFileSync(made.configFile, 'utf8');
    writeFileSync(made.configFile, `${text}\nsinks:\n${sink('hook')}`);
    writeFileSync(join(made.folder, 'secrets', 'hook.secret'), 'x'.repeat(40), { mode: 0o600 });
    await (await start()).stop();
    await open(await back());
    expect(readdirSync(at('restored', 'secrets')).sort()).toEqual(['hook.secret', 'keys.passphrase']);
    rmSync(join(made.folder, 'secrets', 'hook.secret'));
    expect(await codeOf(back('two.sealed'))).toBe('main.missing_file');
    await back('three.sealed', false);
    rmSync(join(made.folder, 'policy.yaml'));
    expect(await codeOf(back('four.sealed', false))).toBe('main.missing_file');
    expect(
      readdirSync(at())
        .filter((name) => name.includes('sealed'))
        .sort(),
    ).toEqual(['one.sealed', 'three.sealed']);
  });

  it('is not made where nothing can be written, before anything is copied, nor opened into what is no folder', async () => {
    await (await start()).stop();
    const options = { configFile: made.configFile, passphraseFile: undefined, withKeys: false };
    const told: string[] = [];
    const io = { ...answering(), note: (text: string) => void told.push(text) };
    writeFileSync(at('plain'), '');
    for (const folder of [at('nowhere'), at('plain')])
      expect(await codeOf(backup({ ...options, out: join(folder, 'one.sealed') }, io))).toBe(
        'main.cannot_write',
      );
    expect(told).toEqual([]);
    const file = await back('bare.sealed', false);
    mkdirSync(at('empty'));
    symlinkSync(at('empty'), at('link'));
    expect(await codeOf(open(file, at('link')))).toBe('main.not_empty');
    expect(await codeOf(open(file, at('plain', 'below')))).toBe('main.cannot_write');
    expect(readdirSync(at('empty'))).toEqual([]);
  });

  it('does not take the place of a file that came to be there while it was made', async () => {
    await (await start()).stop();
    const options = {
      configFile: made.configFile,
      out: at('one.sealed'),
      passphraseFile: undefined,
      withKeys: false,
    };
    const io = {
      ...answering(passphrase, passphrase),
      note: (text: string) => {
        if (text.startsWith('Sealing')) writeFileSync(at('one.sealed'), 'of another');
      },
    };
    expect(await codeOf(backup(options, io))).toBe('main.backup_exists');
    expect(readFileSync(at('one.sealed'), 'utf8')).toBe('of another');
    expect(readdirSync(at()).filter((name) => name.includes('.new'))).toEqual([]);
  });

  it('holds no keys and no secrets unless they are asked for', async () => {
    await (await start()).stop();
    await open(await back('bare.sealed', false));
    expect(readdirSync(at('restored')).sort()).toEqual([
      'checkpoint-of-backup',
      'data',
      'manifest.json',
      'people.json',
      'policy.yaml',
      'sallyport.yaml',
      'tls',
    ]);
  });

  it('overwrites nothing, takes no weak passphrase, and leaves nothing when it is refused', async () => {
    writeFileSync(at('there'), 'precious');
    const options = {
      configFile: made.configFile,
      out: at('there'),
      passphraseFile: undefined,
      withKeys: false,
    };
    expect(await codeOf(backup(options, answering(passphrase, passphrase)))).toBe('main.backup_exists');
    expect(readFileSync(at('there'), 'utf8')).toBe('precious');
    const weak = { ...options, out: at('weak') };
    expect(await codeOf(backup(weak, answering('short', 'short')))).toBe('keys.weak_passphrase');
    expect(await codeOf(backup(weak, answering(passphrase, 'other')))).toBe('main.passphrases_differ');
    writeFileSync(at('open.passphrase'), passphrase, { mode: 0o644 });
    const loose = { ...weak, passphraseFile: at('open.passphrase') };
    expect(await codeOf(backup(loose, answering()))).toBe('keys.loose_permissions');
    expect(readdirSync(at()).sort()).toEqual(['broker', 'open.passphrase', 'there']);
    expect(readdirSync(join(made.folder, 'data')).sort()).not.toContain('copy.db');
  });

  it('leaves nothing when a PostgreSQL server cannot be reached', async () => {
    const text = readFileSync(made.configFile, 'utf8');
    writeFileSync(
      made.configFile,
      text.replace(/^data: .*$/m, 'database: { url: "postgres://a@127.0.0.1:1/b" }'),
    );
    expect(await codeOf(back())).toBe('store.unavailable');
    expect(readdirSync(made.folder).filter((name) => name.startsWith('backup-'))).toEqual([]);
    expect(existsSync(at('one.sealed'))).toBe(false);
  });
});

describe('a backup that is not as it was written', () => {
  let bytes: Buffer;
  let pieces: readonly Buffer[];
  const header = (): Buffer => bytes.subarray(0, bytes.indexOf('\n') + 1);
  beforeEach(async () => {
    const running = await start();
    await running.stop();
    bytes = readFileSync(await back());
    const body = bytes.subarray(header().length);
    const size = 64 * 1024 + 16;
    pieces = Array.from({ length: Math.ceil(body.length / size) }, (_, nth) =>
      body.subarray(nth * size, (nth + 1) * size),
    );
  });
  const refused = async (changed: Buffer): Promise<string> => {
    writeFileSync(at('changed'), changed);
    const code = await codeOf(open(at('changed')));
    expect(readdirSync(at()).sort()).toEqual(['broker', 'changed', 'one.sealed']);
    return code;
  };
  const flipped = (offset: number): Buffer => {
    const changed = Buffer.from(bytes);
    changed[offset] = (changed[offset] ?? 0) ^ 1;
    return changed;
  };

  it('is refused with a code, and leaves nothing behind', async () => {
    expect(pieces.length).toBeGreaterThan(2);
    const [first = bytes, second = bytes, ...others] = pieces;
    const last = header().length + (64 * 1024 + 16) * (pieces.length - 1);
    expect(await codeOf(open(at('one.sealed'), at('restored'), `${passphrase}!`))).toBe(
      'keys.wrong_passphrase',
    );
    expect(await refused(flipped(header().length + 5))).toBe('keys.wrong_passphrase');
    for (const offset of [header().length + 64 * 1024 + 20, last + 3, bytes.length - 1])
      expect(await refused(flipped(offset))).toBe('keys.sealed_changed');
    // In the header: another salt is another key, and anything else no header.
    expect(await refused(flipped(header().length - 12))).toMatch(/^keys\.(?:wrong_passphrase|not_sealed)$/);
    expect(await refused(flipped(4))).toBe('keys.not_sealed');
    expect(await refused(bytes.subarray(0, last))).toBe('keys.sealed_cut');
    expect(await refused(header())).toBe('keys.sealed_cut');
    for (const size of [last - 1, bytes.length - 1])
      expect(await refused(bytes.subarray(0, size))).toBe('keys.sealed_changed');
    for (const size of [0, 10]) expect(await refused(bytes.subarray(0, size))).toBe('keys.not_sealed');
    const swapped = [header(), second, first, ...others];
    expect(await refused(Buffer.concat(swapped))).toBe('keys.wrong_passphrase');
    const later = [header(), first, ...others.slice(0, 1), second, ...others.slice(1)];
    expect(await refused(Buffer.concat(later))).toBe('keys.sealed_changed');
    expect(await refused(Buffer.concat([bytes, Buffer.from('x')]))).toBe('keys.sealed_changed');
    expect(await refused(Buffer.concat([bytes, bytes]))).toBe('keys.sealed_changed');
  }, 120_000);

  it('goes into an empty folder only', async () => {
    mkdirSync(at('restored'));
    writeFileSync(at('restored', 'precious'), '');
    expect(await codeOf(open(at('one.sealed')))).toBe('main.not_empty');
    rmSync(at('restored', 'precious'));
    await open(at('one.sealed'));
    expect(existsSync(at('restored', 'manifest.json'))).toBe(true);
    expect(await codeOf(open(at('nowhere'), at('other')))).toBe('main.no_backup');
  });

  /** Sealed well, by somebody who has the passphrase. */
  const sealed = async (members: readonly Member[]): Promise<string> => {
    const chunks: Buffer[] = [];
    for await (const chunk of sealStream(writeMembers(members), passphrase, systemRandom)) chunks.push(chunk);
    return refused(Buffer.concat(chunks));
  };
  const bytesMember = (name: string, text: string | Buffer): Member => ({
    name,
    content: { bytes: Buffer.from(text) },
  });

  it.each(['../out', '/etc/x', 'a/../../b', 'a//b', '.', '', 'a\0b', 'a\\b'])(
    'that names a file %j writes none',
    async (name) => {
      expect(await sealed([bytesMember(name, 'x')])).toBe('main.bad_backup');
    },
  );

  it('that holds another log than its checkpoint says is refused', async () => {
    await open(at('one.sealed'));
    const read = (name: string): Member => bytesMember(name, readFileSync(at('restored', name)));
    const note = readFileSync(at('restored', 'checkpoint-of-backup'), 'utf8');
    const all = ['manifest.json', 'sallyport.yaml', 'data/sallyport.db'].map(read);
    rmSync(at('restored'), { recursive: true });
    expect(
      await sealed([...all, bytesMember('checkpoint-of-backup', note.replace(/\n\d+\n/, '\n2\n'))]),
    ).toBe('main.log_differs');
    expect(await sealed(all)).toBe('main.bad_backup');
    expect(await sealed([])).toBe('main.bad_backup');
  });
});
