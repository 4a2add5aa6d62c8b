import type { SshBlob } from '../../src/kernel/index.ts';
import type { Krl } from '../../src/ssh/krl.ts';

/** Numbers in [0, 1) that depend on the seed only (mulberry32), so that a failing case can be run again. */
export function seededNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** An Ed25519 key blob made of one repeated byte: KRLs never look inside the 32 bytes. */
export function keyBlob(byte: number): SshBlob {
  const name = Buffer.from('ssh-ed25519', 'latin1');
  return Buffer.concat([uint32(name.length), name, uint32(32), Buffer.alloc(32, byte)]) as SshBlob;
}

/** A list that revokes nothing but for what the overrides say. */
export function krlWith(overrides: Partial<Krl>): Krl {
  return {
    version: 7n,
    generatedSeconds: 1_700_000_000n,
    comment: 'test',
    certificates: [],
    keys: [],
    sha256: [],
    ...overrides,
  };
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

/** Length-prefixed. */
export function sshString(bytes: Uint8Array | readonly number[] | string): Buffer {
  const body = typeof bytes === 'string' ? Buffer.from(bytes) : Buffer.from(bytes);
  return Buffer.concat([uint32(body.length), body]);
}

/** Type, length, body. */
export function section(type: number, ...body: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from([type]), sshString(Buffer.concat(body))]);
}

/** A whole KRL of hand-written sections, independent of the writer under test. */
export function rawKrl(...sections: readonly Uint8Array[]): Buffer {
  const head = [Buffer.from('SSHKRL\n\0'), uint32(1), uint64(7n), uint64(1_700_000_000n), uint64(0n)];
  return Buffer.concat([...head, sshString(''), sshString('test'), ...sections]);
}

export interface FoundSection {
  readonly type: number;
  readonly body: Buffer;
}

/** Cuts bytes into sections, without the reader under test. */
export function walkSections(bytes: Buffer): FoundSection[] {
  const found: FoundSection[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    found.push({ type: bytes.readUInt8(at), body: bytes.subarray(at + 5, end) });
    at = end;
  }
  return found;
}

/** The sections after the header. */
export function sectionsOf(krl: Buffer): FoundSection[] {
  const comment = 44 - 4 + krl.readUInt32BE(36);
  return walkSections(krl.subarray(comment + 4 + krl.readUInt32BE(comment)));
}

/** The subsections of every certificate section, each with the CA blob it stands under. */
export function subsectionsOf(krl: Buffer): (FoundSection & { readonly ca: Buffer })[] {
  return sectionsOf(krl)
    .filter(({ type }) => type === 1)
    .flatMap(({ body }) => {
      const caEnd = 4 + body.readUInt32BE(0);
      const reservedEnd = caEnd + 4 + body.readUInt32BE(caEnd);
      return walkSections(body.subarray(reservedEnd)).map((part) => ({
        ...part,
        ca: body.subarray(4, caEnd),
      }));
    });
}
