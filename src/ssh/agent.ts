import type { KeyObject } from 'node:crypto';
import { CodedError, printable, systemClock } from '../kernel/index.ts';
import type { Clock } from '../kernel/index.ts';
import { AgentConnection, maxAgentFrameBytes, protocolFault } from './agent-connection.ts';
import { parseCertificate } from './certificate.ts';
import type { Certificate } from './certificate.ts';
import { publicKeyOfPrivate, writePrivateFields, writeSecretFields } from './private-key.ts';
import { SshReader, SshWriter } from './wire.ts';

/** One identity that an agent holds: a plain key or a certificate, each on its own. */
export interface AgentIdentity {
  readonly blob: Buffer;
  /** Type name at the start of the blob, e.g. `ssh-ed25519-cert-v01@openssh.com`. */
  readonly type: string;
  /** Printable. */
  readonly comment: string;
}

export interface AgentKey {
  readonly privateKey: KeyObject;
  readonly comment: string;
  /** The agent forgets the key after so many seconds, 1 or more. */
  readonly lifetimeSeconds?: number;
  /** The agent asks its owner before each use; it needs an askpass program in its own environment. */
  readonly confirm?: boolean;
}

export interface AgentCertifiedKey extends AgentKey {
  readonly certificateBlob: Uint8Array;
}

/**
 * A conversation with an SSH agent. Every method may throw CodedError `ssh.agent_closed`, `ssh.agent_timeout` or
 * `ssh.agent_protocol`; adding and removing also `ssh.agent_refused` and `ssh.agent_locked`. Agents give no reasons: a refusal
 * while the agent shows no key at all is taken for a lock, because a locked agent shows an empty list.
 */
export interface Agent {
  /** Empty for a locked agent, too. */
  list(): Promise<readonly AgentIdentity[]>;
  /**
   * Adds a key with its certificate; the same certificate again replaces the old one with its comment and lifetime. The lifetime
   * is cut to the end of the certificate and five minutes, as ssh-add does since 10.1.
   * @throws CodedError `ssh.key_certificate_mismatch` (agents do not check it for ECDSA and RSA), `ssh.certificate_expired`,
   *   `ssh.bad_lifetime`, and as `parseCertificate`
   */
  addCertifiedKey(key: AgentCertifiedKey): Promise<void>;
  /** Adds a plain key. @throws CodedError `ssh.bad_lifetime`, `ssh.not_a_private_key`, `ssh.unknown_key_type` */
  addKey(key: AgentKey): Promise<void>;
  /** Removes the identity with this blob, as `list` gives it. */
  remove(blob: Uint8Array): Promise<void>;
  close(): void;
}

export interface AgentOptions {
  readonly clock?: Clock;
  /** For connecting and for each reply; 10 s unless said. */
  readonly timeoutMs?: number;
}

/** Message numbers of RFC 9987 section 3. */
const message = {
  list: 11,
  listed: 12,
  add: 17,
  remove: 18,
  addConstrained: 25,
  failure: 5,
  success: 6,
} as const;
const constraint = { lifetime: 1, confirm: 2 } as const;
const expiryGraceSeconds = 300n;
const maxUint32 = 0xffff_ffff;
const forever = (1n << 64n) - 1n;

/** @throws CodedError `ssh.no_agent`, `ssh.agent_timeout` @see RFC 9987 */
export async function connectAgent(socketPath: string, options: AgentOptions = {}): Promise<Agent> {
  const connection = await AgentConnection.open(socketPath, options.timeoutMs ?? 10_000);
  const clock = options.clock ?? systemClock;
  const list = async (): Promise<readonly AgentIdentity[]> =>
    parseIdentities(await connection.request(Buffer.of(message.list)));
  const command = async (request: Buffer, refusal: string): Promise<void> => {
    if (succeeded(await connection.request(request))) return;
    throw (await list()).length === 0 ? locked(refusal) : refused(refusal);
  };
  return {
    list,
    async addCertifiedKey(key) {
      const certificate = parseCertificate(key.certificateBlob);
      const nowSeconds = BigInt(Math.floor(clock.nowMs() / 1000));
      const lifetimeSeconds = certifiedLifetime(certificate, key.lifetimeSeconds, nowSeconds);
      await command(encodeAddCertified(key, certificate, lifetimeSeconds), 'did not take the certificate');
    },
    async addKey(key) {
      await command(encodeAddPlain(key), 'did not take the key');
    },
    async remove(blob) {
      await command(new SshWriter().byte(message.remove).string(blob).finish(), 'did not remove the key');
    },
    close: () => connection.close(),
  };
}

function encodeAddCertified(
  key: AgentCertifiedKey,
  certificate: Certificate,
  lifetimeSeconds: number | undefined,
): Buffer {
  const publicKey = publicKeyOfPrivate(key.privateKey);
  if (!publicKey.blob.equals(certificate.key.blob)) {
    throw new CodedError(
      'ssh.key_certificate_mismatch',
      'The certificate is for another key than this private key.',
      {
        next: 'Ask for a certificate for this key.',
      },
    );
  }
  const writer = startAdd(key, lifetimeSeconds).string(certificate.type).string(certificate.blob);
  writeSecretFields(writer, key.privateKey, publicKey);
  return finishAdd(writer, key, lifetimeSeconds);
}

function encodeAddPlain(key: AgentKey): Buffer {
  const publicKey = publicKeyOfPrivate(key.privateKey);
  const lifetimeSeconds = key.lifetimeSeconds === undefined ? undefined : checkLifetime(key.lifetimeSeconds);
  const writer = startAdd(key, lifetimeSeconds).string(publicKey.type);
  writePrivateFields(writer, key.privateKey, publicKey);
  return finishAdd(writer, key, lifetimeSeconds);
}

function startAdd(key: AgentKey, lifetimeSeconds: number | undefined): SshWriter {
  const constrained = lifetimeSeconds !== undefined || key.confirm === true;
  // Large enough for every key: a buffer that grows would leave copies of the private key behind.
  return new SshWriter(64 * 1024).byte(constrained ? message.addConstrained : message.add);
}

function finishAdd(writer: SshWriter, key: AgentKey, lifetimeSeconds: number | undefined): Buffer {
  writer.string(printable(key.comment, 256));
  if (lifetimeSeconds !== undefined) writer.byte(constraint.lifetime).uint32(lifetimeSeconds);
  if (key.confirm === true) writer.byte(constraint.confirm);
  return writer.finish();
}

function certifiedLifetime(
  certificate: Certificate,
  asked: number | undefined,
  nowSeconds: bigint,
): number | undefined {
  if (certificate.validBefore <= nowSeconds) {
    throw new CodedError(
      'ssh.certificate_expired',
      'This certificate has expired, so the agent need not hold it.',
      {
        next: 'Ask for a new certificate, and check the clock of this machine.',
      },
    );
  }
  const wanted = asked === undefined ? undefined : checkLifetime(asked);
  if (certificate.validBefore === forever) return wanted;
  const left = certificate.validBefore - nowSeconds + expiryGraceSeconds;
  return Math.min(wanted ?? maxUint32, left > BigInt(maxUint32) ? maxUint32 : Number(left));
}

/** A lifetime of 0 would be answered with success, and the key would be gone at once. */
function checkLifetime(seconds: number): number {
  if (!Number.isFinite(seconds) || seconds < 1)
    throw new CodedError('ssh.bad_lifetime', 'A key stays in the agent for at least one second.');
  return Math.min(Math.floor(seconds), maxUint32);
}

function succeeded(reply: Buffer): boolean {
  const [type] = reply;
  if (reply.length !== 1 || (type !== message.success && type !== message.failure))
    throw protocolFault('answered with a message that does not fit');
  return type === message.success;
}

function parseIdentities(reply: Buffer): readonly AgentIdentity[] {
  const reader = new SshReader(reply, 'answer of the agent');
  const type = reader.byte();
  if (type === message.failure) throw refused('did not list its keys');
  if (type !== message.listed) throw protocolFault('answered with a message that does not fit');
  const count = reader.uint32();
  // Each identity takes at least its two lengths, so that no number of them can be made up.
  if (count > reader.remaining / 8) throw reader.malformed('announces more keys than it can hold');
  const identities: AgentIdentity[] = [];
  for (let index = 0; index < count; index += 1) {
    const blob = Buffer.from(reader.string(maxAgentFrameBytes));
    const typeName = new SshReader(blob, 'key in the agent').string(128).toString('latin1');
    const comment = printable(reader.string(maxAgentFrameBytes).toString('utf8'), 256);
    identities.push({ blob, type: printable(typeName, 128), comment });
  }
  reader.end();
  return identities;
}

function refused(what: string): CodedError {
  return new CodedError('ssh.agent_refused', `The SSH agent ${what}.`, {
    next: 'Some agents take no certificates or no lifetimes; try OpenSSH’s own ssh-agent.',
  });
}

function locked(what: string): CodedError {
  return new CodedError(
    'ssh.agent_locked',
    `The SSH agent ${what} and shows no keys: it seems to be locked.`,
    {
      next: 'Unlock it with: ssh-add -X',
    },
  );
}
