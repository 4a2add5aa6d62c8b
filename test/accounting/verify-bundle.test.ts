import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createLogAppender, emptyLogHead, type LogHead } from '../../src/accounting/index.ts';
import { encodeCheckpoint, signatureLines } from '../../src/accounting/checkpoint.ts';
import { describeVerdict, type Verdict, verifyBundle } from '../../src/accounting/verify/index.ts';
import {
  dayDrafts,
  exportLog,
  inPieces,
  makeLog,
  newSigner,
  origin,
  seededBytes,
  type TestLog,
} from './log-fixture.ts';

const text = (bytes: Buffer): string => bytes.toString('utf8');
const cutEnd = (bundle: string): string => bundle.slice(0, bundle.indexOf('sallyport-bundle-end'));

/** Puts a correct end under a changed bundle: what somebody with the log's own key could do. */
function resign(log: TestLog, changed: string): Buffer {
  const body = cutEnd(changed);
  const [, range = '0 600'] = /^\uFEFF?sallyport-bundle v\d (\d+ \d+)/.exec(body) ?? [];
  const end = `sallyport-bundle-end v1 ${range} ${createHash('sha256').update(body).digest('base64')}\n`;
  return Buffer.from(`${body}${end}\n${signatureLines(origin, log.signer)(end)}`);
}

describe('verifyBundle', () => {
  it.each([1, 2, 3, 255, 256, 257, 300, 511, 512, 513, 1000])(
    'verifies an export of all %i entries',
    async (count) => {
      const log = makeLog(dayDrafts(count));
      const verdict = await verifyBundle(inPieces(await exportLog(log), 1 + (count % 5000)), {
        verifierKey: log.key,
      });
      expect(verdict).toMatchObject({
        integrity: { state: 'verified' },
        consistency: { state: 'not_checked' },
        completeness: { state: 'verified' },
        exitCode: 0,
        facts: { size: BigInt(count), from: 0n, to: BigInt(count) },
      });
      expect(describeVerdict(verdict)).toContain('rollback by the operator is not excluded');
    },
  );

  describe('of one log', () => {
    let log: TestLog;
    let bundle: string;
    const judge = (file: string | Buffer, previousCheckpoint?: string, part = false): Promise<Verdict> =>
      verifyBundle(inPieces(Buffer.from(file)), {
        verifierKey: log.key,
        part,
        ...(previousCheckpoint === undefined ? {} : { previousCheckpoint }),
      });

    beforeAll(async () => {
      log = makeLog(dayDrafts(600));
      bundle = text(await exportLog(log));
    });

    it.each([
      [0n, 1n],
      [0n, 599n],
      [1n, 600n],
      [255n, 256n],
      [256n, 512n],
      [511n, 513n],
      [599n, 600n],
    ])('takes the part [%s, %s) for incomplete, unless a part is expected', async (from, to) => {
      const part = await exportLog(log, { from, to });
      const rest = `nly entries ${from} to ${to - 1n} of 600`;
      const unexpected = await judge(part);
      expect(unexpected).toMatchObject({
        integrity: { state: 'verified' },
        completeness: { state: 'incomplete' },
        exitCode: 3,
        facts: { from, to, size: 600n },
      });
      expect(unexpected.completeness.detail).toContain(rest);
      expect(describeVerdict(unexpected)).toMatch(
        new RegExp(`\n\nINCOMPLETE: integrity verified, o${rest}, so nothing is said about the rest\\.\n$`),
      );
      const expected = await judge(part, undefined, true);
      expect(expected).toMatchObject({
        integrity: { state: 'verified' },
        completeness: { state: 'not_checked', detail: unexpected.completeness.detail },
        exitCode: 0,
      });
      expect(describeVerdict(expected)).toContain(`\n\nVerified, as the part that you expect: o${rest}`);
    });

    it('takes all of a log for all of it, also when a part is expected', async () => {
      const verdict = await judge(bundle, undefined, true);
      expect(verdict).toMatchObject({ completeness: { state: 'verified' }, exitCode: 0 });
      expect(describeVerdict(verdict)).toMatch(/\n\nVerified\.\n$/);
    });

    it('says 3 and never 0 when there is nothing', async () => {
      expect(await judge('')).toMatchObject({ integrity: { state: 'incomplete' }, exitCode: 3 });
      const header = bundle.slice(0, bundle.indexOf('\n') + 1);
      expect(await judge(header)).toMatchObject({ integrity: { state: 'incomplete' }, exitCode: 3 });
      expect(await judge(cutEnd(bundle))).toMatchObject({ integrity: { state: 'incomplete' }, exitCode: 3 });
    });

    it('refuses an empty range, a range past the size and a bundle without a checkpoint, even signed anew', async () => {
      const [header = '', ...rest] = bundle.split('\n');
      for (const bad of ['sallyport-bundle v1 5 5', 'sallyport-bundle v1 0 601', 'sallyport-bundle v1 0 0']) {
        expect(await judge(resign(log, [bad, ...rest].join('\n')))).toMatchObject({ exitCode: 1 });
      }
      expect(await judge(resign(log, [header, ...rest.slice(5)].join('\n')))).toMatchObject({ exitCode: 1 });
    });

    it.each([
      ['CRLF line ends', (file: string) => file.replaceAll('\n', '\r\n')],
      ['a space behind the header', (file: string) => file.replace('\n', ' \n')],
      ['a byte order mark', (file: string) => `\uFEFF${file}`],
      ['a leading zero', (file: string) => file.replace('v1 0 ', 'v1 00 ')],
      ['another version', (file: string) => file.replace('v1', 'v2')],
      ['an extension line in the checkpoint', (file: string) => file.replace('=\n\n—', '=\nmore\n\n—')],
      ['base64 without padding', (file: string) => file.replace(/(tile 1 0 [^=\n]+)=+\n/, '$1\n')],
      ['an extra tile', (file: string) => file.replace(/(tile 0 0 [^\n]+\n)/, '$1$1')],
    ])('refuses %s, even signed anew', async (_name, change) => {
      const changed = change(bundle);
      expect(changed).not.toBe(bundle);
      expect(await judge(resign(log, changed))).toMatchObject({
        integrity: { state: 'failed' },
        exitCode: 1,
      });
    });

    it('names the entry when somebody with the key changes it, its leaf hash, or its personal values', async () => {
      const place = bundle.indexOf('entry 321\n');
      const at = bundle.indexOf('"time"', place);
      const changed = `${bundle.slice(0, at)}"tame"${bundle.slice(at + 6)}`;
      expect(await judge(resign(log, changed))).toMatchObject({
        integrity: { state: 'failed', index: 321n },
      });
      const value = bundle.indexOf('"value":"', place) + 9;
      const opened = `${bundle.slice(0, value)}x${bundle.slice(value + 1)}`;
      expect(await judge(resign(log, opened))).toMatchObject({ integrity: { state: 'failed', index: 321n } });
      const tile = bundle.indexOf('tile 0 1 ') + 9;
      const rehashed = `${bundle.slice(0, tile)}AAAA${bundle.slice(tile + 4)}`;
      expect(await judge(resign(log, rehashed))).toMatchObject({
        integrity: { state: 'failed', index: 256n },
      });
    });

    it('accepts erased and withheld values and counts them', async () => {
      const entries = log.entries.map((entry) =>
        entry.index < 100n ? { ...entry, openings: undefined } : entry,
      );
      const withhold = (path: string): boolean => path === 'src.ua';
      const verdict = await judge(await exportLog(log, { entries, withhold }));
      const kept = (from: number, path: string): number =>
        log.entries.slice(from).filter(({ openings }) => openings?.includes(`"${path}"`)).length;
      expect(verdict).toMatchObject({
        exitCode: 0,
        facts: {
          opened: kept(100, 'actor.name') + kept(100, 'src.ip') + kept(100, 'reason'),
          erased: 25 + 25 + 25 + 25,
          withheld: kept(0, 'src.ua'),
        },
      });
      expect(describeVerdict(verdict)).toContain('100 erased by rule');
    });

    it('finds a value dropped on the way, which the tree alone could not tell', async () => {
      const dropped = bundle.replace(/"reason":\{[^}]*\}/, '"reason":"erased"');
      expect(dropped).not.toBe(bundle);
      expect(await judge(dropped)).toMatchObject({ integrity: { state: 'failed' }, exitCode: 1 });
      const removed = bundle.replace(/"reason":\{[^}]*\},/, '');
      expect(await judge(resign(log, removed))).toMatchObject({ integrity: { state: 'failed', index: 2n } });
    });

    it('says at its end that a value was swapped with one that is gone: nothing before binds that', async () => {
      const entries = log.entries.map((entry) =>
        entry.index === 6n ? { ...entry, openings: undefined } : entry,
      );
      const withhold = (path: string): boolean => path === 'reason' || path === 'src.ip';
      const lines = text(await exportLog(log, { entries: log.entries, withhold })).split('\n');
      const erased = text(await exportLog(log, { entries })).split('\n');
      const at = lines.indexOf('entry 6') + 2;
      expect([lines[at], erased[at]]).toEqual([
        '{"reason":"withheld","src.ip":"withheld"}',
        '{"reason":"erased","src.ip":"erased"}',
      ]);
      const changed = await judge(lines.with(at, erased[at] ?? '').join('\n'));
      expect(changed).toMatchObject({ integrity: { state: 'failed', line: lines.length - 3 }, exitCode: 1 });
      expect(changed.integrity.detail).toContain('Something before the end');
      expect(changed.integrity.index).toBeUndefined();
    });

    it('finds an end of another range wherever it stands, behind whatever bytes', async () => {
      const lines = bundle.split('\n');
      const end = text(await exportLog(log, { from: 5n, to: 9n }))
        .split('\n')
        .slice(-4);
      const entry = lines.indexOf('entry 5');
      // In the place of an entry line, of an entry and of its openings.
      for (const kept of [entry, entry + 1, entry + 2]) {
        const spliced = await judge([...lines.slice(0, kept), ...end].join('\n'));
        expect(spliced, String(kept)).toMatchObject({ integrity: { state: 'failed', line: 1 }, exitCode: 1 });
        expect(spliced.integrity.index).toBeUndefined();
      }
      const before = Buffer.from(`${lines.slice(0, entry).join('\n')}\n`);
      const noText = Buffer.concat([before, Buffer.from('x\n\xff\n', 'latin1'), Buffer.from(end.join('\n'))]);
      expect(await judge(noText)).toMatchObject({ integrity: { state: 'failed', line: 1 }, exitCode: 1 });
    });

    it('names every line of the right edge that may be wrong where the rest does not tell', async () => {
      const lines = text(await exportLog(log, { from: 300n, to: 301n })).split('\n');
      const edge = lines.findIndex((line) => line.startsWith('tile 0 2 '));
      for (const nth of [edge - 1, edge]) {
        const [tile, level, index, encoded = ''] = lines[nth]?.split(' ') ?? [];
        const hashes = Buffer.from(encoded, 'base64');
        hashes[1] = (hashes[1] ?? 0) ^ 1;
        const changed = [tile, level, index, hashes.toString('base64')].join(' ');
        const verdict = await judge(lines.with(nth, changed).join('\n'));
        expect(verdict).toMatchObject({ integrity: { state: 'failed', line: edge }, exitCode: 1 });
        expect(verdict.integrity.detail).toContain(`line ${edge + 1} may be it too`);
      }
    });

    it('blames the signature line, not the text, when nothing fits it', async () => {
      const grease = `— grease.example/7 ${seededBytes(9)(77).toString('base64')}\n`;
      const [, signature = ''] = log.checkpoint.split('\n\n');
      for (const [lines, line] of [
        [grease + signature.replace('/1 ', '/2 '), 7],
        [grease + signature.replace(/ .(?=\S+\n)/g, (text) => (text === ' A' ? ' B' : ' A')), 7],
        [signature.replace('— b', '— c') + grease, 6],
        [grease.replace('— ', '—  ') + signature, 6],
        [signature + grease.replace(' grease', ''), 7],
      ] as const) {
        const verdict = await judge(bundle.replace(signature, lines));
        expect(verdict, lines).toMatchObject({ integrity: { state: 'failed', line }, exitCode: 1 });
      }
    });

    it('refuses another key, another origin, and a checkpoint of another day', async () => {
      const stranger = makeLog(dayDrafts(600), newSigner());
      expect(await judge(await exportLog(stranger))).toMatchObject({
        integrity: { state: 'failed' },
        exitCode: 1,
      });
      const sameNameOtherKey = await exportLog(log, { signer: newSigner() });
      expect(await judge(sameNameOtherKey)).toMatchObject({ integrity: { state: 'failed' }, exitCode: 1 });
      const elsewhere = makeLog(dayDrafts(600), log.signer, 1, 'other.example.com/accounting/1');
      expect(await judge(await exportLog(elsewhere))).toMatchObject({ exitCode: 1 });
      const older = [...log.checkpoints].find(([size]) => size === 300);
      const replayed = bundle.replace(log.checkpoint, older?.[1] ?? '');
      expect(replayed).not.toBe(bundle);
      expect(await judge(resign(log, replayed))).toMatchObject({
        integrity: { state: 'failed' },
        exitCode: 1,
      });
    });

    it('ignores signature lines of unknown keys in the checkpoint, but not a malformed or second false one', async () => {
      const [, signature = ''] = log.checkpoint.split('\n\n');
      const grease = `— grease.example/7 ${seededBytes(9)(77).toString('base64')}\n`;
      for (const lines of [grease + signature, signature + grease, grease.repeat(16) + signature]) {
        const checkpoint = log.checkpoint.replace(signature, lines);
        expect(await judge(await exportLog(log, { checkpoint }))).toMatchObject({ exitCode: 0 });
      }
      const forged = Buffer.from(signature.split(' ')[2] ?? '', 'base64');
      forged[20] = (forged[20] ?? 0) ^ 1;
      const second = `— ${origin} ${forged.toString('base64')}\n`;
      for (const lines of [signature + second, second, '— nobody\n', grease]) {
        const changed = resign(log, bundle.replace(signature, lines));
        expect(await judge(changed)).toMatchObject({ integrity: { state: 'failed' }, exitCode: 1 });
      }
    });

    it('shows that the log continues every earlier checkpoint, or that it does not', async () => {
      for (const [size, checkpoint] of log.checkpoints) {
        const verdict = await judge(bundle, checkpoint);
        expect(verdict, String(size)).toMatchObject({ consistency: { state: 'verified' }, exitCode: 0 });
      }
      const rewritten = makeLog(dayDrafts(600), log.signer, 2);
      for (const [, checkpoint] of rewritten.checkpoints) {
        const verdict = await judge(bundle, checkpoint);
        expect(verdict).toMatchObject({
          integrity: { state: 'verified' },
          consistency: { state: 'failed' },
          exitCode: 1,
        });
      }
    });

    it('finds a cut log and the empty log before', async () => {
      const longer = makeLog(dayDrafts(700), log.signer);
      const cut = await judge(bundle, longer.checkpoint);
      expect(cut).toMatchObject({ consistency: { state: 'failed' }, exitCode: 1 });
      expect(cut.consistency.detail).toContain('cut or rolled back');
      expect(cut.consistency.detail).toContain('mixed up, and this bundle is older');
      expect(cut.consistency.detail).toContain('export the log anew');
      const appender = createLogAppender({ signer: log.signer, origin, random: seededBytes(1) });
      const empty = appender.append(emptyLogHead(origin), []).checkpoint;
      expect(await judge(bundle, empty)).toMatchObject({ consistency: { state: 'verified' }, exitCode: 0 });
    });

    it('refuses what the pinned key signed for another log', async () => {
      const sign = signatureLines(origin, log.signer);
      const foreign = (head: LogHead): string =>
        encodeCheckpoint({ ...head, origin: 'other.example.com/1' }, sign);
      const verdict = await judge(await exportLog(log, { checkpoint: foreign(log.head) }));
      expect(verdict).toMatchObject({ integrity: { state: 'failed' }, exitCode: 1 });
      expect(verdict.integrity.detail).toContain('of the log other.example.com/1');
      const earlier = await judge(bundle, foreign(emptyLogHead(origin)));
      expect(earlier.exitCode).toBe(2);
      expect(earlier.integrity.detail).toContain('of the log other.example.com/1');
    });

    it('compares a part only where it reaches to the earlier size', async () => {
      const part = await exportLog(log, { from: 300n, to: 500n });
      for (const [size, checkpoint] of log.checkpoints) {
        // The tiles given reach from 256 to the end; the first tile is one hash here.
        const reached = size >= 256;
        expect(await judge(part, checkpoint, true), String(size)).toMatchObject({
          consistency: { state: reached ? 'verified' : 'incomplete' },
          exitCode: reached ? 0 : 3,
        });
      }
    });

    it('says 2 for a question that cannot be answered', async () => {
      const input = (): AsyncIterable<Buffer> => inPieces(Buffer.from(bundle));
      const keys = [
        '',
        'x',
        log.key.slice(0, -1),
        log.key.replace('+', '++'),
        log.key.replace(/.$/, 'A'),
        `${log.key}\n`,
      ];
      for (const verifierKey of keys)
        expect((await verifyBundle(input(), { verifierKey })).exitCode, verifierKey).toBe(2);
      for (const previousCheckpoint of [
        '',
        'x',
        log.checkpoint.slice(0, -1),
        makeLog(dayDrafts(3)).checkpoint,
      ])
        expect((await verifyBundle(input(), { verifierKey: log.key, previousCheckpoint })).exitCode).toBe(2);
      expect((await verifyBundle('/nonexistent/bundle', { verifierKey: log.key })).exitCode).toBe(2);
      expect((await verifyBundle(tmpdir(), { verifierKey: log.key })).exitCode).toBe(2);
    });

    it('reads a file by its path', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'sallyport-bundle-'));
      try {
        const path = join(folder, 'all.bundle');
        await writeFile(path, bundle);
        expect((await verifyBundle(path, { verifierKey: log.key })).exitCode).toBe(0);
      } finally {
        await rm(folder, { recursive: true });
      }
    });

    it('gives up on a line without end instead of holding it', async () => {
      let given = 0;
      async function* endless(): AsyncGenerator<Buffer> {
        for (;;) {
          given += 65_536;
          yield Buffer.alloc(65_536, 0x61);
        }
      }
      const verdict = await verifyBundle(endless(), { verifierKey: log.key });
      expect(verdict).toMatchObject({ integrity: { state: 'failed', line: 1 }, exitCode: 1 });
      expect(given).toBeLessThan(400_000);
    });
  });
});
