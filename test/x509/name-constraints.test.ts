import { assert, nat, property } from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createIssuingCertificate, createRootCertificate } from '../../src/issuance/index.ts';
import { isCodedError, systemRandom } from '../../src/kernel/index.ts';
import { createSigner, generatePrivateKey } from '../../src/keys/index.ts';
import {
  constraintsOf,
  encodeName,
  encodePem,
  isBoundNetwork,
  isPermitted,
  nameConstraints,
  oid,
  readCertificate,
  readExtensions,
  type GeneralName,
  type NameConstraints,
  type ReadConstraints,
} from '../../src/x509/index.ts';
import { describeWithPeers } from '../support/peers.ts';
import { makeCsr, makeWorkbench, type Workbench } from '../support/tls-authority.ts';

const bounds = {
  domain: { dns: ['corp.example'], networks: [] },
  both: { dns: ['corp.example', 'as400'], networks: ['10.1.0.0/16', '2001:db8::/32'] },
} as const satisfies Readonly<Record<string, NameConstraints>>;

const read = (constraints: NameConstraints): ReadConstraints =>
  constraintsOf({ extensions: readExtensions(nameConstraints(constraints)) }) ?? expect.unreachable();

describeWithPeers(['openssl'], 'the bounds of an authority', () => {
  let bench: Workbench;

  beforeAll(async () => {
    bench = makeWorkbench();
    const signer = createSigner(await generatePrivateKey('ecdsa-p256'), 'sha256');
    const ends = { notBeforeMs: Date.now() - 3_600_000, notAfterMs: Date.now() + 86_400_000 * 365 };
    const certificate = await createRootCertificate(signer, { commonName: 'Root', ...ends }, systemRandom);
    bench.write('root.pem', encodePem('CERTIFICATE', certificate));
    const urls = { crl: 'http://b/root.crl', issuer: 'http://b/root.cer' };
    for (const [name, constraints] of Object.entries(bounds)) {
      const key = await generatePrivateKey('ecdsa-p256');
      const { publicKey } = createSigner(key);
      const wish = { publicKey, subject: encodeName({ commonName: name }), ...ends, constraints };
      const issued = await createIssuingCertificate({ signer, certificate, urls }, wish, systemRandom);
      bench.write(`${name}.pem`, encodePem('CERTIFICATE', issued));
      bench.write(`${name}.key`, key.export({ format: 'pem', type: 'pkcs8' }));
    }
    makeCsr(bench, 'leaf', { subject: '/CN=a leaf' });
  });
  afterAll(() => bench.remove());

  /** What openssl says of a leaf with these extensions below the authority. */
  const judge = (authority: string, extensions: string): string => {
    bench.write('leaf.ext', `${extensions}\n`);
    const by = ['-CA', `${authority}.pem`, '-CAkey', `${authority}.key`, '-extfile', 'leaf.ext'];
    bench.run('openssl', ['x509', '-req', '-in', 'leaf.csr', '-days', '30', ...by, '-out', 'leaf.pem']);
    const args = ['verify', '-CAfile', 'root.pem', '-untrusted', `${authority}.pem`, 'leaf.pem'];
    try {
      return bench.run('openssl', args);
    } catch (error) {
      return (error as Error).message;
    }
  };

  it.each<[keyof typeof bounds, 'dns' | 'ip', string, boolean]>([
    ['domain', 'dns', 'corp.example', true],
    ['domain', 'dns', 'a.b.corp.example', true],
    ['domain', 'dns', 'evilcorp.example', false],
    ['domain', 'dns', 'corp.example.evil.test', false],
    ['domain', 'dns', 'example', false],
    ['domain', 'ip', '10.1.2.3', false],
    ['domain', 'ip', '2001:db8::1', false],
    ['both', 'dns', 'as400', true],
    ['both', 'dns', 'as4001', false],
    ['both', 'ip', '10.1.255.255', true],
    ['both', 'ip', '10.2.0.0', false],
    ['both', 'ip', '2001:db8:ffff::1', true],
    ['both', 'ip', '2001:db9::1', false],
  ])('%s: %s %s is permitted: %s, and openssl agrees', (name, kind, value, isGood) => {
    expect(isPermitted(read(bounds[name]), { kind, value })).toBe(isGood);
    const said = judge(name, `subjectAltName=${kind.toUpperCase()}:${value}`);
    expect(said).toContain(isGood ? 'leaf.pem: OK' : 'subtree violation');
  });

  it('leave names of people free, which openssl could not judge', () => {
    const upn: GeneralName = { kind: 'upn', value: 'alice@elsewhere.example' };
    expect(isPermitted(read(bounds.both), upn)).toBe(true);
  });

  it('end the path: an authority below it is refused', () => {
    expect(judge('both', 'basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign')).toContain('OK');
    bench.run('openssl', ['x509', '-in', 'leaf.pem', '-out', 'below.pem']);
    makeCsr(bench, 'deep', { subject: '/CN=a leaf below' });
    const by = '-CA below.pem -CAkey leaf.key -days 30 -out deep.pem'.split(' ');
    bench.run('openssl', ['x509', '-req', '-in', 'deep.csr', ...by]);
    bench.write('chain.pem', Buffer.concat([bench.read('both.pem'), bench.read('below.pem')]));
    const args = 'verify -CAfile root.pem -untrusted chain.pem deep.pem'.split(' ');
    expect(bench.fails('openssl', args)).toContain('path length constraint exceeded');
  });

  it('are read back from a certificate as they were written', () => {
    const certificate = bench.run('openssl', ['x509', '-in', 'both.pem']);
    const der = Buffer.from(certificate.replace(/-----[^-]+-----|\n/g, ''), 'base64');
    expect(constraintsOf(readCertificate(der))).toEqual(read(bounds.both));
  });
});

describe('bounds that cannot be kept', () => {
  const constraints = (hex: string): Parameters<typeof constraintsOf>[0] => ({
    extensions: new Map([[oid.nameConstraints, { critical: true, value: Buffer.from(hex, 'hex') }]]),
  });
  it.each([
    ['empty', ''],
    ['no sequence', '0400'],
    ['longer than it says', '300000'],
    ['another list', '3004a2023000'],
    ['a subtree that is none', '3004a0020500'],
    ['a subtree without a base', '3004a0023000'],
    ['a minimum', '300ba00930078202616180010'.padEnd(26, '1')],
    ['a name of a person', '300da00b3009a4073005310330010c'],
    ['an e-mail address', '3008a0063004810261 61'.replace(' ', '')],
    ['an excluded domain', '3008a106300482026161'],
    ['a domain with a dot in front', '3008a10630048202 2e61'.replace(' ', '').replace('a1', 'a0')],
    ['an address without a mask', '300aa0083006870 40a000000'.replace(' ', '')],
    ['a mask with a hole', '300ea00c300a87080a000000ff00ff00'],
    ['an address beyond its mask', '300ea00c300a87080a010203ff000000'],
  ])('are refused: %s', (_, hex) => {
    try {
      constraintsOf(constraints(hex));
    } catch (error) {
      expect(isCodedError(error) && error.code).toMatch(/^x509\.(malformed|bad_name)$/);
      return;
    }
    expect.unreachable();
  });

  it('and whatever else the bytes are, are read or refused by a code', () => {
    const valid =
      readExtensions(nameConstraints(bounds.both)).get(oid.nameConstraints)?.value ?? Buffer.alloc(0);
    assert(
      property(nat(valid.length - 1), nat(255), nat(valid.length), (at, octet, length) => {
        const bytes = Buffer.from(valid);
        bytes[at] = octet;
        try {
          constraintsOf(constraints(bytes.subarray(0, length).toString('hex')));
        } catch (error) {
          return isCodedError(error);
        }
        return true;
      }),
      { seed: 5, numRuns: 3000 },
    );
  });

  it.each(['10.0.0.0', '10.0.0.1/8', '10.0.0.0/33', 'corp.example/8', '10.0.0.0/', '::/129', ''])(
    'are no networks: %j',
    (text) => expect(isBoundNetwork(text)).toBe(false),
  );
});
