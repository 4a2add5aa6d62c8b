import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { verifyBundle } from '../../src/accounting/verify/index.ts';
import { backup, recover, restore } from '../../src/main/operator/index.ts';
import { readDumpedLog } from '../../src/store/index.ts';
import { parseCertificate, parseKrl } from '../../src/ssh/index.ts';
import { newPublicKey } from '../doors/http/support.ts';
import { alice, boss, type BrokerFolder } from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';
import { handOut } from '../support/handed-out.ts';
import { describeWithPeers } from '../support/peers.ts';
import { brokersOnPostgres, type SharedBrokers } from '../support/postgres-brokers.ts';
import {
  broker,
  grants,
  newDatabase,
  owner,
  startPostgres,
  type PostgresServer,
} from '../support/postgres.ts';
import { bundleOf, clientWith, logInTo, runSallyport, serve } from '../support/serve.ts';

const passphrase = 'canary-backup-Pg63 with words';
const answering = (...answers: string[]) => ({
  note: () => undefined,
  askSecret: async () => answers.shift() ?? '',
});

describeWithPeers(['postgres', 'psql'], 'a backup of a broker on PostgreSQL', () => {
  let server: PostgresServer;
  let brokers: SharedBrokers;
  let made: BrokerFolder;
  beforeAll(async () => {
    server = await startPostgres();
    brokers = await brokersOnPostgres(server, 1);
    [made] = brokers.folders as [BrokerFolder];
    handOut('passphrase of the backup', passphrase);
  });
  afterAll(async () => {
    brokers.remove();
    await server.close();
  });

  it('is taken while it runs, restored, loaded into another database, recovered from and started', async () => {
    const running = await serve(made.configFile);
    const client = clientWith(made, await logInTo(made, alice));
    const sign = async (): Promise<string> =>
      (await client.sign(newPublicKey(), { ttlSeconds: 600 })).certificate;
    const before = [await sign()];
    const state = { over: false };
    const working = (async () => {
      while (!state.over) before.push(await sign());
    })();
    const file = join(made.folder, '..', 'pg.sealed');
    const options = { configFile: made.configFile, out: file, passphraseFile: undefined, withKeys: true };
    const taken = await backup(options, answering(passphrase, passphrase));
    state.over = true;
    await working;
    const after = await sign();
    client.close();
    expect(await running.stop()).toBe(0);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file).includes('log_entry')).toBe(false);

    const out = join(made.folder, '..', 'restored');
    await expect(codeOf(restore({ file, out, passphraseFile: undefined }, answering('wrong')))).resolves.toBe(
      'keys.wrong_passphrase',
    );
    const restored = await restore({ file, out, passphraseFile: undefined }, answering(passphrase));
    expect(restored.value).toMatchObject({ log: (taken.value as { log: object }).log });

    // The very line that an operator is told.
    const database = newDatabase(server);
    const url = (role: string): string => `postgres://${role}@127.0.0.1:${server.port}/${database}`;
    const line = restored.lines.find((one) => one.includes('pg_restore'));
    const [program = '', ...args] = (line ?? '')
      .replace('next: ', '')
      .replace('postgres://OWNER@HOST/NAME', url(owner))
      .split(' ');
    const loaded = spawnSync(program, args, { encoding: 'utf8' });
    expect([loaded.status, loaded.stderr]).toEqual([0, '']);
    server.sql(database, grants());

    const configFile = join(out, 'sallyport.yaml');
    const configure = (role: string): void => {
      const text = readFileSync(configFile, 'utf8');
      writeFileSync(configFile, text.replace(/^database: .*$/m, `database: ${url(role)}`));
    };
    configure(broker);
    cpSync(join(made.folder, 'log-checkpoint'), join(out, 'log-checkpoint'));
    const refused = runSallyport(['serve', '--config', configFile]);
    expect(await refused.ended()).not.toBe(0);
    expect(refused.stderr()).toContain('audit recover');

    const text = readFileSync(configFile, 'utf8');
    writeFileSync(configFile, text.replace(/^ {2}origin: (.*)$/m, '  origin: $1.2'));
    const again = (yes: boolean) =>
      recover(
        { configFile, reason: 'disk lost', yes, asItStands: false },
        { note: () => undefined, askSecret: async () => '' },
      );
    expect((await again(false)).value).toMatchObject({ applied: false, found: 'rolled_back' });
    expect(await codeOf(again(true))).toBe('store.not_owner');
    configure(owner);
    const done = await again(true);
    expect(done.value).toMatchObject({ applied: true, found: 'rolled_back' });
    configure(broker);

    const restarted = await serve(configFile);
    const moved = { ...made, folder: out, configFile };
    const anew = clientWith(moved, await logInTo(moved, alice));
    const krl = parseKrl(await anew.krl());
    const isRevoked = (certificate: string): boolean => {
      const { key, caKey, serial, keyId } = parseCertificate(certificate);
      return krl.isRevoked({ key: key.blob, caKey: caKey.blob, serial, keyId }).revoked;
    };
    expect([...before, after].filter((one) => !isRevoked(one))).toEqual([]);
    const { certificate } = await anew.sign(newPublicKey(), { ttlSeconds: 600 });
    expect(isRevoked(certificate)).toBe(false);
    anew.close();
    const bundle = await bundleOf(moved, await logInTo(moved, boss));
    expect(await restarted.stop()).toBe(0);
    const { verifierKey, archive } = done.value as { verifierKey: string; archive: { file: string } };
    const judge = (bytes: Buffer, key: string) =>
      verifyBundle(
        (async function* once() {
          yield bytes;
        })(),
        { verifierKey: key },
      );
    expect(await judge(bundle, verifierKey)).toMatchObject({
      exitCode: 0,
      completeness: { state: 'verified' },
    });
    const oldKey = readFileSync(made.logKeyFile, 'utf8').trim();
    expect((await judge(readFileSync(archive.file), oldKey)).integrity.state).toBe('verified');
    expect(() => server.sql(database, 'DELETE FROM log_entry')).toThrow('append-only');
  }, 300_000);

  it.each([
    ['nothing', ''],
    ['noise', 'PGDMP and then something else'],
    ['plain SQL', 'COPY public.log_entry (idx, leaf_hash, entry) FROM stdin;\n'],
  ])('is not read when it holds %s', async (_what, content) => {
    const file = join(made.folder, 'odd.dump');
    writeFileSync(file, content);
    const found: bigint[] = [];
    expect(await codeOf(readDumpedLog(file, (index) => found.push(index)))).toBe('store.dump_failed');
    expect(found).toEqual([]);
  });

  it('says which program is missing', async () => {
    const { PATH } = process.env;
    process.env['PATH'] = made.folder;
    try {
      expect(await codeOf(readDumpedLog(join(made.folder, 'any.dump'), () => undefined))).toBe(
        'store.no_pg_dump',
      );
    } finally {
      process.env['PATH'] = PATH;
    }
  });
});
