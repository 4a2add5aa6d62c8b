import { assert as check, configureGlobal, property, uint8Array } from 'fast-check';
import { BerReader } from 'ldapts';
import { describe, expect, it } from 'vitest';
import { DirSyncControl } from '../../src/identity/active-directory/dirsync-control.ts';
import { readElements } from '../../src/identity/ldap/ber.ts';
import { parseSyncMessage } from '../../src/identity/ldap/sync-messages.ts';

configureGlobal({ seed: 20_261_130, numRuns: 5_000 });

const sample = Buffer.from(
  '3057020103644a040a7569643d612c64633d78303c301d040b6f626a656374436c617373310e040c6f7267616e697a6174696f6e301b0402636e311504136120706572736f6e2077697468206120636e2e2e',
  'hex',
);

/** Whatever comes from a server is read, or refused with an Error; nothing hangs, and nothing else is thrown. */
function ends(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch (error) {
    return error instanceof Error && !(error instanceof TypeError) && !(error instanceof RangeError);
  }
}

describe('what a directory tells of changes', () => {
  it('any bytes are read or refused', () => {
    check(
      property(uint8Array({ maxLength: 300 }), (bytes) => ends(() => parseSyncMessage(Buffer.from(bytes)))),
    );
    check(property(uint8Array({ maxLength: 300 }), (bytes) => ends(() => readElements(Buffer.from(bytes)))));
  });

  it('so is a message with any byte changed', () => {
    for (let at = 0; at < sample.length; at += 1)
      for (let bit = 0; bit < 8; bit += 1) {
        const bytes = Buffer.from(sample);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
        expect(ends(() => parseSyncMessage(bytes))).toBe(true);
      }
  });

  it('and any value of the DirSync control', () => {
    check(
      property(uint8Array({ maxLength: 100 }), (bytes) =>
        ends(() => new DirSyncControl(Buffer.alloc(0), true).parse(new BerReader(Buffer.from(bytes)))),
      ),
    );
  });
});
