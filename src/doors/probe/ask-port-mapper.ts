import type { Socket } from 'node:net';
import { parsePortMapperAnswer, portMapperAnswerBytes, portMapperQuestion } from '../../tn5250/index.ts';
import { openSocket, type Patience } from './look-at-port.ts';
import type { PortState } from './report.ts';

/** What the port mapper says; services that it did not get to are not in `ports`. */
export interface MapperAnswers {
  readonly state: PortState;
  /** Undefined: that service is not served. */
  readonly ports: ReadonlyMap<string, number | undefined>;
}

/**
 * Asks the port mapper where services listen: one connection, one question after the other. Clients of IBM ask one question per
 * connection; whether a real port mapper answers a second one was never tried, so the most telling service comes first and what
 * stays unanswered is left as it is.
 */
export async function askPortMapper(
  { address, port }: { readonly address: string; readonly port: number },
  services: readonly string[],
  patience: Patience,
): Promise<MapperAnswers> {
  const ports = new Map<string, number | undefined>();
  const socket = await openSocket(address, port, patience.connectMs);
  if (typeof socket === 'string') return { state: socket, ports };
  const read = reader(socket, patience.handshakeMs);
  try {
    for (const service of services) {
      socket.write(portMapperQuestion(service));
      const answer = await read();
      if (answer === undefined) break;
      ports.set(service, parsePortMapperAnswer(answer));
    }
    return { state: ports.size === 0 ? 'silent' : 'clear', ports };
  } finally {
    socket.destroy();
  }
}

/** @returns a function that gives the next answer, or undefined at the end, at a fault, or when the time is over. */
function reader(socket: Socket, waitMs: number): () => Promise<Buffer | undefined> {
  const heard = { bytes: Buffer.alloc(0) as Buffer, ended: false, wake: (): void => undefined };
  const over = (): void => {
    heard.ended = true;
    heard.wake();
  };
  socket.on('data', (chunk: Buffer) => {
    // An answer is five bytes: whoever says more is no port mapper.
    heard.bytes = Buffer.concat([heard.bytes, chunk]).subarray(0, 64);
    heard.wake();
  });
  socket.once('end', over);
  socket.once('close', over);
  return async () => {
    const timer = setTimeout(over, waitMs);
    while (heard.bytes.length < portMapperAnswerBytes && !heard.ended)
      await new Promise<void>((resolve) => {
        heard.wake = resolve;
      });
    clearTimeout(timer);
    if (heard.bytes.length < portMapperAnswerBytes) return undefined;
    const answer = heard.bytes.subarray(0, portMapperAnswerBytes);
    heard.bytes = heard.bytes.subarray(portMapperAnswerBytes);
    return answer;
  };
}
