import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { revocationCodes } from '../../src/broker/index.ts';
import {
  alice,
  boss,
  makeBrokerFolder,
  startBrokerIn,
  type LoggedInClient,
  type TestBroker,
} from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';
import { describeWithPeers } from '../support/peers.ts';
import {
  addTlsAuthority,
  makeCsr,
  makeWorkbench,
  type TestAuthority,
  type Workbench,
} from '../support/tls-authority.ts';

/** As openssl calls them. */
const spoken: Readonly<Record<string, string>> = {
  keyCompromise: 'Key Compromise',
  affiliationChanged: 'Affiliation Changed',
  superseded: 'Superseded',
  cessationOfOperation: 'Cessation Of Operation',
  privilegeWithdrawn: 'Privilege Withdrawn',
};

describeWithPeers(['openssl'], 'the reason code of a revocation', () => {
  let broker: TestBroker;
  let authority: TestAuthority;
  let bench: Workbench;
  let admin: LoggedInClient;

  beforeAll(async () => {
    bench = makeWorkbench();
    const made = await makeBrokerFolder();
    authority = await addTlsAuthority(made);
    broker = await startBrokerIn(made);
    admin = await broker.loggedIn(boss);
    for (const name of ['root', 'issuing-1'])
      bench.write(`${name}.pem`, readFileSync(join(authority.folder, `${name}.pem`)));
  });
  afterAll(async () => {
    await broker.stop();
    bench.remove();
  });

  const issue = async (client: LoggedInClient, profile: string): Promise<string> => {
    const csr = makeCsr(bench, 'next', profile === 'ibmi' ? { subject: '/CN=as400' } : {});
    return (await client.issueTls({ profile, csr })).issued.serial;
  };
  /** @returns by serial, what openssl reads in the list: the code, or nothing */
  const listed = async (): Promise<ReadonlyMap<string, string | undefined>> => {
    const answer = await fetch(`${authority.address}/pki/issuing-1.pem`);
    bench.write('list.pem', await answer.text());
    const text = bench.run('openssl', ['crl', '-in', 'list.pem', '-noout', '-text']);
    const [, ...entries] = text.split('Serial Number: ');
    return new Map(
      entries.map((entry) => [
        entry.slice(0, 40).toLowerCase(),
        /CRL Reason Code: \n\s+(.*)/.exec(entry)?.[1],
      ]),
    );
  };
  const ocsp = (serial: string): Promise<string> =>
    bench.ask('openssl', [
      ...`ocsp -issuer issuing-1.pem -CAfile root.pem -verify_other issuing-1.pem -serial 0x${serial}`.split(
        ' ',
      ),
      '-url',
      `${authority.address}/ocsp`,
    ]);

  it('that an admin gives stands in list, OCSP, row and log', async () => {
    const serials = new Map<string, string>();
    for (const reasonCode of revocationCodes) {
      const serial = await issue(admin, 'ibmi');
      serials.set(reasonCode, serial);
      const target = { kind: 'serial', value: serial } as const;
      const done = await admin.revoke({ target, reason: 'test', reasonCode, lock: false, apply: true });
      expect(done.tlsCredentials).toMatchObject([{ serial, revokedCode: reasonCode }]);
    }
    const list = await listed();
    const { items } = await admin.searchLog({ type: 'cred.revoke', limit: '100' });
    const logged = new Map(
      items.map(({ entry }) => {
        const cred = entry['cred'] as { serial: string; crl_reason: string } | undefined;
        return [cred?.serial, cred?.crl_reason];
      }),
    );
    for (const [code, serial] of serials) {
      expect([code, list.get(serial)]).toEqual([code, spoken[code]]);
      expect(logged.get(serial)).toBe(code);
      const answer = await ocsp(serial);
      expect(answer).toMatch(/: revoked[\s\S]*Response verify OK|Response verify OK[\s\S]*: revoked/);
      const [, said] = /Reason: (\S+)/.exec(answer) ?? [];
      // openssl's ocsp has no name for the last one.
      expect([code, code === 'privilegeWithdrawn' ? '(UNKNOWN)' : spoken[code] && code]).toEqual([
        code,
        said,
      ]);
    }
    expect(list.has(serials.get('unspecified') ?? '')).toBe(true);
  });

  it('goes with the target when nobody gives one', async () => {
    const user = await broker.loggedIn(alice);
    const [own, server, lost] = [
      await issue(user, 'signon'),
      await issue(admin, 'ibmi'),
      await issue(admin, 'ibmi'),
    ];
    const { items } = await admin.listTls({});
    const key = items.find(({ serial }) => serial === lost)?.keyFingerprint ?? '';
    const revoke = (kind: 'person' | 'serial' | 'key', value: string): Promise<unknown> =>
      admin.revoke({ target: { kind, value }, reason: 'test', lock: false, apply: true });
    await revoke('person', 'alice');
    await revoke('serial', server);
    await revoke('key', key);
    const list = await listed();
    expect([own, server, lost].map((serial) => list.get(serial))).toEqual([
      'Privilege Withdrawn',
      undefined,
      'Key Compromise',
    ]);
  });

  it('is one of a few: a hold could be lifted, and revoked is for ever', async () => {
    const target = { kind: 'serial', value: await issue(admin, 'ibmi') } as const;
    for (const reasonCode of ['certificateHold', 'removeFromCRL', 'cACompromise', 'KeyCompromise', ''])
      expect(
        await codeOf(
          admin.revoke({
            target,
            reason: 'x',
            reasonCode: reasonCode as 'unspecified',
            lock: false,
            apply: true,
          }),
        ),
      ).toBe('http.bad_request');
    const [first] = (await admin.listTls({ limit: '1' })).items;
    expect(first).toMatchObject({ serial: target.value, state: 'live' });
  });
});
