import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { loadConfig } from '../../src/main/config.ts';
import { placeOf } from '../../src/main/database.ts';
import { alice, bob, boss, makeBrokerFolder, startTestBroker } from '../support/broker.ts';
import { describeWithPeers } from '../support/peers.ts';
import {
  addressOf,
  broker,
  doneWith,
  grants,
  newDatabase,
  owner,
  sharedPostgres,
} from '../support/postgres.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { newProtocolHost } from '../support/protocol-host.ts';
import { bundleOf, clientWith, logInTo, serve } from '../support/serve.ts';
import { sallyport } from './child.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-store-commands-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describeWithPeers(['postgres', 'psql'], 'the operator’s commands on PostgreSQL', () => {
  let server: PostgresServer;
  let database: string;
  const url = (role: string): string => `postgres://${role}@127.0.0.1:${server.port}/${database}`;
  const tables = (): string =>
    server.sql(database, `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`);
  beforeAll(async () => {
    server = await sharedPostgres();
  });
  beforeEach(() => {
    database = newDatabase(server);
  });
  afterEach(() => doneWith(database));

  it('init makes a broker on it that serves under a role with fewer rights', async () => {
    const path = join(folder, 'init');
    const ran = sallyport(
      ['init', path, '--yes', '--admin', 'anna', '--password-stdin', '--database', url(owner)],
      {
        input: 'a-password-that-is-long\n',
      },
    );
    expect([ran.status, ran.stderr]).toEqual([0, expect.anything()]);
    expect(existsSync(join(path, 'data'))).toBe(false);
    const configFile = join(path, 'sallyport.yaml');
    expect(placeOf(loadConfig(configFile))).toEqual({
      kind: 'postgres',
      address: addressOf(server, database, owner),
    });
    server.sql(database, grants());
    const config = readFileSync(configFile, 'utf8').replace(url(owner), url(broker)).replaceAll('8443', '0');
    writeFileSync(configFile, config);
    expect(sallyport(['config', 'check', configFile])).toMatchObject({ status: 0 });
    const running = await serve(configFile);
    expect(await running.stop()).toBe(0);
    expect(server.sql(database, 'SELECT size > 2 FROM log_head')).toBe('t');
  });

  it('init does not begin a second log, and leaves no folder behind', () => {
    const init = (name: string) =>
      sallyport(['init', join(folder, name), '--yes', '--json', '--database', url(owner)]);
    expect(init('one').status).toBe(0);
    const again = init('two');
    expect(again.status).toBe(1);
    expect(again.stdout + again.stderr).toContain('store.not_empty');
    expect(existsSync(join(folder, 'two'))).toBe(false);
  });

  it.each([
    ['postgres://anna:secret-word@127.0.0.1/x', 'main.bad_database_url'],
    ['mysql://anna@127.0.0.1/x', 'main.bad_database_url'],
    ['postgres://anna@127.0.0.1/x?sslmode=disable', 'main.bad_database_url'],
  ])('init refuses %s', (bad, code) => {
    const ran = sallyport(['init', join(folder, 'bad'), '--yes', '--json', '--database', bad]);
    expect(ran.status).toBe(1);
    expect(ran.stdout + ran.stderr).toContain(code);
    expect(ran.stdout + ran.stderr).not.toContain('secret-word');
    expect(existsSync(join(folder, 'bad'))).toBe(false);
  });

  it('a broker refuses a database without a schema, one without a log, and one of a newer version', async () => {
    const made = await makeBrokerFolder();
    const config = readFileSync(made.configFile, 'utf8').replace(/^data: data$/m, `database: ${url(broker)}`);
    writeFileSync(made.configFile, config);
    const refusal = (): string => {
      const { stdout, stderr } = sallyport(['serve', '--config', made.configFile, '--json']);
      return stdout + stderr;
    };
    expect(refusal()).toContain('store.missing');
    expect(
      sallyport(['store', 'migrate', '--config', made.configFile, '--database', url(owner)]),
    ).toMatchObject({ status: 0 });
    // Without grants the role sees nothing, and without a log there is no broker.
    server.sql(database, grants());
    expect(refusal()).toContain('store.missing');
    server.sql(
      database,
      `UPDATE schema_version SET version = 999 WHERE version = (SELECT max(version) FROM schema_version)`,
    );
    expect(refusal()).toContain('store.newer_schema');
    expect(
      sallyport(['store', 'migrate', '--config', made.configFile, '--database', url(owner)]).status,
    ).toBe(1);
    made.remove();
  });

  it('migrate rehearses without leaving anything, and then does it', async () => {
    const made = await makeBrokerFolder();
    const config = readFileSync(made.configFile, 'utf8').replace(/^data: data$/m, `database: ${url(owner)}`);
    writeFileSync(made.configFile, config);
    const migrate = (...more: string[]): unknown =>
      JSON.parse(sallyport(['store', 'migrate', '--config', made.configFile, '--json', ...more]).stdout);
    // One file for each step, and none that is not taken.
    const steps = readdirSync(new URL('../../src/store/migrations/postgres', import.meta.url))
      .map((file) => file.replace('.ts', ''))
      .sort();
    const to = steps.length;
    expect(migrate('--dry-run')).toEqual({ from: 0, to, steps, applied: false });
    expect(tables()).toBe('0');
    expect(migrate()).toEqual({ from: 0, to, steps, applied: true });
    expect(Number(tables())).toBeGreaterThan(20);
    expect(migrate()).toEqual({ from: to, to, steps: [], applied: true });
    made.remove();
  });

  it('copy takes an SQLite broker over, with its root, sessions, certificates, hosts and list', async () => {
    const source = await startTestBroker();
    const key = `ssh-ed25519 ${Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.from('ssh-ed25519'), Buffer.from([0, 0, 0, 32]), Buffer.alloc(32, 7)]).toString('base64')}`;
    const session = await logInTo(source, alice);
    const before = clientWith(source, session);
    for (let count = 0; count < 20; count += 1) await before.sign(key, {});
    const admin = await logInTo(source, boss);
    const target = { kind: 'person', value: 'bob' } as const;
    const third = clientWith(source, await logInTo(source, bob));
    await third.sign(key, {}).catch(() => undefined);
    third.close();
    const asAdmin = clientWith(source, admin);
    await asAdmin.revoke({ target, reason: 'left', lock: true, apply: true });
    const tokenAsked = {
      names: ['*.example.com'],
      addresses: [],
      group: 'default',
      maxUses: 2,
      lifeSeconds: 600,
    };
    const { token } = await asAdmin.newHostToken(tokenAsked);
    const [host, later] = [newProtocolHost(), newProtocolHost()];
    const event = (seq: number) => [`alert ${seq} ${new Date().toISOString()} fail2ban banned`];
    await host.enrol(source, token, ['web1.example.com']);
    expect((await host.sync(source)).status).toBe(200);
    expect((await host.report(source, 1n, event(1))).one('next')).toBe('2');
    const hostBefore = await asAdmin.host('web1.example.com');
    const copy = (to = url(owner)) =>
      sallyport(['store', 'copy', '--config', source.configFile, '--to', to, '--json']);
    const early = copy();
    expect([early.status, early.stdout + early.stderr]).toEqual([1, expect.stringContaining('store.in_use')]);
    await source.running.stop();
    before.close();
    asAdmin.close();
    // As a recovery leaves them: the list must go on holding them.
    const file = new DatabaseSync(join(source.folder, 'data', 'sallyport.db'));
    file.exec('INSERT INTO revoked_range SELECT id, 5000, 6000, 99999999999 FROM ca');
    file.close();

    const ran = copy();
    expect([ran.status, ran.stderr]).toEqual([0, expect.anything()]);
    const { size, root } = JSON.parse(ran.stdout) as { size: string; root: string };
    expect(server.sql(database, `SELECT size || ' ' || encode(root, 'hex') FROM log_head`)).toBe(
      `${size} ${root}`,
    );
    const again = copy();
    expect(again.stdout + again.stderr).toContain('store.not_empty');

    server.sql(database, grants());
    const config = readFileSync(source.configFile, 'utf8');
    writeFileSync(source.configFile, `${config}\ndatabase: ${url(broker)}\n`);
    const running = await serve(source.configFile);
    // Proofs of the second in which the memory of the new database began are refused.
    server.sql(
      database,
      'SELECT pg_sleep(greatest(0, born_s - extract(epoch FROM clock_timestamp()))) FROM proof_memory',
    );
    const after = clientWith(source, session);
    const { certificate } = await after.sign(key, {});
    expect(certificate).toContain('ssh-ed25519-cert-v01@openssh.com');
    expect(server.sql(database, 'SELECT DISTINCT first, last FROM revoked_range')).toBe('5000|6000');
    const admins = clientWith(source, admin);
    const { items } = await admins.issued({ person: 'alice' });
    expect(items.length).toBe(21);
    expect((await bundleOf(source, admin)).length).toBeGreaterThan(1000);
    // The same host, with its names, certificates, step and place in its reports; and what is left of the token.
    expect(await admins.host('web1.example.com')).toMatchObject({
      ...hostBefore,
      contact: expect.anything() as unknown,
    });
    expect((await host.sync(source)).status).toBe(200);
    expect((await host.report(source, 2n, event(2))).one('next')).toBe('3');
    expect((await host.renew(source)).all('certificate')).toHaveLength(1);
    expect((await later.enrol(source, token, ['web1.example.com'])).one('error')).toBe('hosts.name_taken');
    expect((await later.enrol(source, token, ['web2.example.com'])).one('status')).toBe('enrolled');
    host.step -= 1n;
    expect((await host.sync(source)).one('error')).toBe('hosts.conflict');
    for (const open of [after, admins]) open.close();
    expect(await running.stop()).toBe(0);
    source.remove();
  }, 120_000);
});
