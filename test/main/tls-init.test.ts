import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { initTls } from '../../src/main/operator/tls-init.ts';
import { makeBrokerFolder, type BrokerFolder } from '../support/broker.ts';

describe('tls init', () => {
  let made: BrokerFolder;
  beforeEach(async () => {
    made = await makeBrokerFolder();
  });
  afterEach(() => made.remove());

  it('asks for no passphrase and makes no key when the folder of the root key is not there', async () => {
    const keys = readdirSync(join(made.folder, 'keys'));
    const asked: string[] = [];
    const done = initTls(
      {
        configFile: made.configFile,
        address: 'http://pki.test.example:8880',
        rootKey: join(made.folder, 'not-mounted', 'root.key'),
        rootPassphraseFile: undefined,
        algorithm: 'ecdsa-p256',
        name: 'Test',
        organization: undefined,
        permitDns: [],
        permitNetworks: [],
        rootCrlDays: 400,
        logon: true,
      },
      { note: () => undefined, askSecret: (question) => Promise.resolve(asked.push(question).toString()) },
    );
    await expect(done).rejects.toMatchObject({
      code: 'main.cannot_write',
      message: expect.stringContaining('not-mounted'),
    });
    expect(asked).toEqual([]);
    expect(readdirSync(join(made.folder, 'keys'))).toEqual(keys);
    expect(existsSync(join(made.folder, 'pki'))).toBe(false);
  });
});
