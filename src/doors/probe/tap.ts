import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/**
 * The connection as TLS sees it, which keeps the first bytes that the server sends: when they are no TLS, they say what they are.
 * The limit bounds what is kept, not what passes.
 */
export class Tap extends Duplex {
  readonly #socket: Socket;
  #first: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      if (this.#first.length < keptBytes)
        this.#first = Buffer.concat([this.#first, chunk.subarray(0, keptBytes - this.#first.length)]);
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  /** At most 64 bytes. */
  get firstBytes(): Buffer {
    return this.#first;
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}

const keptBytes = 64;
