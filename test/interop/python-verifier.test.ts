import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verifierKey } from '../../src/accounting/index.ts';
import { dayDrafts, exportLog, makeLog, newSigner, origin, seeded } from '../accounting/log-fixture.ts';
import { describeWithPeers, findPeer } from '../support/peers.ts';
import { kinds, type Lined, makeMaterial, mutate, withLines } from './bundle-mutations.ts';
import { judgeByOurs, judgeHere, judgeInPython, type Question, type Said, said, shared } from './judges.ts';
import { entryWith, oddEntries, oddLog } from './odd-entries.ts';
import { rawBundle } from './raw-log.ts';

const program = join(import.meta.dirname, 'verify_bundle.py');
const formats = join(import.meta.dirname, '../../docs/formats');

/** The same signature with the order of the group added to S, which RFC 8032 refuses. */
function malleable(line: string): string {
  const [dash = '', name = '', encoded = ''] = line.trim().split(' ');
  const bytes = Buffer.from(encoded, 'base64');
  const order = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n;
  const scalar = BigInt(`0x${Buffer.from(bytes.subarray(36)).reverse().toString('hex')}`) + order;
  const added = Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex').reverse();
  return `${dash} ${name} ${Buffer.concat([bytes.subarray(0, 36), added]).toString('base64')}\n`;
}

/** The block of a document that follows a comment with its name. */
function example(file: string, name: string): string {
  const text = readFileSync(join(formats, file), 'utf8');
  const [, found] = new RegExp(`<!-- ${name} -->\n\`\`\`\n([^]*?)\`\`\``).exec(text) ?? [];
  if (found === undefined) throw new Error(`${file} has no example called ${name}`);
  return found;
}

describeWithPeers(['python3'], 'the verifier in Python, written from docs/formats', () => {
  const python = findPeer('python3') ?? 'python3';
  const signer = newSigner();
  const key = verifierKey(origin, signer.publicKey);
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-judges-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const put = (name: string, content: string | Buffer): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  /** Runs the program as an auditor would. */
  const run = (...args: readonly string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(python, ['-B', program, ...args], { encoding: 'utf8' });
  const report = (...args: readonly string[]): Said => {
    const { status, stdout, stderr } = run(...args, '--json');
    expect(stderr).toBe('');
    const told = said(JSON.parse(stdout) as Parameters<typeof said>[0]);
    expect(status).toBe(told.exitCode);
    return told;
  };

  /** Both judge each question; they must say the same. @returns how many bundles got which exit code */
  async function agree(
    files: readonly Lined[],
    questions: readonly Question[],
  ): Promise<Record<number, number>> {
    const judging = judgeInPython(python, files, questions);
    const seen: Said[] = [];
    for (const question of questions) seen.push(await judgeHere(files, question));
    const judged = await judging;
    expect(judged).toHaveLength(questions.length);
    const codes: Record<number, number> = {};
    for (const [nth, here] of seen.entries()) {
      expect(shared(judged[nth] ?? here), `number ${nth}`).toEqual(shared(here));
      codes[here.exitCode] = (codes[here.exitCode] ?? 0) + 1;
    }
    return codes;
  }
  const whole = (bytes: Buffer, more: Partial<Question> = {}): Question => ({
    pieces: [bytes],
    key,
    ...more,
  });
  const agreeOn = async (questions: readonly Question[]): Promise<Record<number, number>> =>
    agree([withLines(Buffer.from('no bundle\n'))], questions);

  test('takes the documented example, with the key as a file or as text, and with its checkpoint as an earlier one', async () => {
    const [bundle, vkey] = [example('bundle.md', 'bundle'), example('checkpoint.md', 'key')];
    const path = put('example.bundle', bundle);
    const held = put('example.checkpoint', example('checkpoint.md', 'checkpoint'));
    const told = report(path, '--key', put('example.vkey', vkey));
    expect(told).toMatchObject({ exitCode: 0, facts: { opened: 1, withheld: 1, erased: 0 } });
    expect(report(path, '--key', vkey.trim())).toEqual(told);
    const here = await judgeHere([], { pieces: [Buffer.from(bundle)], key: vkey.trim() });
    expect(told).toEqual(here);
    const { status, stdout } = run(path, '--key', vkey.trim(), '--held', held);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/consistency +verified: /)]);
  });

  test('says 2 for a question that cannot be answered, and never more than a line', () => {
    const path = put('asked.bundle', example('bundle.md', 'bundle'));
    const vkey = example('checkpoint.md', 'key').trim();
    for (const args of [
      [join(folder, 'absent'), '--key', vkey],
      [folder, '--key', vkey],
      [path, '--key', join(folder, 'absent')],
      [path, '--key', path],
      [path, '--key', `${vkey}x`],
      [path, '--key', vkey.replace('d1148e16', 'd1148e17')],
      [path, '--key', vkey, '--held', path],
      [path, '--key', vkey, '--held', folder],
      [path, '--key', vkey, '--held', put('empty', '')],
      [path, '--key', vkey, '--held', put('binary', Buffer.alloc(300_000, 0xff))],
    ]) {
      const { status, stdout, stderr } = run(...args);
      expect([status, stdout], args.join(' ')).toEqual([2, '']);
      expect(stderr).toMatch(/^.+\n$/);
    }
    expect(run(path).status).toBe(2);
  });

  test('and ours say the same of parts, openings and earlier checkpoints, kept, rewritten and too new', async () => {
    const below = seeded(31);
    const questions: Question[] = [];
    for (const count of [1, 2, 255, 256, 257, 300, 512, 600]) {
      const logs = [count, count, count + 40, count + 40].map((size, nth) =>
        makeLog(dayDrafts(size), signer, nth === 2 ? 2 : 1),
      );
      const log = logs[0] ?? makeLog([], signer);
      for (let asked = 0; asked < 15; asked += 1) {
        const from = below(3) === 0 ? 0 : below(count);
        const to = below(3) === 0 ? count : from + 1 + below(count - from);
        const entries = log.entries
          .slice(from, to)
          .map((entry) => (below(3) === 0 ? { ...entry, openings: undefined } : entry));
        const range = { from: BigInt(from), to: BigInt(to), entries };
        const bundle = await exportLog(log, { ...range, withhold: (path) => path === 'src.ua' });
        const held = [...(logs[below(4)] ?? log).checkpoints.values()];
        const earlier = held[below(held.length)];
        const asks = below(4) === 0 || earlier === undefined ? {} : { held: earlier };
        questions.push(whole(bundle, { part: below(2) === 0, ...asks }));
      }
    }
    const codes = await agreeOn(questions);
    expect(codes).toMatchObject({ 0: expect.any(Number), 1: expect.any(Number), 3: expect.any(Number) });
    expect(Math.min(codes[0] ?? 0, codes[1] ?? 0, codes[3] ?? 0)).toBeGreaterThan(15);
  }, 120_000);

  test('and ours say the same of 400 logs that keep the rules of the replay or break them', async () => {
    const below = seeded(32);
    const questions: Question[] = [];
    for (let made = 0; made < 400; made += 1) {
      const entries = oddLog(below);
      const from = below(3) > 0 ? 0 : below(entries.length);
      const to = below(3) > 0 ? entries.length : from + 1 + below(entries.length - from);
      questions.push(whole(await rawBundle(signer, entries, { from, to }), { part: below(2) === 0 }));
    }
    const codes = await agreeOn(questions);
    expect(Math.min(codes[0] ?? 0, codes[1] ?? 0, codes[3] ?? 0)).toBeGreaterThan(50);
  }, 120_000);

  test('and ours say the same of entries and openings that are odd, signed by the log itself', async () => {
    const plain = { entry: entryWith({}) };
    const questions: Question[] = [];
    for (const odd of oddEntries) questions.push(whole(await rawBundle(signer, [plain, odd])));
    const codes = await agreeOn(questions);
    expect(codes[0]).toBeGreaterThan(40);
    expect(codes[1]).toBeGreaterThan(100);
  }, 120_000);

  test('and ours say the same of signature lines that are odd', async () => {
    const own = / [^ ]+ (\S+)\n/;
    const line = (name: string, sizeBytes = 68): string =>
      `— ${name} ${Buffer.alloc(sizeBytes, 7).toString('base64')}\n`;
    const resized = (signature: string, sizeBytes: number): string =>
      signature.replace(own, (_, encoded: string) => {
        const bytes = Buffer.concat([Buffer.from(encoded, 'base64'), Buffer.alloc(1)]);
        return ` ${origin} ${bytes.subarray(0, sizeBytes).toString('base64')}\n`;
      });
    const spaces =
      '\t\v\f\r \u0085\u00a0\u1680\u180e\u2000\u200a\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff\u001c\u001f\u0000';
    const ways: readonly ((signature: string) => string)[] = [
      ...Array.from(spaces).map((space) => (signature: string) => signature + line(`a${space}b`)),
      ...['a+b', '', '😀'.repeat(200), '😀'.repeat(201), origin].map(
        (name) => (signature: string) => signature + line(name),
      ),
      ...[0, 4, 5, 149_980, 149_990, 160_000].map(
        (sizeBytes) => (signature: string) => signature + line('x', sizeBytes),
      ),
      ...[31, 32].flatMap((count) => [
        (signature: string) => signature + line('x').repeat(count),
        (signature: string) => line('x').repeat(count) + signature,
      ]),
      ...[69, 67, 5, 4].map((sizeBytes) => (signature: string) => resized(signature, sizeBytes)),
      (signature) => signature + resized(signature, 5),
      malleable,
      (signature) => signature + signature,
      (signature) => signature + line('x').replace('—', '-'),
      (signature) => signature + line('x').replace('— ', '—  '),
      (signature) => signature + line('x').replace('\n', ' \n'),
      (signature) => signature + line('x', 67).replace('=', ''),
      (signature) => line('x') + signature.replace(' broker', ' proker') + line('y'),
      () => line('x') + line('y'),
      () => '',
    ];
    const entries = Array.from({ length: 5 }, () => ({ entry: entryWith({}) }));
    const questions: Question[] = [];
    for (const way of ways) {
      const change = (body: string): string => body.replace(/— .*\n/u, way);
      questions.push(whole(await rawBundle(signer, entries, { change })));
    }
    const codes = await agreeOn(questions);
    expect(codes[0]).toBeGreaterThan(10);
    expect(codes[1]).toBeGreaterThan(20);
  }, 120_000);

  // All of a log that has tiles at two levels; its middle, about the border of two tiles; the end of a longer one.
  test.each([
    { count: 300, from: 0, to: 300, each: 1500, seed: 41 },
    { count: 300, from: 250, to: 263, each: 2000, seed: 43 },
    { count: 600, from: 509, to: 600, each: 1500, seed: 44 },
  ])(
    'and ours find the same place of all of $each mutations of a bundle of the entries $from to $to of $count',
    async ({ count, from, to, each, seed }) => {
      const made = await makeMaterial(count, { from: BigInt(from), to: BigInt(to) });
      const mutations = mutate(made, each, seed);
      expect(new Set(mutations.map(({ kind }) => kind))).toEqual(new Set(kinds));
      const codes = await agree(made.files, mutations);
      expect(codes[0]).toBeUndefined();
      expect((codes[1] ?? 0) + (codes[3] ?? 0)).toBe(each);
    },
    600_000,
  );

  // 5,000 mutations of a bundle of 100,000 entries by both take hours: `npm run mutations`.
  test('and ours find the same place of mutations of a long bundle, both in bounded memory', async () => {
    const made = await makeMaterial(10_000);
    const mutations = mutate(made, 40, 42);
    const [judged, ours] = await Promise.all([
      judgeInPython(python, made.files, mutations),
      judgeByOurs(made.files, mutations),
    ]);
    expect(ours.filter(({ exitCode }) => exitCode !== 1 && exitCode !== 3)).toEqual([]);
    expect(judged.map(shared)).toEqual(ours.map(shared));
    expect(judged).toHaveLength(40);
    expect(Math.max(...judged.map(({ maxKb = Infinity }) => maxKb))).toBeLessThan(60_000);
    expect(Math.max(...ours.map(({ maxKb = Infinity }) => maxKb))).toBeLessThan(200_000);
    // The driver's way of reading is not the program's: some are judged by the program itself, all of whose memory counts.
    for (const nth of [0, 1, 6, 37]) {
      const { pieces = [], key: pinned = key } = mutations[nth] ?? {};
      const bytes = pieces.map((piece) =>
        Buffer.isBuffer(piece) ? piece : made.files[piece[0] as 0].bytes.subarray(piece[1], piece[2]),
      );
      const told = report(put('mutated.bundle', Buffer.concat(bytes)), '--key', pinned);
      expect(told).toEqual(shared(judged[nth] ?? told));
    }
  }, 120_000);

  test('gives no traceback for a file that ends at any byte, or holds any byte at any place', async () => {
    const log = makeLog(dayDrafts(2), signer);
    const bundle = await exportLog(log);
    const below = seeded(51);
    const questions: Question[] = [];
    for (let at = 0; at < bundle.length; at += 1) questions.push(whole(bundle.subarray(0, at)));
    for (let made = 0; made < 500; made += 1) {
      const bytes = Buffer.from(bundle);
      for (let changed = 0; changed < 1 + below(3); changed += 1) bytes[below(bytes.length)] = below(256);
      if (!bytes.equals(bundle)) questions.push(whole(bytes));
    }
    const judged = await judgeInPython(python, [withLines(bundle)], questions);
    expect(judged.map(({ exitCode }) => exitCode).filter((code) => code !== 1 && code !== 3)).toEqual([]);
    // A file that was cut is incomplete, wherever that was.
    expect(judged.slice(0, bundle.length).every(({ exitCode }) => exitCode === 3)).toBe(true);
  }, 240_000);

  test('gives no traceback for lines, numbers and nesting without end', () => {
    const header = 'sallyport-bundle v1 0 1\n';
    const note = `${origin}\n1\n${Buffer.alloc(32).toString('base64')}\n\n`;
    const digits = '9'.repeat(100_000);
    for (const [nth, content] of [
      Buffer.alloc(10_000_000, 0x61),
      Buffer.alloc(10_000_000, 0x0a),
      Buffer.alloc(1_000_000, 0xff),
      Buffer.alloc(1_000_000),
      `sallyport-bundle v1 0 ${digits}\n`,
      `sallyport-bundle v1 ${digits} ${digits}\n`,
      'sallyport-bundle v1 999999999999998 999999999999999\n',
      `${header}${origin}\n${digits}\n`,
      `${header}${note}${`— x ${Buffer.alloc(100_000).toString('base64')}\n`.repeat(40)}`,
      `${header}${note}— ${origin} ${'A'.repeat(190_000)}\ntile 6 ${digits} AAAA\n`,
      `${header}${note}— ${origin} AAAAAAAA\ntile 6 999999999999999 ${Buffer.alloc(32).toString('base64')}\n`,
      `${header}${note}${'['.repeat(100_000)}\n`,
      header.repeat(10_000),
    ].entries()) {
      const { exitCode } = report(put(`hostile-${nth}`, content), '--key', key);
      expect([1, 3]).toContain(exitCode);
    }
  });
});
