import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fingerprint, parseCertificate } from '../../src/ssh/index.ts';
import { boss, makeBrokerFolder, startBrokerIn, type BrokerFolder } from '../support/broker.ts';
import { newProtocolHost } from '../support/protocol-host.ts';
import { sallyport } from './child.ts';

describe('a folder from before there were host certificates', () => {
  let made: BrokerFolder;
  let keyFile: string;
  const initHostCa = (): ReturnType<typeof sallyport> =>
    sallyport(['init-host-ca', '--config', made.configFile]);
  beforeEach(async () => {
    made = await makeBrokerFolder();
    keyFile = join(made.folder, 'keys', 'ssh-host-ca.key');
    rmSync(keyFile);
  });
  afterEach(() => made.remove());

  it('does not serve without the key, and with the one that init-host-ca makes it certifies hosts', async () => {
    const refused = sallyport(['serve', '--config', made.configFile]);
    expect([refused.status, refused.stdout + refused.stderr]).toEqual([
      1,
      expect.stringContaining('init-host-ca'),
    ]);
    const ran = initHostCa();
    expect(ran.status).toBe(0);
    const { hostCaFingerprint } = JSON.parse(ran.stdout) as { hostCaFingerprint: string };
    const broker = await startBrokerIn(made);
    try {
      const admin = await broker.loggedIn(boss);
      const asked = {
        names: ['*.example.com'],
        addresses: [],
        group: 'default',
        maxUses: 1,
        lifeSeconds: 600,
      };
      const { token } = await admin.newHostToken(asked);
      const answer = await newProtocolHost().enrol(broker, token, ['web1.example.com']);
      const [certificate] = answer.all('certificate').map(parseCertificate);
      expect(certificate).toMatchObject({ kind: 'host', principals: ['web1.example.com'] });
      expect(fingerprint(certificate?.caKey.blob ?? Buffer.alloc(0))).toBe(hostCaFingerprint);
      const { items } = await admin.searchLog({ type: 'ca.create' });
      expect(JSON.stringify(items.map(({ entry }) => entry))).toContain(hostCaFingerprint);
    } finally {
      await broker.running.stop();
    }
  });

  it('gets no second key, and none under a passphrase that the others do not have', () => {
    const passphraseFile = join(made.folder, 'secrets', 'keys.passphrase');
    const passphrase = readFileSync(passphraseFile);
    writeFileSync(passphraseFile, 'another one altogether\n');
    expect(initHostCa().code).toBe('keys.wrong_passphrase');
    expect(existsSync(keyFile)).toBe(false);
    writeFileSync(passphraseFile, passphrase);
    expect(initHostCa().code).toBe('done');
    const key = readFileSync(keyFile);
    expect(initHostCa().code).toBe('keys.exists');
    expect(readFileSync(keyFile)).toEqual(key);
  });
});
