import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { addPerson } from '../../src/identity/index.ts';
import { systemRandom } from '../../src/kernel/index.ts';
import { parseCertificate } from '../../src/ssh/index.ts';
import { newPublicKey } from '../doors/http/support.ts';
import { sallyport } from '../main/child.ts';
import { alice, clientOf } from '../support/broker.ts';
import { freePort } from '../support/free-port.ts';
import { describeWithPeers } from '../support/peers.ts';
import { clientWith, logInTo, serve } from '../support/serve.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-ca-type-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describeWithPeers(['ssh-keygen'], 'a broker made with init --ca-type', () => {
  it.each([
    ['ecdsa-p256', 'ecdsa-sha2-nistp256'],
    ['ecdsa-p384', 'ecdsa-sha2-nistp384'],
    ['ecdsa-p521', 'ecdsa-sha2-nistp521'],
    ['rsa-3072', 'rsa-sha2-512'],
  ])('%s issues certificates that ssh-keygen reads as signed with %s', async (caType, algorithm) => {
    const made = join(folder, 'broker');
    expect(sallyport(['init', made, '--yes', '--ca-type', caType])).toMatchObject({ status: 0 });
    await addPerson(join(made, 'people.json'), alice, {
      random: systemRandom,
      cost: { N: 2 ** 14, r: 8, p: 1 },
    });
    const port = await freePort();
    const configFile = join(made, 'sallyport.yaml');
    writeFileSync(configFile, readFileSync(configFile, 'utf8').replaceAll('8443', String(port)));
    const at = { url: `https://127.0.0.1:${port}`, caFile: join(made, 'tls', 'ca.pem') };
    const broker = await serve(configFile);
    try {
      const client = clientWith(at, await logInTo(at, alice));
      const { certificate } = await client.sign(newPublicKey(), {});
      client.close();
      const open = clientOf(at);
      const { sshUserCa } = await open.authority();
      open.close();
      const ca = readFileSync(join(made, 'ssh-user-ca.pub'), 'utf8').split(' ', 2).join(' ');
      expect(sshUserCa.publicKey).toContain(ca);
      expect(parseCertificate(certificate).principals).toEqual(['alice']);
      const file = join(folder, 'id-cert.pub');
      writeFileSync(file, `${certificate}\n`);
      const read = spawnSync('ssh-keygen', ['-L', '-f', file], { encoding: 'utf8' });
      expect(read.stdout).toMatch(new RegExp(`Signing CA: .* \\(using ${algorithm}\\)`));
    } finally {
      expect(await broker.stop()).toBe(0);
    }
  });

  it('refuses a type that no SSH CA has, and makes nothing', () => {
    const made = join(folder, 'broker');
    expect(sallyport(['init', made, '--yes', '--ca-type', 'dsa'])).toMatchObject({ status: 2 });
    expect(sallyport(['config', 'check', join(made, 'sallyport.yaml')])).toMatchObject({ status: 1 });
  });
});
