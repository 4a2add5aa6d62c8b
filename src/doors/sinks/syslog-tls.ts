import { connect, type TLSSocket } from 'node:tls';
import type { Sink, StoredEntry } from '../../broker/index.ts';
import { CodedError, type Clock } from '../../kernel/index.ts';
import { connectionFault, silenceMs, silent, type Stage } from './far-end.ts';

/** PEM. */
export interface ClientTls {
  /** The only authorities that may vouch for the server. */
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

export interface SyslogSinkOptions {
  readonly name: string;
  readonly format: string;
  readonly host: string;
  readonly port: number;
  /** What the server's certificate must be for, where that is not `host`. */
  readonly serverName?: string;
  /** Asked before each connection, so that renewed certificates need no restart. */
  readonly tls: () => ClientTls;
  /** One message without its frame. */
  readonly message: (entry: StoredEntry) => string;
  readonly clock: Clock;
}

/** What was sent this long before a receiver was lost is sent again: it may have been read and not yet kept. */
const doubtMs = 10_000;
const maxDoubtBytes = 1 << 20;
/**
 * How long we wait at least before we close. A receiver may turn us down after the handshake: with TLS 1.3 it checks our certificate
 * last, and perhaps the name in it later still. It then closes first, sometimes in good order although our data was on the way
 * (seen of rsyslog and of Node), and that close must not be taken for the answer to ours. So the connection must have stood for a
 * while: since the last sign that the handshake was over at the other end too, which with TLS 1.3 is its session ticket (RFC 8446
 * section 4.6.1), and for no less time than the handshake took.
 */
const shortestWaitMs = 250;

/**
 * Syslog over TLS (RFC 5425): octet counting, TLS 1.2 or newer, both sides prove who they are.
 *
 * The protocol has no acknowledgement of messages, but a receiver must answer our close_notify (section 4.4), and it sees that only
 * after it has read everything before it. So each batch has a connection of its own, and has arrived when the receiver has closed
 * in its turn. That it kept what it read, nothing can tell us.
 */
export function createSyslogSink(options: SyslogSinkOptions): Sink {
  const { name, format, message, clock } = options;
  let sent: { readonly atMs: number; readonly frames: Buffer }[] = [];
  let isLost = false;
  const within = (bytes: number): void => {
    let [total, nth] = [0, sent.length];
    while (nth > 0 && total + (sent[nth - 1]?.frames.length ?? 0) <= bytes) {
      nth -= 1;
      total += sent[nth]?.frames.length ?? 0;
    }
    sent = sent.slice(nth).filter(({ atMs }) => clock.nowMs() - atMs <= doubtMs);
  };
  return {
    name,
    kind: 'syslog',
    format,
    async deliver(entries, signal) {
      const frames = Buffer.concat(entries.map((entry) => frame(message(entry))));
      const doubtful = isLost ? sent.map((batch) => batch.frames) : [];
      try {
        await sendAll(options, Buffer.concat([...doubtful, frames]), signal);
      } catch (error) {
        if (!isLost) within(maxDoubtBytes);
        isLost = true;
        throw error;
      }
      isLost = false;
      sent.push({ atMs: clock.nowMs(), frames });
      within(maxDoubtBytes);
    },
    async close() {
      // No connection outlives its batch.
    },
  };
}

/** MSG-LEN counts octets (section 4.3). */
function frame(message: string): Buffer {
  const bytes = Buffer.from(message);
  return Buffer.concat([Buffer.from(`${bytes.length} `), bytes]);
}

/** Resolves when the receiver has read everything and closed. */
async function sendAll(options: SyslogSinkOptions, bytes: Buffer, signal: AbortSignal): Promise<void> {
  const where = `${options.host}:${options.port}`;
  const progress: { stage: Stage; isOurTurn: boolean } = { stage: 'nothing', isOurTurn: true };
  signal.throwIfAborted();
  const startedMs = performance.now();
  const socket = open(options);
  const stop = (): void => void socket.destroy(silent());
  signal.addEventListener('abort', stop, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.setTimeout(silenceMs, stop);
      socket.once('error', reject);
      socket.once('connect', () => (progress.stage = 'socket'));
      socket.once('secureConnect', () => {
        progress.stage = 'tls';
        const waitMs = Math.max(shortestWaitMs, performance.now() - startedMs);
        socket.write(bytes, () => {
          const turn = setTimeout(() => {
            progress.isOurTurn = false;
            socket.end();
          }, waitMs).unref();
          socket.on('session', () => progress.isOurTurn && turn.refresh());
        });
      });
      socket.once('end', () => progress.isOurTurn && socket.destroy(closedEarly(where)));
      socket.once('close', () => (progress.isOurTurn ? reject(closedEarly(where)) : resolve()));
      // Nothing is expected from there; only what is read shows its end.
      socket.resume();
    });
  } catch (error) {
    throw connectionFault(error, where, progress.stage);
  } finally {
    signal.removeEventListener('abort', stop);
    socket.destroy();
  }
}

function open({ host, port, serverName, tls }: SyslogSinkOptions): TLSSocket {
  const { ca, certificate, key } = tls();
  return connect({
    host,
    port,
    ca,
    cert: certificate,
    key,
    minVersion: 'TLSv1.2',
    // Also where the environment says otherwise.
    rejectUnauthorized: true,
    ...(serverName === undefined ? {} : { servername: serverName }),
  });
}

function closedEarly(where: string): CodedError {
  return new CodedError('sinks.broken_off', `${where} closed the connection before it had everything.`, {
    next: 'It is tried again. If it stays: does the far end accept our client certificate?',
  });
}
