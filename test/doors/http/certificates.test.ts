import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCertificate } from '../../../src/ssh/index.ts';
import { alice, startTestBroker, type LoggedInClient, type TestBroker } from '../../support/broker.ts';
import { ask, newPublicKey, proofFor, type HttpAnswer } from './support.ts';

const policy = `version: 1
profiles:
  users:
    who: {groups: [builtin:users]}
    principals: {from: [{attribute: uid}]}
    extensions: [permit-pty, permit-port-forwarding]
    critical-options: {force-command: /bin/menu}
  files:
    who: {groups: [builtin:users]}
    principals: {explicit: [files]}
`;

let broker: TestBroker;
let client: LoggedInClient;
beforeAll(async () => {
  broker = await startTestBroker({ people: [alice], policy });
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

describe('a caller can only narrow the extensions', () => {
  it.each<[object, string[]]>([
    [{}, ['permit-port-forwarding', 'permit-pty']],
    [{ extensions: ['permit-pty'] }, ['permit-pty']],
    [{ extensions: ['permit-pty', 'permit-pty'] }, ['permit-pty']],
    [{ extensions: ['permit-pty', 'permit-port-forwarding'] }, ['permit-port-forwarding', 'permit-pty']],
    [{ extensions: [] }, []],
    [{ profile: 'files', extensions: [] }, []],
  ])('asked with %j they are %j', async (asked, expected) => {
    const answer = (await sign(asked)).json();
    const certificate = parseCertificate(String(answer['certificate']));
    expect([...certificate.extensions.keys()].toSorted()).toEqual(expected);
    expect(Object.keys(answer['extensions'] as object).toSorted()).toEqual(expected);
    // What is mandatory stays, however little is asked for.
    if (!('profile' in asked))
      expect([...certificate.criticalOptions]).toEqual([['force-command', '/bin/menu']]);
  });

  it.each<[object]>([
    [{ extensions: ['permit-X11-forwarding'] }],
    [{ extensions: ['permit-pty', 'permit-agent-forwarding'] }],
    [{ extensions: ['permit-pty '] }],
    [{ extensions: ['PERMIT-PTY'] }],
    [{ extensions: ['force-command'] }],
    [{ extensions: ['__proto__'] }],
    [{ profile: 'files', extensions: ['permit-pty'] }],
  ])('asked with %j the request is refused, and nothing is signed', async (asked) => {
    const serialOf = async (): Promise<number> => Number((await sign({})).json()['serial']);
    const before = await serialOf();
    const answer = await sign(asked);
    expect([answer.status, answer.code]).toEqual([403, 'policy.extension_not_granted']);
    expect(await serialOf()).toBe(before + 1);
  });

  it.each<[object]>([
    [{ extensions: 'permit-pty' }],
    [{ extensions: { 'permit-pty': '' } }],
    [{ extensions: [''] }],
    [{ extensions: ['x'.repeat(65)] }],
    [{ extensions: Array.from({ length: 65 }, () => 'permit-pty') }],
    [{ extensions: null }],
    [{ extension: ['permit-pty'] }],
  ])('what is no list of names, like %j, is no request', async (asked) => {
    expect((await sign(asked)).code).toBe('http.bad_request');
  });
});
