import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { CodedError } from '../kernel/index.ts';

/** OpenSSH's agent takes and sends no larger frame. */
export const maxAgentFrameBytes = 256 * 1024;

interface Waiting {
  readonly resolve: (reply: Buffer) => void;
  readonly reject: (error: CodedError) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Frames on the socket of an agent: one reply to each request, in order (RFC 9987 section 3). After the first fault the
 * connection is useless, and every request, waiting or to come, fails with the code of that fault.
 */
export class AgentConnection {
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  readonly #waiting: Waiting[] = [];
  #received: Buffer = Buffer.alloc(0);
  #fault: CodedError | undefined;

  private constructor(socket: Socket, timeoutMs: number) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (cause) => this.#fail(closed('broke the connection', cause)));
    socket.on('close', () => this.#fail(closed('closed the connection')));
  }

  /** @throws CodedError `ssh.no_agent` when nothing listens there or it may not be used, `ssh.agent_timeout` */
  static open(socketPath: string, timeoutMs: number): Promise<AgentConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(socketPath);
      const refuse = (cause?: Error): void => {
        clearTimeout(timer);
        socket.destroy();
        reject(cause === undefined ? timedOut(timeoutMs) : noAgent(cause));
      };
      const timer = setTimeout(() => refuse(), timeoutMs);
      socket.once('error', refuse);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.removeListener('error', refuse);
        resolve(new AgentConnection(socket, timeoutMs));
      });
    });
  }

  /**
   * Sends one message (type byte first, without length) and waits for its reply. The message is overwritten with zeros once
   * the kernel has it, because it may hold a private key.
   * @throws CodedError `ssh.agent_closed`, `ssh.agent_timeout`, `ssh.agent_protocol`
   */
  request(message: Buffer): Promise<Buffer> {
    if (this.#fault !== undefined) return Promise.reject(this.#fault);
    if (message.length > maxAgentFrameBytes)
      return Promise.reject(new CodedError('ssh.agent_protocol', 'The message is too long for any agent.'));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(timedOut(this.#timeoutMs)), this.#timeoutMs);
      this.#waiting.push({ resolve, reject, timer });
      const frame = Buffer.alloc(4 + message.length);
      frame.writeUInt32BE(message.length);
      frame.set(message, 4);
      message.fill(0);
      this.#socket.write(frame, () => frame.fill(0));
    });
  }

  close(): void {
    this.#fail(closed('connection was closed'));
  }

  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    while (this.#fault === undefined && this.#received.length >= 4) {
      const sizeBytes = this.#received.readUInt32BE(0);
      if (sizeBytes === 0 || sizeBytes > maxAgentFrameBytes) {
        this.#fail(protocolFault(`sent a frame of ${sizeBytes} bytes`));
        return;
      }
      if (this.#received.length < 4 + sizeBytes) return;
      const reply = this.#received.subarray(4, 4 + sizeBytes);
      this.#received = this.#received.subarray(4 + sizeBytes);
      const waiting = this.#waiting.shift();
      if (waiting === undefined) {
        this.#fail(protocolFault('spoke without being asked'));
        return;
      }
      clearTimeout(waiting.timer);
      waiting.resolve(reply);
    }
  }

  #fail(fault: CodedError): void {
    if (this.#fault !== undefined) return;
    this.#fault = fault;
    this.#socket.destroy();
    for (const waiting of this.#waiting.splice(0)) {
      clearTimeout(waiting.timer);
      waiting.reject(fault);
    }
  }
}

/** For a reply that no agent may give. */
export function protocolFault(what: string): CodedError {
  return new CodedError(
    'ssh.agent_protocol',
    `What listens on the agent socket ${what}: it is no SSH agent.`,
    {
      next: 'Check what SSH_AUTH_SOCK points to.',
    },
  );
}

function noAgent(cause: Error): CodedError {
  return new CodedError('ssh.no_agent', 'No SSH agent can be reached.', {
    next: 'Start one with: eval "$(ssh-agent)" – and check SSH_AUTH_SOCK.',
    cause,
  });
}

function timedOut(timeoutMs: number): CodedError {
  return new CodedError('ssh.agent_timeout', `The SSH agent did not answer within ${timeoutMs / 1000} s.`, {
    next: 'Check whether it waits for a confirmation, or restart it.',
  });
}

function closed(what: string, cause?: Error): CodedError {
  const options = cause === undefined ? {} : { cause };
  return new CodedError('ssh.agent_closed', `The SSH agent ${what} before it answered.`, options);
}
