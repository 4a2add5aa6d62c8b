import { BerWriter, Control } from 'ldapts';
import type { BerReader } from 'ldapts';
import { readElements, readNumber } from '../ldap/ber.ts';

/** [MS-ADTS] section 3.1.1.3.4.1.3. */
const dirSync = '1.2.840.113556.1.4.841';
/** Shows what the account may read, instead of asking for the right to replicate everything. */
const objectSecurity = 0x1;
/** Lists only the members that came or went. As the signed number that 0x80000000 is on the wire. */
const incrementalValues = -0x8000_0000;
const maxAttributeBytes = 500_000;
const maxCookieBytes = 65_536;

/** Asks for what changed since the cookie; after the search it holds the server's word. */
export class DirSyncControl extends Control {
  readonly #cookie: Buffer;
  readonly #asReplicator: boolean;
  /** Undefined until the server has answered. */
  answer: { readonly more: boolean; readonly cookie: Buffer } | undefined;

  constructor(cookie: Buffer, asReplicator: boolean) {
    super(dirSync, { critical: true });
    this.#cookie = cookie;
    this.#asReplicator = asReplicator;
  }

  protected override writeControl(writer: BerWriter): void {
    const flags = incrementalValues + (this.#asReplicator ? 0 : objectSecurity);
    const value = new BerWriter();
    value.startSequence();
    value.writeBuffer(signed(flags), 0x02);
    value.writeBuffer(signed(maxAttributeBytes), 0x02);
    value.writeBuffer(this.#cookie, 0x04);
    value.endSequence();
    writer.writeBuffer(value.buffer, 0x04);
  }

  /** @throws Error when the server's value is not one: then the search has failed. */
  protected override parseControl(reader: BerReader): void {
    const [sequence] = readElements(reader.remainingBuffer);
    const [more, , cookie] = readElements(sequence?.value ?? Buffer.alloc(0));
    if (more === undefined || cookie === undefined || cookie.value.length > maxCookieBytes)
      throw new Error('the answer of the DirSync control cannot be read');
    this.answer = { more: readNumber(more) !== 0, cookie: Buffer.from(cookie.value) };
  }
}

function signed(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
