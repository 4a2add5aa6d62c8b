import type { KeyObject } from 'node:crypto';
import { errnoOf } from '../client/index.ts';
import { isCodedError } from '../../kernel/index.ts';
import type { Agent, Certificate } from '../../ssh/index.ts';
import { connectAgent } from '../../ssh/index.ts';
import type { Terminal } from './terminal.ts';
import { secondsToMs } from './times.ts';

/** A hanging agent must not keep anybody waiting for long. */
const agentTimeoutMs = 3000;

/** What became of a wish to the ssh-agent: it is a convenience, so its absence is a note and never a failure. */
export type AgentOutcome = { readonly done: true } | { readonly done: false; readonly why: string };

/** Where the agent listens: as ssh finds it, or the fixed pipe of OpenSSH on Windows. */
export function agentSocket(terminal: Terminal): string | undefined {
  const socket = terminal.env['SSH_AUTH_SOCK'];
  if (socket !== undefined && socket !== '') return socket;
  return process.platform === 'win32' ? '\\\\.\\pipe\\openssh-ssh-agent' : undefined;
}

async function withAgent<Value>(
  terminal: Terminal,
  work: (agent: Agent) => Promise<Value>,
): Promise<{ readonly value: Value } | { readonly done: false; readonly why: string }> {
  const socket = agentSocket(terminal);
  if (socket === undefined) return { done: false, why: 'no ssh-agent is running (SSH_AUTH_SOCK is not set)' };
  try {
    const agent = await connectAgent(socket, { clock: terminal.clock, timeoutMs: agentTimeoutMs });
    try {
      return { value: await work(agent) };
    } finally {
      agent.close();
    }
  } catch (error) {
    // A missing or refusing agent is a note, see `AgentOutcome`; anything else is a defect and must be seen.
    if (isCodedError(error)) return { done: false, why: lowerFirst(error.message.replace(/\.$/, '')) };
    if (errnoOf(error) !== undefined)
      return { done: false, why: `the ssh-agent cannot be reached (${errnoOf(error)})` };
    throw error;
  }
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

export interface CertifiedKey {
  readonly privateKey: KeyObject;
  readonly certificate: Certificate;
  readonly comment: string;
  /** Removed first, so that the agent holds one certificate of ours and not one for each renewal. */
  readonly replaces: Certificate | undefined;
}

/** Puts key and certificate into the agent until the certificate dies. */
export async function addToAgent(terminal: Terminal, key: CertifiedKey): Promise<AgentOutcome> {
  const leftMs = secondsToMs(key.certificate.validBefore) - terminal.clock.nowMs();
  const lifetimeSeconds = Math.max(1, Math.ceil(leftMs / 1000));
  const outcome = await withAgent(terminal, async (agent) => {
    if (key.replaces !== undefined) await removeIfHeld(agent, key.replaces);
    await agent.addCertifiedKey({
      privateKey: key.privateKey,
      certificateBlob: key.certificate.blob,
      comment: key.comment,
      lifetimeSeconds,
    });
  });
  return 'value' in outcome ? { done: true } : outcome;
}

async function removeIfHeld(agent: Agent, certificate: Certificate): Promise<void> {
  const held = await agent.list();
  if (held.some((identity) => identity.blob.equals(certificate.blob))) await agent.remove(certificate.blob);
}

/** Takes our certificate out of the agent; one that it does not hold is out already. */
export async function removeFromAgent(terminal: Terminal, certificate: Certificate): Promise<AgentOutcome> {
  const outcome = await withAgent(terminal, (agent) => removeIfHeld(agent, certificate));
  return 'value' in outcome ? { done: true } : outcome;
}

/** How many identities the agent holds, and whether this certificate is one of them. */
export async function lookIntoAgent(
  terminal: Terminal,
  certificate: Certificate | undefined,
): Promise<
  | { readonly reachable: true; readonly identities: number; readonly holdsCertificate: boolean }
  | { readonly reachable: false; readonly why: string }
> {
  const outcome = await withAgent(terminal, async (agent) => {
    const held = await agent.list();
    const holdsCertificate =
      certificate !== undefined && held.some((identity) => identity.blob.equals(certificate.blob));
    return { reachable: true as const, identities: held.length, holdsCertificate };
  });
  return 'value' in outcome ? outcome.value : { reachable: false, why: outcome.why };
}
