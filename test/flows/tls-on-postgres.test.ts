import { randomBytes } from 'node:crypto';
import { appendFileSync, cpSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { BrokerClient } from '../../src/doors/client/index.ts';
import { readCrl } from '../../src/x509/index.ts';
import { boss, type BrokerFolder } from '../support/broker.ts';
import { freePort } from '../support/free-port.ts';
import { describeWithPeers } from '../support/peers.ts';
import { brokersOnPostgres, serveAll, type SharedBrokers } from '../support/postgres-brokers.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { bundleOf, clientWith, logInTo, type HeldSession, type Served } from '../support/serve.ts';
import { addTlsAuthority, makeCsr, makeWorkbench, type Workbench } from '../support/tls-authority.ts';

const total = Number(process.env['SALLYPORT_TEST_REVOCATIONS'] ?? 1000);
/** Each of them has four connections. */
const clientsPerBroker = 12;

describeWithPeers(['postgres', 'psql', 'openssl'], 'CRLs of two brokers on one PostgreSQL database', () => {
  let server: PostgresServer;
  let brokers: SharedBrokers;
  let running: Served[] = [];
  let bench: Workbench;
  let session: HeldSession;
  /** Of the listeners for lists, one for each broker. */
  const ports: number[] = [];
  const clients: BrokerClient[] = [];

  const clientsOf = (nth: number): BrokerClient[] =>
    Array.from({ length: clientsPerBroker }, () => {
      const made = clientWith(brokers.folders[nth] as BrokerFolder, session);
      clients.push(made);
      return made;
    });
  const fetchList = async (nth: number, name = 'issuing-1.der'): Promise<Buffer> =>
    Buffer.from(await (await fetch(`http://127.0.0.1:${ports[nth]}/pki/${name}`)).arrayBuffer());

  beforeAll(async () => {
    bench = makeWorkbench();
    server = await startPostgres();
    brokers = await brokersOnPostgres(server, 2, { people: [boss] });
    const [first, second] = brokers.folders as [BrokerFolder, BrokerFolder];
    const { port, folder } = await addTlsAuthority(first, { logon: false });
    ports.push(port, await freePort());
    // The second broker has the same authority, as an operator copies it.
    cpSync(folder, join(second.folder, 'pki'), { recursive: true });
    cpSync(join(first.folder, 'keys'), join(second.folder, 'keys'), { recursive: true });
    cpSync(first.policyFile, join(second.folder, basename(first.policyFile)));
    appendFileSync(
      second.configFile,
      `\ntls-authority:\n  folder: pki\n  address: http://127.0.0.1:${port}\n  listen: 127.0.0.1:${ports[1]}\n`,
    );
    running = await serveAll(brokers);
    session = await logInTo(first, boss);
  });
  afterAll(async () => {
    for (const open of clients) open.close();
    await Promise.all(running.map((broker) => broker.stop()));
    brokers?.remove();
    await server?.close();
    bench?.remove();
  });

  /** A task for each number below `total`, as many at a time as the clients have connections. */
  const inParallel = async (
    among: readonly BrokerClient[],
    task: (client: BrokerClient, nth: number) => Promise<void>,
  ): Promise<void> => {
    let next = 0;
    const work = async (client: BrokerClient): Promise<void> => {
      for (let nth = next++; nth < total; nth = next++) await task(client, nth);
    };
    await Promise.all(among.flatMap((client) => [1, 2, 3, 4].map(() => work(client))));
  };

  /** Further certificates like this one, as rows only: to issue them is another matter, and takes longer than to revoke them. */
  const more = (serial: string, count: number): readonly string[] => {
    const columns =
      'ca_fp, kind, person_id, subject_id, login, profile, common_name, names, key_type, key_fp, not_before, not_after, issued_ms';
    const serials = Array.from({ length: count }, () => `5${randomBytes(20).toString('hex').slice(1)}`);
    server.sql(
      brokers.database,
      `INSERT INTO x509_credential (serial, ${columns})
         SELECT more, ${columns} FROM x509_credential, unnest('{${serials.join(',')}}'::text[]) AS more WHERE serial = '${serial}'`,
    );
    return serials;
  };

  it(`carry each of ${total} revocations at once, under numbers that only rise`, async () => {
    const csr = makeCsr(bench, 'server', { subject: '/CN=as400' });
    const issuing = [clientsOf(0), clientsOf(1)].flat();
    const { issued } = await (issuing[0] as BrokerClient).issueTls({ profile: 'ibmi', csr });
    const serials = [issued.serial, ...more(issued.serial, total - 1)];
    expect(new Set(serials).size).toBe(total);
    const seen: [bigint[], bigint[]] = [[], []];
    const number = (nth: number, bytes: Buffer): ReturnType<typeof readCrl> => {
      const list = readCrl(bytes);
      seen[nth as 0 | 1].push(list.number);
      return list;
    };
    const before = number(0, await fetchList(0)).number;

    const missing: string[] = [];
    await inParallel(issuing, async (client, nth) => {
      const serial = serials[nth] ?? '';
      const target = { kind: 'serial', value: serial } as const;
      await client.revoke({ target, reason: 'lost', lock: false, apply: true });
      if (nth % 10 > 0) return;
      // Whoever was told that it is done finds it in the list that the same broker serves.
      const from = issuing.indexOf(client) < clientsPerBroker ? 0 : 1;
      if (![...number(from, await fetchList(from)).serials()].includes(serial)) missing.push(serial);
    });
    expect(missing).toEqual([]);

    // The last list of all, in whichever broker.

    const published = await numbersInLog();
    const last = published.at(-1) as bigint;
    await expect.poll(async () => number(0, await fetchList(0)).number, { timeout: 10_000 }).toBe(last);
    await expect.poll(async () => number(1, await fetchList(1)).number, { timeout: 10_000 }).toBe(last);
    expect([...number(0, await fetchList(0)).serials()].toSorted()).toEqual(serials.toSorted());
    // The database and the log know each number once, in order; nobody was ever served an older list after a newer one.
    expect(published).toEqual(published.map((_, nth) => BigInt(nth + 1)));
    expect(last).toBeGreaterThan(before);
    expect(published.length).toBeLessThan(total);
    // And openssl reads them all.
    bench.write('full.der', await fetchList(0));
    const text = bench.run('openssl', ['crl', '-inform', 'DER', '-in', 'full.der', '-noout', '-text']);
    expect(text.match(/Serial Number:/g)).toHaveLength(total);
    expect(text).toContain(`X509v3 CRL Number: \n                ${last}\n`);
  }, 120_000);

  /** Of the one authority, in the order of the log. */
  async function numbersInLog(): Promise<readonly bigint[]> {
    const lines = (await bundleOf(brokers.folders[0] as BrokerFolder, session)).toString('utf8').split('\n');
    return lines
      .filter((line) => line.includes('"crl.publish"'))
      .map((line) => BigInt(/"version":"(\d+)"/.exec(line)?.[1] ?? '0'));
  }
});
