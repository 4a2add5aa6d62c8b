import { createHash, randomBytes } from 'node:crypto';
import { createLdapDirectory } from '../../src/identity/index.ts';
import type { Directory } from '../../src/identity/index.ts';
import { LdapConnection } from '../../src/identity/ldap/connection.ts';
import { anyOf, equals } from '../../src/identity/ldap/filter.ts';
import { systemClock } from '../../src/kernel/index.ts';
import { group, groupsDn, peopleDn, person, unit } from '../../test/interop/slapd-people.ts';
import { findPeer } from '../../test/support/peers.ts';
import { startSlapd } from '../../test/support/slapd.ts';
import type { Slapd } from '../../test/support/slapd.ts';
import type { BenchCase } from '../case.ts';
import { around, median, race, rate, speedRatio } from '../measure.ts';
import type { Contender, Sample } from '../measure.ts';
import type { Row } from '../report.ts';
import { newEd25519, signatureLoop } from '../signing.ts';

const inFlight = 8;
const people = 200;
const loginOf = (nth: number): string => `person${nth % people}`;
const passwordOf = (login: string): string => `pw-${login}`;
const dnOf = (login: string): string => `uid=${login},${peopleDn}`;

/** Target 15: logins against a real slapd over ldaps, by the product's directory and by a new connection for each. */
export const ldapLoginCase: BenchCase = {
  name: 'ldap-login',
  async run({ rounds, quick, progress, note }) {
    if (findPeer('slapd') === undefined) {
      note('slapd is not installed: the rows of pooled logins are missing.');
      return [];
    }
    const slapd = await startSlapd(estateLdif());
    const directory = createLdapDirectory(
      {
        name: 'corp',
        servers: [slapd.ldapsUrl],
        caPem: slapd.caPem,
        service: slapd.service,
        peopleBaseDns: [peopleDn],
        groupBaseDns: [groupsDn],
      },
      { clock: systemClock },
    );
    try {
      progress(`${rounds} rounds, ${inFlight} logins in flight`);
      const limit = signatureLoop(newEd25519().privateKey);
      const samples = await race(rounds, {
        limit,
        pooled: logins(quick ? 200 : 2000, (login) => pooledLogin(directory, login)),
        limitAgain: limit,
        fresh: logins(quick ? 40 : 300, (login) => freshLogin(slapd, login)),
      });
      return rowsOf(samples);
    } finally {
      await directory.close();
      await slapd.close();
    }
  },
};

/** People with salted SHA-1 hashes, as many directories still have, each in a group of twenty. */
function estateLdif(): string {
  const logins = Array.from({ length: people }, (_, nth) => loginOf(nth));
  const groups = Array.from({ length: people / 20 }, (_, nth) =>
    group(`cn=team${nth},${groupsDn}`, logins.slice(nth * 20, nth * 20 + 20).map(dnOf)),
  );
  const entries = logins.map((login) => person(login, { password: ssha(passwordOf(login)) }));
  return [unit(peopleDn), unit(groupsDn), ...entries, ...groups].join('\n');
}

function ssha(password: string): string {
  const salt = randomBytes(8);
  const digest = createHash('sha1').update(password).update(salt).digest();
  return `{SSHA}${Buffer.concat([digest, salt]).toString('base64')}`;
}

function logins(count: number, logIn: (login: string) => Promise<void>): Contender {
  return {
    async run() {
      const waiting = Array.from({ length: count }, (_, nth) => loginOf(nth)).values();
      const work = async (): Promise<void> => {
        for (const login of waiting) await logIn(login);
      };
      await Promise.all(Array.from({ length: inFlight }, work));
      return count;
    },
  };
}

async function pooledLogin(directory: Directory, login: string): Promise<void> {
  const answer = await directory.authenticate(login, passwordOf(login));
  if (answer.outcome !== 'accepted' || answer.person.groups.length !== 1)
    throw new Error(`${login} is not let in with a group`);
}

/** The same questions as the directory asks, over two connections that are opened for them: one searches, one binds. */
async function freshLogin({ ldapsUrl, caPem, service }: Slapd, login: string): Promise<void> {
  const address = { host: '127.0.0.1', port: Number(new URL(ldapsUrl).port), security: 'ldaps' } as const;
  const dial = { caPem, connectTimeoutMs: 10_000 };
  const searches = await LdapConnection.open(address, dial);
  const binds = await LdapConnection.open(address, dial);
  try {
    await searches.bind(service.dn, service.password, 10_000);
    const attributes = ['*', 'entryUUID', 'pwdAccountLockedTime', 'pwdReset'];
    const found = { baseDn: peopleDn, scope: 'sub', filter: equals('uid', login), attributes } as const;
    const [entry] = await searches.search(found, 10_000);
    const { resultCode } = await binds.bind(entry?.dn ?? '', passwordOf(login), 10_000);
    if (resultCode !== 0) throw new Error(`${login} is refused`);
    for (let dn = entry?.dn; dn !== undefined;) {
      const filter = anyOf([equals('member', dn), equals('uniqueMember', dn)]);
      const asked = { baseDn: groupsDn, scope: 'sub', filter, attributes: ['1.1'] } as const;
      [{ dn } = { dn: undefined }] = await searches.search(asked, 10_000);
    }
  } finally {
    searches.close();
    binds.close();
  }
}

function rowsOf(samples: Record<'limit' | 'pooled' | 'limitAgain' | 'fresh', readonly Sample[]>): Row[] {
  const { limit, pooled, limitAgain, fresh } = samples;
  const beside = around(limit, limitAgain);
  const cpu = (of: readonly Sample[]): string =>
    `${(median(of.map((sample) => sample.cpu)) * 1e6).toFixed(0)} µs`;
  return [
    {
      target: 15,
      name: 'pooled ldaps login, client CPU in U',
      value: speedRatio(beside, pooled),
      good: 'at most',
      gate: 6,
      stretch: 3.5,
      detail: `${cpu(pooled)} against ${cpu(beside)}: search, bind and groups, ${inFlight} in flight; a new connection each ${cpu(fresh)}`,
    },
    {
      target: 15,
      name: 'pooled ldaps login / new connections for each, wall',
      value: speedRatio(pooled, fresh, 'wall'),
      good: 'at least',
      gate: 8,
      stretch: 20,
      detail: `${rate(pooled, 'wall')} against ${rate(fresh, 'wall')}; slapd runs on the same cores`,
    },
  ];
}
