import { afterEach, describe, expect, it } from 'vitest';
import { SshReader, SshWriter, connectAgent } from '../../src/ssh/index.ts';
import type { AgentCertifiedKey } from '../../src/ssh/index.ts';
import { startFakeAgent } from '../support/fake-agent.ts';
import type { FakeAgent } from '../support/fake-agent.ts';
import { issue, nowSeconds, rejectionCodeOf, testCa, testFields } from './fixtures.ts';

const ca = testCa('ed25519');
const user = testCa('ed25519');
const clock = { nowMs: () => Number(nowSeconds) * 1000 };
const frame = (payload: Buffer): Buffer => new SshWriter().string(payload).finish();
const identities = (count: number, rest: Buffer): Buffer =>
  new SshWriter().byte(12).uint32(count).raw(rest).finish();
const certified = (
  changed: Partial<AgentCertifiedKey> = {},
  validBefore = nowSeconds + 3600n,
): AgentCertifiedKey => ({
  privateKey: user.privateKey,
  certificateBlob: issue(ca, testFields(user.publicKey, { validBefore })),
  comment: 'sallyport',
  ...changed,
});

let fake: FakeAgent | undefined;
afterEach(async () => {
  await fake?.stop();
  fake = undefined;
});

/** Answers each chunk with the next reply; gives the requests that came. */
async function answering(...replies: readonly Buffer[]): Promise<{ path: string; requests: Buffer[] }> {
  const requests: Buffer[] = [];
  fake = await startFakeAgent((socket, chunk) => {
    requests.push(chunk);
    const reply = replies[requests.length - 1];
    if (reply !== undefined) socket.write(reply);
  });
  return { path: fake.socketPath, requests };
}

/** The constraints at the end of an add request, and its type byte. */
function constraintsOf(request: Buffer | undefined): { type: number; lifetime?: number; confirm: boolean } {
  const reader = new SshReader(request ?? Buffer.alloc(0), 'request').nested('message');
  const type = reader.byte();
  for (let field = 0; field < 5; field += 1) reader.string(); // type, certificate, public, private, comment
  let lifetime: number | undefined;
  let confirm = false;
  while (reader.remaining > 0) {
    if (reader.byte() === 1) lifetime = reader.uint32();
    else confirm = true;
  }
  return { type, confirm, ...(lifetime === undefined ? {} : { lifetime }) };
}

describe('an agent that cannot be used', () => {
  it('is no agent where there is no socket, or no socket file', async () => {
    expect(await rejectionCodeOf(connectAgent('/nonexistent/agent.sock'))).toBe('ssh.no_agent');
    expect(await rejectionCodeOf(connectAgent(import.meta.filename))).toBe('ssh.no_agent');
  });

  it.each<[string, string, Buffer]>([
    ['ssh.agent_protocol', 'a frame of 0 bytes', Buffer.alloc(4)],
    ['ssh.agent_protocol', 'a frame over 256 KiB', Buffer.from('00040001', 'hex')],
    ['ssh.agent_protocol', 'HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['ssh.agent_protocol', 'an unknown message', frame(Buffer.of(99))],
    ['ssh.agent_refused', 'a failure', frame(Buffer.of(5))],
    ['ssh.malformed', 'more keys than fit', frame(identities(1_000_000, Buffer.alloc(16)))],
    ['ssh.malformed', 'a key that ends early', frame(identities(1, Buffer.from('0000ffff00000000', 'hex')))],
    ['ssh.malformed', 'bytes behind the list', frame(identities(0, Buffer.of(0)))],
    ['ssh.malformed', 'a list without its count', frame(Buffer.of(12))],
    [
      'ssh.malformed',
      'a key without a type',
      frame(identities(1, new SshWriter().string('').string('').finish())),
    ],
  ])('gives %s when it lists by %s', async (code, _, reply) => {
    const { path } = await answering(reply);
    const agent = await connectAgent(path);
    expect(await rejectionCodeOf(agent.list())).toBe(code);
    agent.close();
  });

  it('is not waited for longer than the time limit', async () => {
    const { path } = await answering();
    const agent = await connectAgent(path, { timeoutMs: 30 });
    const waiting = [agent.list(), agent.list()].map((list) => rejectionCodeOf(list));
    expect(await Promise.all(waiting)).toEqual(['ssh.agent_timeout', 'ssh.agent_timeout']);
    expect(await rejectionCodeOf(agent.list())).toBe('ssh.agent_timeout');
  });

  it('ends every request when it hangs up in the middle of an answer', async () => {
    fake = await startFakeAgent((socket) => socket.end(Buffer.from('000000', 'hex')));
    const agent = await connectAgent(fake.socketPath);
    const waiting = [agent.list(), agent.list()].map((list) => rejectionCodeOf(list));
    expect(await Promise.all(waiting)).toEqual(['ssh.agent_closed', 'ssh.agent_closed']);
  });

  it('is useless after it was closed', async () => {
    const { path } = await answering();
    const agent = await connectAgent(path);
    agent.close();
    expect(await rejectionCodeOf(agent.list())).toBe('ssh.agent_closed');
  });

  it('may not speak without being asked', async () => {
    const { path } = await answering(
      Buffer.concat([frame(identities(0, Buffer.alloc(0))), frame(Buffer.of(6))]),
    );
    const agent = await connectAgent(path);
    expect(await agent.list()).toEqual([]);
    expect(await rejectionCodeOf(agent.list())).toBe('ssh.agent_protocol');
  });
});

describe('replies', () => {
  it('are put together from single bytes, and belong to the requests in their order', async () => {
    const blob = new SshWriter().string('ssh-ed25519').string('x').finish();
    const bytes = Buffer.concat([
      frame(identities(1, new SshWriter().string(blob).string('a\u001bb').finish())),
      frame(identities(0, Buffer.alloc(0))),
    ]);
    fake = await startFakeAgent((socket) => {
      for (const byte of bytes) socket.write(Buffer.of(byte));
    });
    const agent = await connectAgent(fake.socketPath);
    const [first, second] = await Promise.all([agent.list(), agent.list()]);
    expect(first).toEqual([{ blob, type: 'ssh-ed25519', comment: 'a?b' }]);
    expect(second).toEqual([]);
    agent.close();
  });

  it('to an add can only be yes or no', async () => {
    const yes = await answering(frame(Buffer.of(6, 0)));
    const agent = await connectAgent(yes.path, { clock });
    expect(await rejectionCodeOf(agent.addCertifiedKey(certified()))).toBe('ssh.agent_protocol');
    agent.close();
  });
  it('of no are told apart by whether the agent shows keys', async () => {
    const key = new SshWriter().string(user.publicKey.blob).string('').finish();
    const no = frame(Buffer.of(5));
    const { path } = await answering(
      no,
      frame(identities(1, key)),
      no,
      frame(identities(0, Buffer.alloc(0))),
    );
    const agent = await connectAgent(path, { clock });
    expect(await rejectionCodeOf(agent.addCertifiedKey(certified()))).toBe('ssh.agent_refused');
    expect(await rejectionCodeOf(agent.addCertifiedKey(certified()))).toBe('ssh.agent_locked');
    agent.close();
  });
});

describe('addCertifiedKey', () => {
  const forever = 2n ** 64n - 1n;
  it.each<[string, AgentCertifiedKey, ReturnType<typeof constraintsOf>]>([
    [
      'to the end of the certificate and 5 minutes',
      certified(),
      { type: 25, lifetime: 3900, confirm: false },
    ],
    ['to what was asked', certified({ lifetimeSeconds: 60 }), { type: 25, lifetime: 60, confirm: false }],
    [
      'no longer than the certificate',
      certified({ lifetimeSeconds: 1e9 }),
      { type: 25, lifetime: 3900, confirm: false },
    ],
    ['to 32 bits', certified({}, nowSeconds + 2n ** 40n), { type: 25, lifetime: 0xffffffff, confirm: false }],
    ['to nothing for a certificate without end', certified({}, forever), { type: 17, confirm: false }],
    [
      'to what was asked for one without end',
      certified({ lifetimeSeconds: 9.7 }, forever),
      { type: 25, lifetime: 9, confirm: false },
    ],
    ['and asks for confirmation', certified({ confirm: true }, forever), { type: 25, confirm: true }],
  ])('limits the stay %s', async (_, key, expected) => {
    const { path, requests } = await answering(frame(Buffer.of(6)));
    const agent = await connectAgent(path, { clock });
    await agent.addCertifiedKey(key);
    agent.close();
    expect(constraintsOf(requests[0])).toEqual(expected);
  });

  it.each<[string, AgentCertifiedKey]>([
    ['ssh.key_certificate_mismatch', certified({ privateKey: testCa('ed25519').privateKey })],
    ['ssh.key_certificate_mismatch', certified({ privateKey: testCa('ecdsa-p256').privateKey })],
    ['ssh.certificate_expired', certified({}, nowSeconds)],
    ['ssh.bad_lifetime', certified({ lifetimeSeconds: 0 })],
    ['ssh.bad_lifetime', certified({ lifetimeSeconds: Number.NaN })],
    ['ssh.not_a_certificate', certified({ certificateBlob: user.publicKey.blob })],
    ['ssh.malformed', certified({ certificateBlob: Buffer.alloc(3) })],
  ])('throws %s before it sends anything', async (code, key) => {
    const { path, requests } = await answering(frame(identities(0, Buffer.alloc(0))));
    const agent = await connectAgent(path, { clock });
    expect(await rejectionCodeOf(agent.addCertifiedKey(key))).toBe(code);
    await agent.list();
    agent.close();
    expect(requests.map((request) => request.toString('hex'))).toEqual(['000000010b']);
  });
});
