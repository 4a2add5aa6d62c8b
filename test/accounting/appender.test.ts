import { createHash, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  createLogAppender,
  emptyLogHead,
  type EntryDraft,
  type LogHead,
  verifierKey,
} from '../../src/accounting/index.ts';
import { isCodedError } from '../../src/kernel/index.ts';
import { openedBy } from './log-fixture.ts';

const sha = (...parts: (Buffer | string)[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** RFC 6962 section 2.1, word for word: split at the largest power of two below n. Shares nothing with the appender. */
function naiveRoot(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return sha('');
  if (leaves.length === 1) return sha(Buffer.of(0), leaves[0] ?? '');
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return sha(Buffer.of(1), naiveRoot(leaves.slice(0, split)), naiveRoot(leaves.slice(split)));
}

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const origin = 'broker.example.com/accounting/1';
const signer = { publicKey, sign: (message: Uint8Array) => sign(null, message, privateKey) };
const appender = createLogAppender({ signer, origin, random: randomBytes });
const draft = (nth: number): EntryDraft => ({
  type: 'log.heartbeat',
  outcome: 'success',
  timeMs: 1_700_000_000_000 + nth,
});
const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
  return 'accepted';
};

describe('createLogAppender', () => {
  it('gives the same tree as RFC 6962 computed naively, whatever the batches', () => {
    let state = 7;
    const below = (limit: number): number => {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
      return state % limit;
    };
    for (let round = 0; round < 4; round += 1) {
      let head: LogHead = emptyLogHead(origin);
      const leaves: Buffer[] = [];
      while (leaves.length < 300) {
        const batch = Array.from({ length: below(9) }, (_, nth) => draft(leaves.length + nth));
        const appended = appender.append(head, batch);
        appended.entries.forEach((entry, nth) => {
          expect(entry.index).toBe(BigInt(leaves.length + nth));
          expect(entry.leafHash).toEqual(sha(Buffer.of(0), entry.bytes));
        });
        leaves.push(...appended.entries.map((entry) => entry.bytes));
        head = appended.head;
        expect(head.size).toBe(BigInt(leaves.length));
        expect(head.root).toEqual(naiveRoot(leaves));
      }
    }
  });

  it('signs the head as a C2SP checkpoint that anyone can check by hand', () => {
    const { head, checkpoint } = appender.append(emptyLogHead(origin), [draft(0), draft(1), draft(2)]);
    const [first, second, third, blank, signature, end] = checkpoint.split('\n');
    expect([first, second, third, blank, end]).toEqual([origin, '3', head.root.toString('base64'), '', '']);
    const [dash, name, encoded] = (signature ?? '').split(' ');
    expect([dash, name]).toEqual(['—', origin]);
    const bytes = Buffer.from(encoded ?? '', 'base64');
    const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
    expect(bytes.subarray(0, 4)).toEqual(sha(`${origin}\n`, Buffer.of(1), raw).subarray(0, 4));
    expect(verify(null, Buffer.from(`${first}\n${second}\n${third}\n`), publicKey, bytes.subarray(4))).toBe(
      true,
    );
    expect(openedBy(verifierKey(origin, publicKey), checkpoint)).toEqual({
      origin,
      size: 3n,
      root: head.root,
    });
  });

  it('refuses a head of another log and a head that does not hold together', () => {
    const { head } = appender.append(emptyLogHead(origin), [draft(0), draft(1), draft(2)]);
    expect(codeOf(() => appender.append({ ...head, origin: 'other.example/1' }, []))).toBe(
      'accounting.wrong_origin',
    );
    const broken: LogHead[] = [
      { ...head, size: 2n },
      { ...head, size: -1n },
      { ...head, frontier: head.frontier.slice(1) },
      { ...head, frontier: head.frontier.toReversed() },
      { ...head, root: Buffer.alloc(32) },
      { ...head, frontier: [Buffer.alloc(31), Buffer.alloc(32)] },
    ];
    for (const bad of broken) expect(codeOf(() => appender.append(bad, []))).toBe('accounting.bad_head');
  });
});
