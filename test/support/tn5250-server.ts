import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Holder } from './ibmi-tls.ts';

/** What the server does with those who connect. */
export interface ServerMode {
  /** Left out: in the clear. */
  readonly tls?: Holder;
  /** Clients need a certificate of this authority (PEM). */
  readonly clientAuthority?: string;
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3';
  /** Oldest version and weakest ciphers, as servers of long ago. */
  readonly old?: boolean;
  readonly speaks: 'tn5250' | 'nothing' | 'banner' | 'line-mode';
}

/** One connection as the server saw it. */
export interface Seen {
  /** What came above TLS, if there is TLS. */
  readonly bytes: () => Buffer;
  /** Whether the first 5250 record, the sign-on screen, went out. */
  readonly reachedSignOn: () => boolean;
}

export interface TestServer {
  readonly port: number;
  /** Every connection that was ever made, in order. */
  readonly connections: readonly Seen[];
  close(): Promise<void>;
}

const [iac, dont, will, wont, doIt, sb, se, eor] = [255, 254, 251, 252, 253, 250, 240, 239] as const;
const [binary, terminalType, endOfRecord, newEnvironment] = [0, 24, 25, 39] as const;

/** The order of a 5250 host (RFC 1205 and 4777): each step waits for the answer to the one before. */
const steps: readonly { readonly sends: readonly number[]; readonly until: (bytes: Buffer) => boolean }[] = [
  {
    sends: [iac, doIt, newEnvironment, iac, doIt, terminalType],
    until: (bytes) => agreed(bytes, newEnvironment) && agreed(bytes, terminalType),
  },
  {
    // The seed stands without a VALUE mark.
    sends: [iac, sb, newEnvironment, 1, 3, ...Buffer.from('IBMRSEED'), 7, 6, 5, 4, 9, 8, 7, 6, 0, 3, iac, se],
    until: (bytes) =>
      bytes.includes(Buffer.from([iac, sb, newEnvironment, 0])) ||
      bytes.includes(Buffer.from([iac, wont, newEnvironment])),
  },
  {
    sends: [iac, sb, terminalType, 1, iac, se],
    until: (bytes) => bytes.includes(Buffer.from([iac, sb, terminalType, 0])),
  },
  { sends: [iac, doIt, endOfRecord, iac, will, endOfRecord], until: (bytes) => agreed(bytes, endOfRecord) },
  { sends: [iac, doIt, binary, iac, will, binary], until: (bytes) => agreed(bytes, binary) },
];

function agreed(bytes: Buffer, option: number): boolean {
  return [will, wont].some((verb) => bytes.includes(Buffer.from([iac, verb, option])));
}

/** EBCDIC 37 of what a sign-on screen says; only what it needs. */
export function ebcdic37(text: string): Buffer {
  return Buffer.from(
    text.split('').map((letter) => {
      const at = 'abcdefghi'.indexOf(letter.toLowerCase());
      const middle = 'jklmnopqr'.indexOf(letter.toLowerCase());
      const late = 'stuvwxyz'.indexOf(letter.toLowerCase());
      const upper = letter !== letter.toLowerCase() ? 0x40 : 0;
      if (at >= 0) return 0x81 + at + upper;
      if (middle >= 0) return 0x91 + middle + upper;
      if (late >= 0) return 0xa2 + late + upper;
      if (letter >= '0' && letter <= '9') return 0xf0 + Number(letter);
      return { ' ': 0x40, '.': 0x4b, ':': 0x7a }[letter] ?? 0x6f;
    }),
  );
}

/** Clear unit, write to display, three lines of text: a 5250 record in its GDS header, ended by IAC EOR. */
export function signOnRecord(): Buffer {
  const place = (row: number, column: number, text: string): readonly number[] => [
    0x11,
    row,
    column,
    ...ebcdic37(text),
  ];
  const data = [
    0x04,
    0x40,
    0x04,
    0x11,
    0x00,
    0x18,
    ...place(1, 36, 'Sign On'),
    ...place(6, 17, 'User  . . . . :'),
    ...place(7, 17, 'Password  . . :'),
  ];
  const record = [0, 10 + data.length, 0x12, 0xa0, 0, 0, 4, 0, 0, 3, ...data];
  return Buffer.from([...record.flatMap((byte) => (byte === iac ? [iac, iac] : [byte])), iac, eor]);
}

/** A TN5250 server as far as a test needs one: negotiation up to the sign-on screen, on a loopback port of its own. */
export async function startTn5250Server(mode: ServerMode): Promise<TestServer> {
  const connections: Seen[] = [];
  const open = new Set<Socket>();
  const serve = (socket: Socket): void => {
    let [bytes, sent]: [Buffer, number] = [Buffer.alloc(0), 0];
    connections.push({ bytes: () => bytes, reachedSignOn: () => sent > steps.length });
    const goOn = (): void => {
      if (
        mode.speaks !== 'tn5250' ||
        (sent > 0 && steps[sent - 1]?.until(bytes) === false) ||
        sent > steps.length
      )
        return;
      const step = steps[sent];
      sent += 1;
      socket.write(step === undefined ? signOnRecord() : Buffer.from(step.sends));
      if (step !== undefined) goOn();
    };
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      goOn();
    });
    socket.on('error', () => undefined);
    if (mode.speaks === 'banner') socket.write('220 something else ready\r\n');
    if (mode.speaks === 'line-mode')
      socket.write(
        Buffer.from([iac, doIt, terminalType, iac, doIt, 32, iac, dont, 35, iac, doIt, newEnvironment]),
      );
    goOn();
  };
  const server: Server =
    mode.tls === undefined
      ? createServer(serve)
      : createTlsServer(
          {
            key: mode.tls.key,
            cert: mode.tls.chain,
            ...(mode.maxVersion === undefined ? {} : { maxVersion: mode.maxVersion }),
            ...(mode.old === true
              ? { minVersion: 'TLSv1' as const, maxVersion: 'TLSv1' as const, ciphers: 'DEFAULT:@SECLEVEL=0' }
              : {}),
            ...(mode.clientAuthority === undefined
              ? {}
              : { requestCert: true, rejectUnauthorized: true, ca: mode.clientAuthority }),
          },
          serve,
        );
  let raw = 0;
  server.on('connection', (socket: Socket) => {
    raw += 1;
    open.add(socket);
    socket.on('error', () => undefined).on('close', () => open.delete(socket));
  });
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    // Connections that never got through TLS said nothing above it.
    get connections() {
      const silent = Array.from({ length: Math.max(0, raw - connections.length) }, (): Seen => ({
        bytes: () => Buffer.alloc(0),
        reachedSignOn: () => false,
      }));
      return [...connections, ...silent];
    },
    async close() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A port mapper that knows these services; `answersOnce` closes after the first answer, as old ones may. */
export async function startPortMapper(
  services: Readonly<Record<string, number>>,
  options: { readonly answersOnce?: boolean } = {},
): Promise<TestServer & { readonly asked: readonly string[] }> {
  const asked: string[] = [];
  const connections: Seen[] = [];
  const server = createServer((socket) => {
    let bytes = Buffer.alloc(0);
    connections.push({ bytes: () => bytes, reachedSignOn: () => false });
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      const name = chunk.toString('latin1');
      asked.push(name);
      const answer = Buffer.alloc(5);
      answer[0] = services[name] === undefined ? 0x2d : 0x2b;
      answer.writeUInt32BE(services[name] ?? 0, 1);
      if (options.answersOnce === true) socket.end(answer);
      else socket.write(answer);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    asked,
    async close() {
      server.close();
      await once(server, 'close');
    },
  };
}
