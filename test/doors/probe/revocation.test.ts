import { once } from 'node:events';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createRevocationCheck, parseLists } from '../../../src/doors/probe/index.ts';
import * as fc from 'fast-check';
import { systemClock } from '../../../src/kernel/index.ts';
import { makeTestAuthority, type TestAuthority } from '../../support/ibmi-tls.ts';
import { codeOfSync } from '../../support/code-of.ts';
import { describeWithPeers } from '../../support/peers.ts';

describeWithPeers(['openssl'], 'whether a certificate is revoked', () => {
  let folder: string;
  let authority: TestAuthority;
  let stranger: TestAuthority;
  let server: Server;
  let served: { readonly status: number; readonly bytes: Buffer };
  let asked: string[] = [];
  let address: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-revocation-'));
    authority = makeTestAuthority(join(folder, 'ours'), 'ours');
    // Of the same name and with another key.
    stranger = makeTestAuthority(join(folder, 'theirs'), 'ours');
    server = createServer((request, answer) => {
      asked.push(request.url ?? '');
      answer.writeHead(served.status, { location: '/elsewhere.crl' }).end(served.bytes);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/ours.crl`;
  });
  beforeEach(() => {
    asked = [];
  });
  afterAll(() => {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  let count = 0;
  const issue = (at = address): { word: string; certificate: X509Certificate } => {
    count += 1;
    const word = `s${count}`;
    const { certificate } = authority.issue(word, {
      names: 'DNS:prod',
      extensions: [`crlDistributionPoints=URI:${at}`],
    });
    return { word, certificate: new X509Certificate(certificate) };
  };
  const issuer = (): X509Certificate => new X509Certificate(authority.issuing);
  const serve = (bytes: Buffer, status = 200): void => {
    served = { status, bytes };
  };

  it('is told by the list that it names, which is fetched once', async () => {
    const [good, bad] = [issue(), issue()];
    authority.revoke(bad.word);
    serve(authority.crl());
    const check = createRevocationCheck({ clock: systemClock });
    expect(await Promise.all([check(good.certificate, issuer()), check(bad.certificate, issuer())])).toEqual([
      'good',
      'revoked',
    ]);
    expect(asked).toEqual(['/ours.crl']);
  });

  it.each([
    ['is signed by somebody else of that name', () => serve(stranger.crl()), undefined],
    ['is none', () => serve(Buffer.from('<html>')), undefined],
    ['is changed in a bit', () => serve(flipped(authority.crl())), undefined],
    ['is elsewhere', () => serve(authority.crl(), 302), undefined],
    ['is gone', () => serve(Buffer.alloc(0), 404), undefined],
    ['is past its time', () => serve(authority.crl()), 9 * 86_400_000],
  ])('is not known when the list %s', async (_title, prepare, laterMs = 0) => {
    const { certificate } = issue();
    prepare();
    const check = createRevocationCheck({ clock: { nowMs: () => Date.now() + laterMs } });
    expect(await check(certificate, issuer())).toBe('unknown');
    expect(asked).toEqual(['/ours.crl']);
  });

  it('is not known, and soon so, when a server takes the question and does not answer', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const { certificate } = issue(`http://127.0.0.1:${port}/ours.crl`);
    expect(await createRevocationCheck({ clock: systemClock, waitMs: 100 })(certificate, issuer())).toBe(
      'unknown',
    );
    // Nor does one that never comes to an end keep anybody.
    const endless = createServer((_request, answer) => {
      const drip = setInterval(() => answer.write('x'), 20);
      answer.on('close', () => clearInterval(drip));
    }).listen(0, '127.0.0.1');
    await once(endless, 'listening');
    const other = issue(`http://127.0.0.1:${(endless.address() as AddressInfo).port}/ours.crl`);
    expect(
      await createRevocationCheck({ clock: systemClock, waitMs: 100 })(other.certificate, issuer()),
    ).toBe('unknown');
    for (const one of [silent, endless]) {
      one.closeAllConnections();
      one.close();
    }
  });

  it('is told by a list at hand, and nothing is fetched of whom it speaks', async () => {
    const [good, bad] = [issue(), issue()];
    authority.revoke(bad.word);
    const given = parseLists(authority.crl());
    const states = async (laterMs: number): Promise<readonly string[]> => {
      const check = createRevocationCheck({ clock: { nowMs: () => Date.now() + laterMs }, given });
      return Promise.all([check(good.certificate, issuer()), check(bad.certificate, issuer())]);
    };
    expect(await states(0)).toEqual(['good', 'revoked']);
    // Revoked is for ever; who is good, an old list does not know.
    expect(await states(9 * 86_400_000)).toEqual(['unknown', 'revoked']);
    expect(asked).toEqual([]);
    // Somebody else's list of the same name speaks of nobody here.
    serve(authority.crl());
    const check = createRevocationCheck({ clock: systemClock, given: parseLists(stranger.crl()) });
    expect(await check(bad.certificate, issuer())).toBe('revoked');
    expect(asked).toEqual(['/ours.crl']);
  });

  it('is not told by a file that holds no list', () => {
    const list = authority.crl();
    const pem = (bytes: Buffer): string =>
      `-----BEGIN X509 CRL-----\n${bytes.toString('base64')}\n-----END X509 CRL-----\n`;
    expect(parseLists(Buffer.from(`from the broker\n${pem(list)}${pem(list)}`))).toHaveLength(2);
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.from('<html>'),
      list.subarray(0, -1),
      Buffer.concat([list, Buffer.of(0)]),
      Buffer.from(authority.root),
      Buffer.from(pem(Buffer.from('0'))),
      Buffer.from(pem(list).replace('-----END X509 CRL-----', '')),
      Buffer.from(pem(list).repeat(65)),
      Buffer.from(`${pem(list)}${pem(list.subarray(2))}`),
    ])
      expect(codeOfSync(() => parseLists(bytes))).toBe('probe.bad_crl_file');
  });

  it('is not told by any mutated list, and no mutation is a fault', async () => {
    const plain = new X509Certificate(authority.issue('listed', { names: 'DNS:prod' }).certificate);
    authority.revoke('listed');
    const list = authority.crl();
    const mutated = fc.asyncProperty(
      fc.nat(list.length - 1),
      fc.integer({ min: 1, max: 255 }),
      async (at, by) => {
        const bytes = Buffer.from(list);
        bytes.writeUInt8(bytes.readUInt8(at) ^ by, at);
        const code = codeOfSync(() => parseLists(bytes));
        if (code !== 'accepted') return code === 'probe.bad_crl_file';
        const check = createRevocationCheck({ clock: systemClock, given: parseLists(bytes) });
        return (await check(plain, issuer())) === 'unknown';
      },
    );
    await fc.assert(mutated, { seed: 20_261_130, numRuns: 500 });
  });

  it('is not known without an address, without an issuer, or with an address that is no http', async () => {
    serve(authority.crl());
    const check = createRevocationCheck({ clock: systemClock });
    const plain = new X509Certificate(authority.issue('plain', { names: 'DNS:prod' }).certificate);
    expect(await check(plain, issuer())).toBe('unknown');
    expect(await check(issue().certificate, undefined)).toBe('unknown');
    expect(await check(issue('file:///etc/passwd').certificate, issuer())).toBe('unknown');
    expect(await check(issue('ldap://127.0.0.1/cn=x').certificate, issuer())).toBe('unknown');
    expect(asked).toEqual([]);
  });
});

function flipped(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  const at = Math.floor(changed.length / 2);
  changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
  return changed;
}
