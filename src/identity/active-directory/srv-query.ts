import { randomInt } from 'node:crypto';
import { connect } from 'node:net';
import { once } from 'node:events';
import type { SrvRecord } from './discovery.ts';

const typeSrv = 33;
const classInternet = 1;
const maxAnswers = 256;
const maxNameChars = 255;

/**
 * Asks one DNS server for SRV records over TCP. node's own resolver takes an SRV target with a compressed name
 * for a bad response since c-ares 1.34.7 (c-ares issue 1287), as RFC 2782 does not allow it; Samba's DNS server and some
 * proxies write it so, and RFC 3597 section 4 asks readers to bear with it. TCP, because a list of controllers
 * may not fit into a datagram (RFC 7766 section 5).
 * @param server IP address, or IP address and port as `dns.getServers` writes them
 * @throws Error when the server does not answer in time, or its answer cannot be read
 */
export async function querySrv(
  name: string,
  server: string,
  timeoutMs: number,
): Promise<readonly SrvRecord[]> {
  const id = randomInt(0x1_0000);
  const question = encodeQuestion(name);
  const header = Buffer.from([id >> 8, id & 0xff, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const message = Buffer.concat([header, question]);
  const socket = connect(addressOf(server));
  const timer = setTimeout(() => socket.destroy(new Error('the DNS server does not answer')), timeoutMs);
  try {
    await once(socket, 'connect');
    socket.write(Buffer.concat([Buffer.from([message.length >> 8, message.length & 0xff]), message]));
    let received = Buffer.alloc(0);
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk as Buffer]);
      if (received.length < 2) continue;
      const sizeBytes = received.readUInt16BE(0);
      if (received.length >= 2 + sizeBytes)
        return parseSrvAnswer(received.subarray(2, 2 + sizeBytes), id, question);
    }
    throw new Error('the DNS server hung up');
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

/**
 * Reads the SRV records of one DNS answer (RFC 1035 section 4.1). Names may be compressed anywhere; a pointer must point
 * backwards, so that every name ends.
 * @throws Error unless it is a whole successful answer to this question
 */
export function parseSrvAnswer(message: Buffer, id: number, question: Buffer): readonly SrvRecord[] {
  if (message.length < 12 + question.length || message.readUInt16BE(0) !== id)
    throw new Error('the DNS answer is for another question');
  const code = message.readUInt16BE(2) & 0x820f;
  if ((code & 0x8000) === 0) throw new Error('the DNS answer is not an answer');
  if ((code & 0x0200) !== 0) throw new Error('the DNS answer is cut off');
  if (code !== 0x8000) throw new Error(`the DNS server answers with error ${code & 0xf}`);
  const echoed = message.subarray(12, 12 + question.length).toString('latin1');
  if (message.readUInt16BE(4) !== 1 || echoed.toLowerCase() !== question.toString('latin1').toLowerCase())
    throw new Error('the DNS answer is for another question');
  const records: SrvRecord[] = [];
  let offset = 12 + question.length;
  const answers = Math.min(message.readUInt16BE(6), maxAnswers);
  for (let index = 0; index < answers; index += 1) {
    offset = readName(message, offset).end;
    if (offset + 10 > message.length) throw new Error('the DNS answer ends early');
    const type = message.readUInt16BE(offset);
    const dataOffset = offset + 10;
    offset = dataOffset + message.readUInt16BE(offset + 8);
    if (offset > message.length) throw new Error('the DNS answer ends early');
    if (type !== typeSrv) continue;
    if (offset - dataOffset < 7) throw new Error('an SRV record is too short');
    const target = readName(message, dataOffset + 6);
    if (target.end !== offset) throw new Error('an SRV record has the wrong length');
    records.push({
      priority: message.readUInt16BE(dataOffset),
      weight: message.readUInt16BE(dataOffset + 2),
      port: message.readUInt16BE(dataOffset + 4),
      name: target.name,
    });
  }
  return records;
}

/** Name, type SRV and class IN, as they stand in a question. @throws Error when the name has a label that DNS cannot carry */
export function encodeQuestion(name: string): Buffer {
  const labels = name.split('.').map((label) => {
    const bytes = Buffer.from(label, 'ascii');
    if (bytes.length === 0 || bytes.length > 63) throw new Error('the name is not a DNS name');
    return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  });
  return Buffer.concat([...labels, Buffer.from([0, 0, typeSrv, 0, classInternet])]);
}

function readName(message: Buffer, start: number): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let chars = 0;
  let end: number | undefined;
  for (let at = start, lowest = start; ;) {
    const length = message[at];
    if (length === undefined) throw new Error('a DNS name ends early');
    if (length === 0) return { name: labels.join('.'), end: end ?? at + 1 };
    if (length >= 0xc0) {
      const pointer = ((length & 0x3f) << 8) | (message[at + 1] ?? 0xff);
      if (pointer >= lowest) throw new Error('a DNS name points forwards');
      end ??= at + 2;
      lowest = pointer;
      at = pointer;
      continue;
    }
    chars += length + 1;
    if (length > 63 || chars > maxNameChars || at + 1 + length > message.length)
      throw new Error('a DNS name is too long');
    labels.push(message.subarray(at + 1, at + 1 + length).toString('latin1'));
    at += 1 + length;
  }
}

function addressOf(server: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<v4>[^:]+))(?::(?<port>\d+))?$/.exec(server);
  return {
    host: match?.groups?.['v6'] ?? match?.groups?.['v4'] ?? server,
    port: Number(match?.groups?.['port'] ?? 53),
  };
}
