import { CodedError } from '../kernel/index.ts';

/** Where `as-svrmap` listens: always in the clear; it tells ports and carries nothing of anybody's. */
export const portMapperPort = 449;

/** An answer is complete with so many bytes. */
export const portMapperAnswerBytes = 5;

/**
 * The question for the port of one service: its name in ASCII, and nothing else.
 * @throws CodedError `tn5250.bad_service` for a name that is no service name
 * @see IBM/JTOpen 21.0.7, PortMapper.java: where the exchange was read
 */
export function portMapperQuestion(service: string): Buffer {
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(service))
    throw new CodedError('tn5250.bad_service', 'This is not the name of a service.', {
      next: 'Use a name from `sallyport ibmi apps`.',
    });
  return Buffer.from(service, 'latin1');
}

/**
 * Reads an answer: `+` and a 32-bit port, big-endian. Anything else means that the service is not served.
 * @param bytes exactly one answer. @returns the port, 1 to 65535, or undefined.
 */
export function parsePortMapperAnswer(bytes: Uint8Array): number | undefined {
  if (bytes.length !== portMapperAnswerBytes || bytes[0] !== 0x2b) return undefined;
  const port = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).readUInt32BE(1);
  return port >= 1 && port <= 65_535 ? port : undefined;
}
