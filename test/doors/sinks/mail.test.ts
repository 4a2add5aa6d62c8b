import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import {
  createMailSink,
  entryTitle,
  onlyTypes,
  type MailSinkOptions,
} from '../../../src/doors/sinks/index.ts';
import { entry } from '../../contract/store-fixture.ts';
import { codeOf } from '../../support/code-of.ts';
import { describeWithPeers } from '../../support/peers.ts';
import { makeSinkTls, type Holder, type SinkTls } from '../../support/sink-tls.ts';
import { fakeSink } from '../../support/fake-sink.ts';
import { issued, storedEntries } from './stored.ts';

const all = storedEntries([entry(), issued, entry(), { ...issued, type: 'cred.revoke' }]);
const never = new AbortController().signal;

describeWithPeers(['openssl'], 'mail', () => {
  let folder: string;
  let tls: SinkTls;
  const open: SMTPServer[] = [];
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-mail-'));
    tls = makeSinkTls(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  afterEach(async () => {
    for (const server of open.splice(0)) await new Promise<void>((resolve) => server.close(resolve));
  });

  /** The SMTP server of the author of nodemailer, as another implementation of the far side. */
  async function farEnd(
    over: SMTPServerOptions = {},
    holder: Holder = 'server',
  ): Promise<{ readonly port: number; readonly mails: string[] }> {
    const mails: string[] = [];
    const server = new SMTPServer({
      authOptional: true,
      cert: tls.pem(tls.certificateFile(holder)),
      key: tls.pem(tls.keyFile(holder)),
      onData(stream, session, done) {
        let text = '';
        stream.setEncoding('utf8').on('data', (part: string) => (text += part));
        stream.on('end', () => {
          mails.push(`secure=${session.secure} user=${session.user}\n${text}`);
          done();
        });
      },
      ...over,
    });
    server.on('error', () => undefined);
    server.listen(0, '127.0.0.1');
    open.push(server);
    await once(server.server, 'listening');
    return { port: (server.server.address() as AddressInfo).port, mails };
  }
  const sinkFor = (port: number, over: Partial<MailSinkOptions> = {}) =>
    createMailSink({
      name: 'on-call',
      format: 'json',
      host: '127.0.0.1',
      port,
      security: 'starttls',
      ca: tls.pem(tls.caFile),
      from: 'broker@example.com',
      to: ['ops@example.com', 'night@example.com'],
      line: ({ index }) => `line ${index}`,
      title: entryTitle,
      ...over,
    });

  it.each(['starttls', 'tls'] as const)('carries a batch in one message, over %s', async (security) => {
    const { port, mails } = await farEnd({ secure: security === 'tls' });
    await sinkFor(port, { security }).deliver(all, never);
    expect(mails).toHaveLength(1);
    expect(mails[0]).toContain('secure=true');
    expect(mails[0]).toContain('Subject: Sallyport: Heartbeat and 3 more');
    expect(mails[0]).toContain('To: ops@example.com, night@example.com');
    expect(mails[0]?.match(/^line \d$/gm)).toEqual(['line 0', 'line 1', 'line 2', 'line 3']);
  });

  it('logs in where the server wants it', async () => {
    const auth = (user: string): SMTPServerOptions => ({
      authOptional: false,
      onAuth: ({ username, password }, _session, done) =>
        password === 'pw-mail' ? done(null, { user: username }) : done(new Error(`not ${user}`)),
    });
    const { port, mails } = await farEnd(auth('sallyport'));
    const login = (password: string) => ({ login: () => ({ user: 'sallyport', password }) });
    await sinkFor(port, login('pw-mail')).deliver(all, never);
    expect(mails[0]).toContain('user=sallyport');
    expect(await codeOf(sinkFor(port, login('wrong')).deliver(all, never))).toBe('sinks.refused');
    expect(await codeOf(sinkFor(port).deliver(all, never))).toBe('sinks.refused');
    expect(mails).toHaveLength(1);
  });

  it('is not sent to a server that is somebody else, offers no TLS, or is not there', async () => {
    const stranger = await farEnd({}, 'stranger');
    expect(await codeOf(sinkFor(stranger.port).deliver(all, never))).toBe('sinks.untrusted');
    const elsewhere = await farEnd({}, 'elsewhere');
    expect(await codeOf(sinkFor(elsewhere.port).deliver(all, never))).toBe('sinks.untrusted');
    const clear = await farEnd({ disabledCommands: ['STARTTLS'] });
    expect(await codeOf(sinkFor(clear.port).deliver(all, never))).toBe('sinks.refused');
    expect([...stranger.mails, ...elsewhere.mails, ...clear.mails]).toEqual([]);
    await new Promise<void>((resolve) => open.pop()?.close(resolve));
    expect(await codeOf(sinkFor(clear.port).deliver(all, never))).toBe('sinks.unreachable');
  });

  it('counts as delivered only when the server took it for every recipient', async () => {
    const { port } = await farEnd({
      onRcptTo: ({ address }, _session, done) =>
        address.startsWith('night') ? done(Object.assign(new Error('no'), { responseCode: 550 })) : done(),
    });
    expect(await codeOf(sinkFor(port).deliver(all, never))).toBe('sinks.refused');
  });
});

it('a sink for some types is given those alone, and has taken the others', async () => {
  const sink = fakeSink();
  const chosen = onlyTypes(sink, ['cred.*', 'login.unexplained']);
  await chosen.deliver(all, never);
  await chosen.deliver(all.slice(0, 1), never);
  expect(sink.taken).toEqual([1n, 3n]);
});
