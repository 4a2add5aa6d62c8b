import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { BrokerStub } from '../../support/broker-stub.ts';
import { startBrokerStub } from '../../support/broker-stub.ts';
import type { ClientHome } from '../../support/fake-terminal.ts';
import { makeClientHome, runCli } from '../../support/fake-terminal.ts';

let broker: BrokerStub;
let home: ClientHome;
let out: string;

beforeAll(async () => {
  broker = await startBrokerStub();
});
afterAll(() => broker.stop());
beforeEach(() => {
  home = makeClientHome(broker);
  out = `${home.folder}/revoked.krl`;
});
afterEach(() => {
  home.remove();
  for (const route of ['GET /v1/krl', 'GET /v1/krl.sig', 'GET /v1/ca']) broker.override(route, undefined);
});

function publish({ bytes, signature }: { readonly bytes: Buffer; readonly signature: string }): void {
  broker.override('GET /v1/krl', () => ({ body: bytes }));
  broker.override('GET /v1/krl.sig', () => ({ body: signature }));
}

async function get(
  ...args: readonly string[]
): Promise<{ exitCode: number; code?: string; version?: string }> {
  const result = await runCli(['krl', 'get', '--out', out, '--json', ...args], { env: home.env });
  const said = JSON.parse(result.stdout) as { error?: { code: string }; version?: string };
  return {
    exitCode: result.exitCode,
    ...(said.error === undefined ? {} : { code: said.error.code }),
    ...(said.version === undefined ? {} : { version: said.version }),
  };
}

describe('krl get', () => {
  test('writes the list that was signed, readable for sshd, and needs no login', async () => {
    const list = broker.krl([3n, 5n, 9n], 7n);
    publish(list);
    expect(await get()).toEqual({ exitCode: 0, version: '7' });
    expect(readFileSync(out)).toEqual(list.bytes);
    expect(statSync(out).mode & 0o777).toBe(0o644);
    expect(readdirSync(home.folder).filter((name) => name.includes('.new'))).toEqual([]);
  });

  test('a pinned key decides, whatever the broker names', async () => {
    publish(broker.krl([3n], 2n));
    const other = await startBrokerStub();
    for (const [stub, expected] of [
      [broker, { exitCode: 0, version: '2' }],
      [other, { exitCode: 1, code: 'cli.krl_signature' }],
    ] as const) {
      const env = { SALLYPORT_HOME: home.env['SALLYPORT_HOME'] };
      const url = {
        SALLYPORT_URL: stub.url,
        SALLYPORT_CA_FILE: `${home.folder}/${stub === other ? 'b' : 'a'}.pem`,
      };
      writeFileSync(url.SALLYPORT_CA_FILE, stub.caPem);
      const line = await runCli(['ca', 'show', '--only', 'list-key'], { env: { ...env, ...url } });
      writeFileSync(`${home.folder}/list.pub`, line.stdout);
      expect(await get('--list-key', `${home.folder}/list.pub`)).toEqual(expected);
    }
    await other.stop();
  });

  test.each([
    ['empty: sshd would let every revoked certificate in', Buffer.alloc(0), 'ssh.krl_magic'],
    ['a page of HTML', Buffer.from('<html>Sign in</html>'), 'ssh.krl_magic'],
    ['only the magic', Buffer.from('SSHKRL\n\0'), 'ssh.malformed'],
  ])('a list that is %s is refused', async (_title, bytes, code) => {
    publish({ bytes, signature: broker.krl([], 1n).signature });
    writeFileSync(out, 'old');
    expect(await get()).toEqual({ exitCode: 1, code });
    expect(readFileSync(out, 'utf8')).toBe('old');
  });

  test('every cut of a list is refused', async () => {
    const { bytes, signature } = broker.krl([3n, 900n, 70_000n], 3n);
    for (const size of [1, 8, 20, 43, 44, 48, bytes.length - 1]) {
      publish({ bytes: bytes.subarray(0, size), signature });
      const result = await get();
      expect([size, result.exitCode, existsSync(out)]).toEqual([size, 1, false]);
    }
  });

  test('every flipped byte is refused', async () => {
    const { bytes, signature } = broker.krl([3n, 900n], 3n);
    for (let at = 0; at < bytes.length; at += 7) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      publish({ bytes: changed, signature });
      const result = await get();
      expect([at, result.exitCode, existsSync(out)]).toEqual([at, 1, false]);
    }
  });

  test.each([
    ['missing', ''],
    ['something else', 'hello'],
    ['of another list', undefined],
  ])('a signature that is %s is refused', async (_title, text) => {
    publish({ bytes: broker.krl([3n], 3n).bytes, signature: text ?? broker.krl([4n], 3n).signature });
    expect(await get()).toEqual({ exitCode: 1, code: 'cli.krl_signature' });
    expect(existsSync(out)).toBe(false);
  });

  test('a list that comes out between list and signature is fetched again', async () => {
    const [old, fresh] = [broker.krl([3n], 3n), broker.krl([3n, 4n], 4n)];
    let asked = 0;
    broker.override('GET /v1/krl', () => ({ body: (asked += 1) === 1 ? old.bytes : fresh.bytes }));
    broker.override('GET /v1/krl.sig', () => ({ body: fresh.signature }));
    expect(await get()).toEqual({ exitCode: 0, version: '4' });
  });

  test('an older list never replaces a newer one', async () => {
    publish(broker.krl([3n], 9n));
    expect((await get()).exitCode).toBe(0);
    publish(broker.krl([], 8n));
    expect(await get()).toEqual({ exitCode: 1, code: 'cli.krl_rollback' });
    publish(broker.krl([3n], 9n));
    expect(await get()).toEqual({ exitCode: 0, version: '9' });
  });
});
