import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateProofKey } from '../../src/doors/client/index.ts';
import { formatPublicKey, parseOpensshPrivateKey, publicKeyFromKeyObject } from '../../src/ssh/index.ts';
import { group, groupsDn, peopleDn, person, unit } from '../interop/slapd-people.ts';
import {
  alice,
  auditor,
  bob,
  boss,
  makeBrokerFolder,
  startTestBroker,
  type BrokerFolder,
  type TestBroker,
} from '../support/broker.ts';
import { everyFileBelow, leaksIn, type Canary, type Places } from '../support/canaries.ts';
import { configured } from '../support/directories.ts';
import { describeWithPeers } from '../support/peers.ts';
import { runSallyport, serve } from '../support/serve.ts';
import { startSlapd, type Slapd } from '../support/slapd.ts';

const wrongPassword = 'canary-wrong-8Jk4Qs';
const passwordAsName = 'canary-typed-as-name-6Bx';
const passphraseOf = (made: BrokerFolder): string =>
  readFileSync(join(made.folder, 'secrets', 'keys.passphrase'), 'utf8').trim();
const newKey = (): string =>
  formatPublicKey(publicKeyFromKeyObject(generateKeyPairSync('ed25519').publicKey), 'canary');

describe('what the broker leaves behind', () => {
  let broker: TestBroker;
  let places: Places;
  const canaries: Canary[] = [
    { what: 'wrong password', secret: wrongPassword },
    { what: 'password typed as a name', secret: passwordAsName },
  ];

  beforeAll(async () => {
    broker = await startTestBroker();
    const kept = ['broker/secrets/keys.passphrase'];
    canaries.push({ what: 'passphrase', secret: passphraseOf(broker), kept });
    for (const login of [alice.login, 'nobody', passwordAsName]) {
      await broker
        .client()
        .login({ login, password: wrongPassword }, generateProofKey())
        .catch(() => undefined);
    }
    for (const person of [boss, alice, bob, auditor]) {
      const client = await broker.loggedIn(person);
      canaries.push(
        { what: `password of ${person.login}`, secret: person.password },
        { what: `token of ${person.login}`, secret: client.token },
        { what: `proof key of ${person.login}`, secret: secretOf(client.proofKey.privateKey) },
      );
      await client.sign(newKey(), {}).catch(() => undefined);
      await client.sign(newKey(), { principals: ['root'], reason: 'please' }).catch(() => undefined);
      await client.explain({}).catch(() => undefined);
      await client.searchLog({}).catch(() => undefined);
    }
    const admin = await broker.loggedIn(boss);
    await admin.revoke({
      target: { kind: 'person', value: 'bob' },
      reason: 'canary',
      lock: true,
      apply: true,
    });
    const chunks: Buffer[] = [];
    for await (const chunk of await admin.exportLog({})) chunks.push(chunk);
    writeFileSync(join(broker.folder, 'exported.bundle'), Buffer.concat(chunks));
    places = everyFileBelow(broker.folder, 'broker').set('log output', Buffer.from(broker.log()));
  });
  afterAll(() => broker.stop());

  it('is all there to be looked at', () => {
    for (const name of ['data/sallyport.db', 'data/sallyport.db-wal', 'exported.bundle', 'people.json'])
      expect([...places.keys()]).toContain(`broker/${name}`);
    expect(places.get('log output')?.length).toBeGreaterThan(200);
    expect(places.get('broker/exported.bundle')?.includes('auth.login')).toBe(true);
    expect(canaries).toHaveLength(15);
  });

  it('holds no password, token, proof key or passphrase, in any spelling', () => {
    expect(leaksIn(places, canaries)).toEqual([]);
  });
});

/** The private half of a P-256 or Ed25519 key, as bytes. */
function secretOf(key: { export(options: { format: 'jwk' }): { readonly d?: string } }): Buffer {
  const secret = Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url');
  expect(secret).toHaveLength(32);
  return secret;
}

const ldapPerson = { login: 'lena', password: 'canary-lena-1Vb6Ug' };
const policy = `version: 1
roles:
  admin: {groups: [builtin:admins]}
  auditor: {groups: [builtin:auditors]}
profiles:
  staff:
    who: {groups: ["staff:cn=unix,${groupsDn}"]}
    principals: {from: [{attribute: uid}]}
    reason: required
`;

describeWithPeers(
  ['slapd', 'ldapsearch', 'openssl'],
  'what a process, an LDAP login and the CLI leave',
  () => {
    let root: string;
    let slapd: Slapd;
    let made: BrokerFolder;
    let places: Places;
    const canaries: Canary[] = [];

    beforeAll(async () => {
      root = mkdtempSync(join(tmpdir(), 'sallyport-canary-'));
      const uid = ldapPerson.login;
      slapd = await startSlapd(
        [
          ...[peopleDn, groupsDn].map(unit),
          person(uid, { password: ldapPerson.password }),
          person('max', { password: 'canary-max-0Zz', lines: ['pwdReset: TRUE'] }),
          group(`cn=unix,${groupsDn}`, [`uid=${uid},${peopleDn}`]),
        ].join('\n'),
      );
      made = await makeBrokerFolder({ policy, people: [boss, auditor], ...configured({ slapd }) });
      const config = readFileSync(made.configFile, 'utf8');
      writeFileSync(made.configFile, config.replace('level: info', 'level: debug'));
      const said = await everybodysDay();
      places = new Map([
        ...everyFileBelow(made.folder, 'broker'),
        ...everyFileBelow(root, 'home'),
        ...said.map(([name, text]): [string, Buffer] => [name, Buffer.from(text)]),
      ]);
    });
    afterAll(async () => {
      await slapd?.close();
      made?.remove();
      rmSync(root, { recursive: true, force: true });
    });

    /** @returns what the broker and each command said, by name. */
    async function everybodysDay(): Promise<[name: string, text: string][]> {
      const broker = await serve(made.configFile);
      const said: [string, string][] = [];
      const cli = async (who: string, args: readonly string[], stdin = ''): Promise<number | undefined> => {
        const ran = runSallyport(
          args,
          {
            SALLYPORT_URL: made.url,
            SALLYPORT_CA_FILE: made.caFile,
            SALLYPORT_HOME: join(root, who),
            HOME: root,
            SSH_AUTH_SOCK: undefined,
          },
          stdin,
        );
        const code = await ran.ended();
        said.push([`${args.slice(0, 2).join(' ')} of ${who}, #${said.length}`, ran.stdout() + ran.stderr()]);
        return code;
      };
      const { login, password } = ldapPerson;
      const logIn = (who: string, secret: string): Promise<number | undefined> =>
        cli(who, ['login', '--user', who, '--password-stdin', '--reason', 'canary'], secret);
      const keyFile = join(root, 'own.pub');
      writeFileSync(keyFile, `${newKey()}\n`);

      expect(await logIn(login, wrongPassword)).toBe(1);
      expect(await logIn('max', 'canary-max-0Zz')).toBe(1);
      expect(await logIn(login, password)).toBe(0);
      canaries.push({ what: 'token of the session that was replaced', secret: tokenIn(login) });
      expect(await logIn(login, password)).toBe(0);
      expect(await cli(login, ['sign', keyFile, '--json'])).toBe(1);
      expect(await cli(login, ['sign', keyFile, '--reason', 'canary'])).toBe(0);
      expect(await cli(login, ['status', '--json'])).toBe(0);
      expect(await cli(login, ['renew'])).toBe(0);
      expect(await cli(login, ['policy', 'explain'])).toBe(0);
      expect(await cli(login, ['admin', 'revoke', '--serial', '1', '--reason', 'x', '--yes'])).toBe(1);
      expect(await logIn('audrey', auditor.password)).toBe(1); // in, and without a certificate
      expect(await cli('audrey', ['audit', 'search', '--json'])).toBe(0);
      expect(await cli('audrey', ['audit', 'export', '--out', join(root, 'log.bundle')])).toBe(0);
      await slapd.stop();
      expect(await cli(login, ['sign', keyFile, '--reason', 'canary'])).toBe(1);
      expect(await logIn(login, password)).toBe(1);
      expect(await broker.stop()).toBe(0);
      said.push(['standard output of the broker', broker.stdout()], ['standard error', broker.stderr()]);

      const own = join(root, login, 'id_ed25519');
      canaries.push(
        { what: 'password of lena', secret: password },
        { what: 'password of max', secret: 'canary-max-0Zz' },
        { what: 'password of audrey', secret: auditor.password },
        { what: 'wrong password', secret: wrongPassword },
        {
          what: 'password of the service account',
          secret: slapd.service.password,
          kept: ['broker/secrets/staff.password'],
        },
        { what: 'passphrase', secret: passphraseOf(made), kept: ['broker/secrets/keys.passphrase'] },
        { what: 'token of lena', secret: tokenIn(login), kept: ['home/lena/session.json'] },
        { what: 'token of audrey', secret: tokenIn('audrey'), kept: ['home/audrey/session.json'] },
        { what: 'proof key of lena', secret: proofKeyIn(login), kept: ['home/lena/session.json'] },
        {
          what: 'private key of lena',
          secret: secretOf(parseOpensshPrivateKey(readFileSync(own, 'utf8'))),
          kept: ['home/lena/id_ed25519'],
        },
      );
      return said;
    }

    const sessionOf = (who: string): { token: string; proofKey: { d: string } } =>
      JSON.parse(readFileSync(join(root, who, 'session.json'), 'utf8')) as {
        token: string;
        proofKey: { d: string };
      };
    const tokenIn = (who: string): string => sessionOf(who).token;
    const proofKeyIn = (who: string): Buffer => Buffer.from(sessionOf(who).proofKey.d, 'base64url');

    it('is all there to be looked at, and every secret is where it belongs', () => {
      for (const name of ['broker/data/sallyport.db', 'home/log.bundle', 'home/lena/session.json'])
        expect([...places.keys()]).toContain(name);
      expect(places.get('standard output of the broker')?.toString('utf8')).toMatch(
        /identity\.directory_unavailable/,
      );
      expect([...places.keys()].filter((name) => name.includes(' of lena, #')).length).toBeGreaterThan(8);
      expect(canaries).toHaveLength(11);
      for (const { what, secret, kept = [] } of canaries)
        expect(leaksIn(places, [{ what, secret }]), what).toEqual(kept.map((place) => `${what} in ${place}`));
    });

    it('holds no password, token, passphrase or private key anywhere else, in any spelling', () => {
      expect(leaksIn(places, canaries)).toEqual([]);
    });
  },
);
