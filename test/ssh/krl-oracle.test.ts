import { describe, expect, test } from 'vitest';
import { encodeKrl } from '../../src/ssh/krl-encode.ts';
import { parseKrl } from '../../src/ssh/krl-parse.ts';
import { keyBlob, sectionsOf, seededNumbers, subsectionsOf } from './krl-fixtures.ts';
import { expandSerials, isInSet, nameOf, pick, randomSet, toKrl } from './krl-sets.ts';
import type { RevocationSet, Subject } from './krl-sets.ts';

const caKeys = [keyBlob(1), keyBlob(2), keyBlob(3)] as const;
const keys = [keyBlob(11), keyBlob(12), keyBlob(13), keyBlob(14), ...caKeys] as const;
const stranger = keyBlob(20);
const max = 2n ** 64n - 1n;

/** Each serial that is revoked anywhere, and its neighbours, under a CA and with a key and key id at random. */
function* subjects(set: RevocationSet, random: () => number): Generator<Subject> {
  for (const [name, { serials }] of set.authorities) {
    for (const serial of serials) {
      for (const near of [serial - 1n, serial, serial + 1n]) {
        // Within a run the neighbours are asked for their own sake.
        if (near !== serial && serials.has(near)) continue;
        const caKey = random() < 0.9 ? caKeys.find((key) => nameOf(key) === name) : undefined;
        yield {
          key: random() < 0.9 ? stranger : pick(random, keys),
          caKey: caKey ?? pick(random, caKeys),
          serial: near < 0n ? 0n : near > max ? max : near,
          keyId: `id-${Math.floor(random() * 40)}`,
        };
      }
    }
  }
}

function sameSerials(a: Set<bigint>, b: Set<bigint>): boolean {
  return a.size === b.size && [...a].every((serial) => b.has(serial));
}

describe('10,000 random revocation sets (seed 20261123)', () => {
  test.each([0, 1, 2, 3])('part %i of 4', (part) => {
    const random = seededNumbers(20_261_123 + part);
    let [asked, refused, widest] = [0, 0, 0];
    for (let round = 0; round < 2500; round += 1) {
      const set = randomSet(random, caKeys, keys);
      const bytes = encodeKrl(toKrl(set));

      const written = expandSerials(bytes);
      for (const [name, { serials }] of set.authorities)
        expect(sameSerials(written.get(name) ?? new Set(), serials), `set ${round}`).toBe(true);

      const parsed = parseKrl(bytes);
      for (const subject of subjects(set, random)) {
        const wanted = isInSet(set, subject);
        asked += 1;
        if (wanted) refused += 1;
        if (parsed.isRevoked(subject).revoked !== wanted)
          expect.fail(`set ${round}: serial ${subject.serial} should be ${wanted ? 'revoked' : 'free'}`);
      }
      expect(encodeKrl(parsed).equals(bytes), `set ${round} written again`).toBe(true);

      for (const { type, body } of subsectionsOf(bytes)) {
        expect(body.length, 'nothing empty is written').toBeGreaterThan(0);
        if (type === 0x22) widest = Math.max(widest, body.readUInt32BE(8) * 8 - (body[12] === 0 ? 8 : 0));
      }
      expect(sectionsOf(bytes).every(({ body }) => body.length > 0)).toBe(true);
    }
    // The sets must have been worth asking about: many answers of both kinds, and bitmaps up to the limit.
    expect(asked).toBeGreaterThan(300_000);
    expect(refused / asked).toBeGreaterThan(0.3);
    expect(refused / asked).toBeLessThan(0.9);
    expect(widest).toBeGreaterThan(16_000);
    expect(widest).toBeLessThanOrEqual(16_384);
  });
});
