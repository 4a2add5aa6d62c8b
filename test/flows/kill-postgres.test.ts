import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectNothingLost, killUnderLoad, moments, revokeEvery } from '../support/kill-under-load.ts';
import { describeWithPeers } from '../support/peers.ts';
import { brokersOnPostgres, type SharedBrokers } from '../support/postgres-brokers.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';

const kills = 56;
/** In every so many rounds it is the server that dies, and the broker must go on by itself. */
const serverEvery = 4;

describeWithPeers(
  ['postgres', 'psql'],
  'kill -9 of a broker on PostgreSQL, or of the server, under load',
  () => {
    let server: PostgresServer;
    let brokers: SharedBrokers;
    beforeAll(async () => {
      server = await startPostgres();
      brokers = await brokersOnPostgres(server, 1);
    });
    afterAll(async () => {
      brokers.remove();
      await server.close();
    });

    it(`leaves no certificate without its entry and loses no revocation, at ${kills} moments`, async () => {
      const [made] = brokers.folders;
      if (made === undefined) throw new Error('there is no broker');
      const survived = await killUnderLoad(made, {
        rounds: kills,
        random: moments(20_261_125),
        async killOther(round) {
          if (round % serverEvery !== serverEvery - 1) return false;
          await server.kill();
          await server.start();
          return true;
        },
      });
      expect(survived.held.length).toBeGreaterThan(kills);
      expect(survived.revoked.length).toBeGreaterThanOrEqual(kills / revokeEvery / 2);
      // The minute goes by after which others take a silent broker for dead, and its serials are declared void.
      server.sql(brokers.database, `UPDATE broker_lease SET seen_at = now() - interval '2 minutes'`);
      await expectNothingLost(made, survived);
    }, 600_000);
  },
);
