import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { verifyBundle } from '../../src/accounting/verify/index.ts';
import { removePerson } from '../../src/identity/index.ts';
import { erasePerson } from '../../src/main/operator/index.ts';
import { newPublicKey } from '../doors/http/support.ts';
import { auditor, bob, boss, type BrokerFolder } from '../support/broker.ts';
import { describeWithPeers } from '../support/peers.ts';
import { brokersOnPostgres, type SharedBrokers } from '../support/postgres-brokers.ts';
import { broker as brokerRole, owner, startPostgres, type PostgresServer } from '../support/postgres.ts';
import { bundleOf, clientWith, logInTo, serve } from '../support/serve.ts';

// A name that no account has: account names stand in certificates, and in the log in clear.
const clara = { login: 'clara.quintessa', groups: ['guests'], password: 'canary-clara-7Pq2Lm' };
const words = ['quintessential task', 'Quintessa left', 'clara.quintessa'];

describeWithPeers(['postgres', 'psql'], 'erasing a person from a PostgreSQL database', () => {
  let server: PostgresServer;
  let brokers: SharedBrokers;
  let made: BrokerFolder;
  beforeAll(async () => {
    server = await startPostgres();
    brokers = await brokersOnPostgres(server, 1, { people: [boss, bob, auditor, clara] });
    [made] = brokers.folders as [BrokerFolder];
    const policy = readFileSync(made.policyFile, 'utf8');
    const guests = `  guests:
    who: { groups: [builtin:guests] }
    principals: { explicit: [guest] }
    lifetime: { default: 1h, max: 1h }
    extensions: [permit-pty]
    reason: optional
`;
    writeFileSync(
      made.policyFile,
      policy.replace(/^profiles:\n/m, (line) => line + guests),
    );
  });
  afterAll(async () => {
    brokers.remove();
    await server.close();
  });

  /** Which of the words the server's files of tables and indexes hold, after everything in its memory was written. */
  const onDisk = (): readonly string[] => {
    server.sql('postgres', 'CHECKPOINT');
    const base = join(server.data, 'base');
    const files = readdirSync(base, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
    const all = files
      .map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'latin1'))
      .join('\n');
    return words.filter((word) => all.includes(word));
  };

  it('leaves the clear values in no file of a table or an index, and the log verifies', async () => {
    let running = await serve(made.configFile);
    const session = await logInTo(made, clara);
    const client = clientWith(made, session);
    await client.sign(newPublicKey(), { reason: 'for the quintessential task' });
    const { id } = (await client.session()).person;
    client.close();
    const admin = clientWith(made, await logInTo(made, boss));
    const target = { kind: 'person', value: id } as const;
    await admin.revoke({ target, reason: 'Clara Quintessa left', lock: true, apply: true });
    await admin.searchLog({ reason: 'quintessential' });
    admin.close();
    await removePerson(made.peopleFile, clara.login);
    // Stopped after half a second of rest: what was said is in the index as well.
    const indexed = 'SELECT (SELECT count(*) FROM log_search) = (SELECT count(*) FROM log_entry)';
    while (server.sql(brokers.database, indexed) !== 't') await new Promise((next) => setTimeout(next, 50));
    expect(await running.stop()).toBe(0);
    expect(onDisk()).toEqual(words);

    // As docs/operations/retention.md says: by the role that owns the tables, which may write them anew.
    const config = readFileSync(made.configFile, 'utf8');
    writeFileSync(made.configFile, config.replace(`//${brokerRole}@`, `//${owner}@`));
    const erased = await erasePerson(
      { configFile: made.configFile, person: clara.login, reason: 'she asked for it', yes: true },
      { note: () => undefined, askSecret: async () => '' },
    );
    expect(erased.value).toMatchObject({ applied: true });
    writeFileSync(made.configFile, config);
    expect(onDisk()).toEqual([]);

    running = await serve(made.configFile);
    const bundle = await bundleOf(made, await logInTo(made, auditor));
    const verdict = await verifyBundle(
      (async function* once() {
        yield bundle;
      })(),
      { verifierKey: readFileSync(made.logKeyFile, 'utf8').trim() },
    );
    expect(verdict.integrity.state).toBe('verified');
    expect(verdict.facts?.erased).toBeGreaterThan(4);
    expect(await running.stop()).toBe(0);
  }, 120_000);
});
