import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { alice, startTestBroker, type LoggedInClient, type TestBroker } from '../../support/broker.ts';
import { ask, newPublicKey, proofFor, type HttpAnswer } from './support.ts';

let broker: TestBroker;
let client: LoggedInClient;
beforeAll(async () => {
  broker = await startTestBroker({ people: [alice] });
  client = await broker.loggedIn(alice);
});
afterAll(() => broker.stop());

/** Whatever is asked, also what no client of ours would send. */
function sign(asked: object): Promise<HttpAnswer> {
  const [method, path] = ['POST', '/v1/ssh/sign'];
  const headers = {
    'content-type': 'application/json',
    authorization: `DPoP ${client.token}`,
    dpop: proofFor(broker, client.proofKey, { method, path, token: client.token }),
  };
  const body = JSON.stringify({ publicKey: newPublicKey(), ...asked });
  return ask(broker, { method, path, headers, body });
}

const names = (count: number): string[] => Array.from({ length: count }, (_none, nth) => `name${nth}`);

describe('what policy has to say is said by policy', () => {
  it.each<[string, object, string]>([
    ['no principals', { principals: [] }, 'policy.no_principals'],
    ['256 principals that nobody gives', { principals: names(256) }, 'policy.principal_not_granted'],
    ['257 principals', { principals: names(257) }, 'policy.too_many_principals'],
    ['a reason of 1001 characters', { reason: 'x'.repeat(1001) }, 'policy.reason_too_long'],
  ])('of %s', async (_title, asked, code) => {
    const answer = await sign(asked);
    expect([answer.status, answer.code]).toEqual([403, code]);
  });

  it('and takes a reason of 1000 characters', async () => {
    expect((await sign({ reason: 'é'.repeat(1000) })).code).toBe('allowed');
  });

  it.each<[string, object]>([
    ['more principals than a request can mean', { principals: names(1001) }],
    ['a principal of 129 characters', { principals: ['x'.repeat(129)] }],
    ['a reason that is a book', { reason: 'x'.repeat(4001) }],
  ])('but %s never get so far', async (_title, asked) => {
    expect((await sign(asked)).code).toBe('http.bad_request');
  });
});
