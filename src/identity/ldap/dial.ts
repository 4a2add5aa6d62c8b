import { once } from 'node:events';
import { connect as connectTcp, isIP } from 'node:net';
import type { LookupFunction, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { BerReader } from 'ldapts';
import type { ServerAddress } from './server-address.ts';

export interface DialOptions {
  readonly caPem: string | undefined;
  /** For name look-up, TCP, StartTLS and TLS together. */
  readonly connectTimeoutMs: number;
  /** Default: the operating system's. */
  readonly lookup?: LookupFunction;
}

/** ExtendedRequest 1.3.6.1.4.1.1466.20037 with message id 1 (RFC 4511 section 4.14.1). */
const startTlsRequest = Buffer.concat([
  Buffer.from([0x30, 0x1d, 0x02, 0x01, 0x01, 0x77, 0x18, 0x80, 0x16]),
  Buffer.from('1.3.6.1.4.1.1466.20037', 'ascii'),
]);
const maxStartTlsAnswerBytes = 4096;

/**
 * Opens a connection that is ready for LDAP messages: TLS done and the server's name checked, unless the address says clear
 * text. ldapts could dial too, but its time limit does not cover StartTLS, and it does not notice when a connection that it
 * upgraded is closed.
 * @throws Error (any) with a message for people; nothing stays open.
 */
export async function dial(address: ServerAddress, options: DialOptions): Promise<Socket> {
  const { host, port, security } = address;
  const tcp = connectTcp({
    host,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
    ...(options.lookup === undefined ? {} : { lookup: options.lookup }),
  });
  let newest: Socket = tcp;
  // What goes wrong is seen by whoever waits at that moment; between two waits it must not end the process.
  tcp.on('error', () => {});
  const timer = setTimeout(() => {
    newest.destroy(new Error(`no connection within ${options.connectTimeoutMs} ms`));
  }, options.connectTimeoutMs);
  try {
    await once(tcp, 'connect');
    if (security === 'clear-text') return tcp;
    if (security === 'starttls') await askForTls(tcp);
    const secure = connectTls({
      socket: tcp,
      host,
      // A server name that is an address must not be sent (RFC 6066 section 3); `host` is still what gets checked.
      ...(isIP(host) === 0 ? { servername: host } : {}),
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
      ...(options.caPem === undefined ? {} : { ca: options.caPem }),
    });
    newest = secure;
    secure.on('error', () => {});
    await once(secure, 'secureConnect');
    return secure;
  } catch (error) {
    newest.destroy();
    tcp.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Sends StartTLS and waits for a success that comes alone: bytes after it were not sent by whoever holds the TLS key. */
async function askForTls(socket: Socket): Promise<void> {
  const answered = new Promise<void>((resolve, reject) => {
    let received = Buffer.alloc(0);
    const settle = (outcome: () => void): void => {
      socket.removeListener('data', onData).removeListener('close', onClose).removeListener('error', reject);
      socket.pause();
      outcome();
    };
    const onClose = (): void => settle(() => reject(new Error('the server hung up during StartTLS')));
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      try {
        const verdict = readStartTlsAnswer(received);
        if (verdict === 'incomplete') return;
        settle(resolve);
      } catch (error) {
        settle(() =>
          reject(error instanceof Error ? error : new Error('the StartTLS answer cannot be read')),
        );
      }
    };
    socket.on('data', onData).once('close', onClose).once('error', reject);
  });
  socket.write(startTlsRequest);
  await answered;
}

/** @throws Error unless the bytes are (the start of) one successful ExtendedResponse to message 1, and no more. */
export function readStartTlsAnswer(bytes: Buffer): 'accepted' | 'incomplete' {
  if (bytes.length > maxStartTlsAnswerBytes) throw new Error('the StartTLS answer is too long');
  const envelope = new BerReader(bytes);
  if (envelope.readSequence(0x30) === null || envelope.remain < envelope.length) return 'incomplete';
  if (envelope.remain > envelope.length) throw new Error('the server sent more than its StartTLS answer');
  // Message id 1, then an ExtendedResponse that fills the rest and begins with a result code of one octet.
  const message = new BerReader(envelope.remainingBuffer);
  if (!message.remainingBuffer.subarray(0, 3).equals(Buffer.from([0x02, 0x01, 0x01])))
    throw new Error('the server answered something else than StartTLS');
  message.offset = 3;
  if (message.readSequence(0x78) === null || message.remain !== message.length)
    throw new Error('the server answered something else than StartTLS');
  const [tag, length, code] = message.remainingBuffer;
  if (tag !== 0x0a || length !== 1 || code === undefined)
    throw new Error('the StartTLS answer cannot be read');
  if (code !== 0) throw new Error(`the server refuses StartTLS (LDAP result ${code})`);
  return 'accepted';
}
