import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { connectAgent } from '../../src/ssh/index.ts';
import type { Agent } from '../../src/ssh/index.ts';
import { issue, rejectionCodeOf, testCa, testFields } from '../ssh/fixtures.ts';
import { describeWithPeers } from '../support/peers.ts';
import { startAgent } from '../support/ssh-agent.ts';
import type { RunningAgent } from '../support/ssh-agent.ts';

describeWithPeers(['ssh-agent', 'ssh'], 'a real ssh-agent', () => {
  let folder = '';
  let socketPath = '';
  let daemon: RunningAgent;
  let agent: Agent;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-agent-'));
    daemon = await startAgent(folder);
    socketPath = daemon.socketPath;
  });
  afterAll(async () => {
    await daemon?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    agent = await connectAgent(socketPath);
  });
  afterEach(() => {
    agent.close();
    sshAdd('-D');
  });

  const sshAdd = (...args: readonly string[]): string =>
    spawnSync('ssh-add', args, { encoding: 'utf8', env: { ...process.env, SSH_AUTH_SOCK: socketPath } })
      .stdout;
  const nowSeconds = BigInt(Math.floor(Date.now() / 1000));
  const ca = testCa('ed25519');

  it.each(['ed25519', 'ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521', 'rsa-sha2-512'] as const)(
    'takes, lists, uses and forgets a %s key with its certificate',
    async (algorithm) => {
      const user = testCa(algorithm);
      const validity = { validAfter: nowSeconds - 60n, validBefore: nowSeconds + 600n };
      const certificateBlob = issue(ca, testFields(user.publicKey, validity));
      const key = { privateKey: user.privateKey, certificateBlob, comment: 'sallyport' };
      await agent.addCertifiedKey(key);
      await agent.addCertifiedKey({ ...key, comment: 'again', lifetimeSeconds: 30 });
      const listed = await agent.list();
      expect(listed.map(({ blob, comment }) => [blob.equals(certificateBlob), comment])).toEqual([
        [true, 'again'],
      ]);
      // The agent can sign with it, and ssh-add checks the signature.
      const file = join(folder, 'cert.pub');
      writeFileSync(file, sshAdd('-L'));
      execFileSync('ssh-add', ['-T', file], {
        env: { ...process.env, SSH_AUTH_SOCK: socketPath },
        stdio: 'pipe',
      });
      await agent.remove(certificateBlob);
      expect(await agent.list()).toEqual([]);
    },
  );

  it('takes plain keys, which are identities of their own', async () => {
    const user = testCa('rsa-sha2-512');
    await agent.addKey({ privateKey: user.privateKey, comment: 'plain', lifetimeSeconds: 100 });
    expect(sshAdd('-L')).toBe(`ssh-rsa ${user.publicKey.blob.toString('base64')} plain\n`);
  });

  it('forgets a key at the end of its lifetime', async () => {
    await agent.addKey({ privateKey: testCa('ed25519').privateKey, comment: '', lifetimeSeconds: 1 });
    expect(await agent.list()).toHaveLength(1);
    await expect.poll(() => agent.list(), { timeout: 5000 }).toEqual([]);
  });

  it('refuses to remove what it does not hold', async () => {
    await agent.addKey({ privateKey: testCa('ed25519').privateKey, comment: 'another' });
    expect(await rejectionCodeOf(agent.remove(ca.publicKey.blob))).toBe('ssh.agent_refused');
  });

  it('is reported as locked when it is', async () => {
    const askpass = join(folder, 'askpass');
    writeFileSync(askpass, '#!/bin/sh\necho secret\n', { mode: 0o700 });
    const env = {
      ...process.env,
      SSH_AUTH_SOCK: socketPath,
      SSH_ASKPASS: askpass,
      SSH_ASKPASS_REQUIRE: 'force',
      DISPLAY: ':9',
    };
    execFileSync('ssh-add', ['-x'], { env, stdio: 'pipe' });
    expect(await agent.list()).toEqual([]);
    const adding = agent.addKey({ privateKey: ca.privateKey, comment: '' });
    expect(await rejectionCodeOf(adding)).toBe('ssh.agent_locked');
    execFileSync('ssh-add', ['-X'], { env, stdio: 'pipe' });
    await agent.addKey({ privateKey: ca.privateKey, comment: '' });
    expect(await agent.list()).toHaveLength(1);
  });

  it('that stops ends the conversation with a code', async () => {
    await daemon.stop();
    expect(await rejectionCodeOf(agent.list())).toBe('ssh.agent_closed');
    expect(await rejectionCodeOf(connectAgent(socketPath))).toBe('ssh.no_agent');
  });
});
