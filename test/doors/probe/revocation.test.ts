import { once } from 'node:events';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createRevocationCheck } from '../../../src/doors/probe/index.ts';
import { systemClock } from '../../../src/kernel/index.ts';
import { makeTestAuthority, type TestAuthority } from '../../support/ibmi-tls.ts';
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
    const check = createRevocationCheck(systemClock);
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
    const check = createRevocationCheck({ nowMs: () => Date.now() + laterMs });
    expect(await check(certificate, issuer())).toBe('unknown');
    expect(asked).toEqual(['/ours.crl']);
  });

  it('is not known without an address, without an issuer, or with an address that is no http', async () => {
    serve(authority.crl());
    const check = createRevocationCheck(systemClock);
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
