import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BrokerStub } from '../../support/broker-stub.ts';
import { startBrokerStub } from '../../support/broker-stub.ts';
import type { ClientHome } from '../../support/fake-terminal.ts';
import { makeClientHome, runCli } from '../../support/fake-terminal.ts';

let broker: BrokerStub;
let home: ClientHome;
beforeAll(async () => {
  broker = await startBrokerStub();
  home = makeClientHome(broker);
  await runCli(['login', '--user', 'alice', '--password-stdin'], { env: home.env, stdin: broker.password });
  writeFileSync(`${home.folder}/plain`, '');
});
afterAll(async () => {
  home.remove();
  await broker.stop();
});

describe('what is wrong on this computer is told before the broker is asked', () => {
  test.each([
    ['sign KEY --out HERE/no/such', 'there is no folder'],
    ['sign KEY --out HERE/plain/x/y', 'there is no folder'],
    ['sign KEY --out HERE', 'it is a folder'],
    ['krl get --out HERE/no/such', 'there is no folder'],
    ['audit export --out HERE/no/such', 'there is no folder'],
    ['audit export --out HERE', 'it is a folder'],
    ['audit checkpoint --out HERE/no/such', 'there is no folder'],
  ])('`%s`: %s', async (line, why) => {
    const before = broker.requests.length;
    const args = line.replace('KEY', home.path('id_ed25519.pub')).replace('HERE', home.folder).split(' ');
    const result = await runCli([...args, '--json'], { env: home.env });
    expect([result.exitCode, JSON.parse(result.stdout)]).toEqual([
      1,
      {
        error: {
          code: 'client.cannot_write',
          message: expect.stringContaining(why),
          next: expect.any(String),
        },
      },
    ]);
    expect(broker.requests.length).toBe(before);
  });

  test('a home where nothing can be kept: no login, no session that nobody can end', async () => {
    const before = broker.requests.length;
    const env = { ...home.env, SALLYPORT_HOME: `${home.folder}/plain/home` };
    const result = await runCli(['login', '--user', 'alice', '--password-stdin'], {
      env,
      stdin: broker.password,
    });
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain(`${home.folder}/plain/home cannot be written`);
    expect(broker.requests.length).toBe(before);
  });
});
