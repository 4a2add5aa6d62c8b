import { verifierKey } from '../../src/accounting/index.ts';
import { dayDrafts, exportLog, makeLog, newSigner, seeded, type TestLog } from '../accounting/log-fixture.ts';

/** Bytes of one of the files, from `start` up to and without `end`, or bytes of their own. */
export type Piece = readonly [file: number, start: number, end: number] | Buffer;

/** A file put together from pieces of others, and the key that it is judged with. */
export interface Mutation {
  readonly kind: Kind;
  readonly pieces: readonly Piece[];
  readonly key: string;
}

export const kinds = [
  'flip',
  'delete',
  'swap',
  'insert',
  'cut',
  'splice',
  'old checkpoint',
  'foreign origin',
  'right proof for another entry',
  'wrong key',
] as const;
export type Kind = (typeof kinds)[number];

/** A bundle and where its lines begin; the last number is where it ends. */
export interface Lined {
  readonly bytes: Buffer;
  readonly starts: readonly number[];
}

/** What mutations are made of; their pieces name these files by number: 0 the bundle, 1 a part of its log, 2 another log, 3 the log when it was shorter. */
export interface Material {
  readonly log: TestLog;
  readonly files: readonly [bundle: Lined, part: Lined, foreign: Lined, older: Lined];
}

export function withLines(bytes: Buffer): Lined {
  const starts = [0];
  for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, at + 1)) starts.push(at + 1);
  return { bytes, starts };
}

/** A log of `count` entries, exported whole or from one entry up to another, and what its mutations take from elsewhere. */
export async function makeMaterial(
  count: number,
  range: { readonly from?: bigint; readonly to?: bigint } = {},
): Promise<Material> {
  const signer = newSigner();
  const log = makeLog(dayDrafts(count), signer);
  const some = (share: number): bigint => BigInt(Math.floor(count * share));
  const foreign = makeLog(dayDrafts(300), newSigner(), 2, 'other.example.com/accounting/9');
  const older = makeLog(dayDrafts(Math.ceil(count / 50)), signer);
  return {
    log,
    files: [
      withLines(await exportLog(log, range)),
      withLines(await exportLog(log, { from: some(0.4), to: some(0.6) })),
      withLines(await exportLog(foreign)),
      withLines(await exportLog(older)),
    ],
  };
}

/** A change of file 0: some bytes are taken out and others put in their place. */
interface Edit {
  readonly at: number;
  readonly remove: number;
  readonly insert?: readonly Piece[];
}

type Below = (limit: number) => number;
type Made = Partial<Mutation> & { readonly edits?: readonly Edit[] };

const lineCount = ({ starts }: Lined): number => starts.length - 1;
const lineAt = ({ starts }: Lined, nth: number, count = 1): readonly [number, number] => [
  starts[nth] ?? 0,
  starts[nth + count] ?? starts.at(-1) ?? 0,
];
const textAt = (file: Lined, nth: number): string => file.bytes.toString('utf8', ...lineAt(file, nth));
const ofFile = (files: Material['files'], file: 0 | 1 | 2 | 3, nth: number, count = 1): Piece => [
  file,
  ...lineAt(files[file], nth, count),
];

function replaceLines(file: Lined, nth: number, count: number, insert: readonly Piece[]): Edit {
  const [start, end] = lineAt(file, nth, count);
  return { at: start, remove: end - start, insert };
}

/** A byte anywhere: of a random line, so that short ones are hit as often as long ones, or of the whole file. */
function anyByte(file: Lined, below: Below): number {
  if (below(2) === 0) return below(file.bytes.length);
  const [start, end] = lineAt(file, below(lineCount(file)));
  return start + below(end - start);
}

/** Number of the first line of a random entry, or of a random tile of the body. */
function aLine(file: Lined, below: Below, word: 'entry ' | 'tile '): number {
  // Tiles are one line in 769: from a random place, the next one. The first six lines have neither.
  for (let nth = 6 + below(lineCount(file) - 6); ; nth += 1) {
    if (nth >= lineCount(file)) nth = 6;
    const start = file.starts[nth] ?? 0;
    if (file.bytes.toString('latin1', start, start + word.length) === word) return nth;
  }
}

/** Two different numbers, the smaller one first. */
function pair(draw: () => number): readonly [number, number] {
  for (;;) {
    const [one, other] = [draw(), draw()];
    if (one !== other) return [Math.min(one, other), Math.max(one, other)];
  }
}

function flip({ files: [file] }: Material, below: Below): Made {
  const at = anyByte(file, below);
  return { edits: [{ at, remove: 1, insert: [Buffer.from([(file.bytes[at] ?? 0) ^ (1 + below(255))])] }] };
}

function deletion({ files: [file] }: Material, below: Below): Made {
  const edits: readonly (() => Edit)[] = [
    () => ({ at: anyByte(file, below), remove: 1 }),
    () => replaceLines(file, below(lineCount(file)), 1, []),
    () => replaceLines(file, aLine(file, below, 'entry '), 3, []),
  ];
  return { edits: [chosen(edits, below)()] };
}

function swap({ files }: Material, below: Below): Made {
  const [file] = files;
  const lines = (draw: () => number, count: number): readonly Edit[] => {
    const [one, other] = pair(draw);
    return [
      replaceLines(file, one, count, [ofFile(files, 0, other, count)]),
      replaceLines(file, other, count, [ofFile(files, 0, one, count)]),
    ];
  };
  const edits: readonly (() => readonly Edit[])[] = [
    () => {
      const at = Math.min(anyByte(file, below), file.bytes.length - 2);
      return [{ at, remove: 2, insert: [Buffer.from(file.bytes.subarray(at, at + 2)).reverse()] }];
    },
    () => lines(() => below(lineCount(file)), 1),
    () => lines(() => aLine(file, below, 'entry '), 3),
  ];
  return { edits: chosen(edits, below)() };
}

function insertion({ files }: Material, below: Below): Made {
  const [file] = files;
  const at = (): number => lineAt(file, below(lineCount(file)))[0];
  const edits: readonly (() => Edit)[] = [
    () => ({ at: anyByte(file, below), remove: 0, insert: [Buffer.from([below(256)])] }),
    () => ({ at: at(), remove: 0, insert: [ofFile(files, 0, below(lineCount(file)))] }),
    () => ({ at: at(), remove: 0, insert: [ofFile(files, 0, aLine(file, below, 'entry '), 3)] }),
    () => ({ at: at(), remove: 0, insert: [ofFile(files, 2, aLine(files[2], below, 'entry '), 3)] }),
    () => ({ at: file.bytes.length, remove: 0, insert: [ofFile(files, 0, below(lineCount(file)))] }),
  ];
  return { edits: [chosen(edits, below)()] };
}

function truncation({ files: [file] }: Material, below: Below): Made {
  const at = anyByte(file, below);
  return { edits: [{ at, remove: file.bytes.length - at }] };
}

/** Up to some line this bundle, from some line on another; or lines out of the middle are gone. */
function splice({ files }: Material, below: Below): Made {
  const [from, to] = pair(() => below(lineCount(files[0])));
  const other = chosen([0, 1, 2, 3] as const, below);
  if (other === 0) return { edits: [replaceLines(files[0], from, to - from, [])] };
  const nth = below(lineCount(files[other]));
  const tail = ofFile(files, other, nth, lineCount(files[other]) - nth);
  return { edits: [replaceLines(files[0], from, lineCount(files[0]) - from, [tail])] };
}

/** An earlier checkpoint of the same log, which the pinned key did sign, and now and then what else would go with it. */
function oldCheckpoint({ log, files }: Material, below: Below): Made {
  const sizes = [...log.checkpoints.keys()].slice(0, -1);
  const size = chosen(sizes, below);
  const put = (nth: number, count: number, text: string): Edit =>
    replaceLines(files[0], nth, count, [Buffer.from(text)]);
  const checkpoint = put(1, 5, log.checkpoints.get(size) ?? '');
  const ways: readonly (readonly Edit[])[] = [
    [checkpoint],
    [put(0, 1, `sallyport-bundle v1 0 ${size}\n`), checkpoint],
    // Checkpoint and right edge of a bundle that was exported then, in front of what was exported now.
    [replaceLines(files[0], 1, 5 + edgeLines(files[0]), [ofFile(files, 3, 1, 5 + edgeLines(files[3]))])],
    [replaceLines(files[0], 0, 6 + edgeLines(files[0]), [ofFile(files, 3, 0, 6 + edgeLines(files[3]))])],
    [put(3, 1, `${log.checkpoints.get(size)?.split('\n')[2]}\n`)],
  ];
  return { edits: chosen(ways, below) };
}

/** How many tiles the right edge of a bundle has. */
function edgeLines(file: Lined): number {
  let count = 0;
  for (let rest = Number(textAt(file, 2)); rest > 0; rest = Math.floor(rest / 256))
    if (rest % 256 > 0) count += 1;
  return count;
}

function foreignOrigin({ files }: Material, below: Below): Made {
  const [file, , foreign] = files;
  const name = `log${below(1_000_000)}.example.com/accounting/1`;
  const renamed = textAt(file, 5).replace(/ [^ ]+ /, ` ${name} `);
  const ways: readonly (readonly Edit[])[] = [
    [replaceLines(file, 1, 1, [Buffer.from(`${name}\n`)])],
    [replaceLines(file, 5, 1, [Buffer.from(renamed)])],
    [replaceLines(file, 1, 1, [Buffer.from(`${name}\n`)]), replaceLines(file, 5, 1, [Buffer.from(renamed)])],
    [replaceLines(file, 1, 5, [ofFile(files, 2, 1, 5)])],
    [replaceLines(file, 5, 1, [ofFile(files, 2, 5)])],
    [replaceLines(file, lineCount(file) - 1, 1, [ofFile(files, 2, lineCount(foreign) - 1)])],
  ];
  return { edits: chosen(ways, below) };
}

/** Everything comes from this very log, and is right where it was. */
function otherProof({ files }: Material, below: Below): Made {
  const [file] = files;
  const entries = (from: number, count: number): readonly Edit[] => {
    const [one, other] = pair(() => aLine(file, below, 'entry '));
    return [replaceLines(file, one + from, count, [ofFile(files, 0, other + from, count)])];
  };
  const edits: readonly (() => readonly Edit[])[] = [
    () => entries(0, 1),
    () => entries(1, 1),
    () => entries(1, 2),
    () => entries(2, 1),
    () => {
      const [one, other] = pair(() => aLine(file, below, 'tile '));
      const [label = ''] = /^tile \d+ \d+ /.exec(textAt(file, one)) ?? [];
      const line = textAt(file, other).replace(/^tile \d+ \d+ /, label);
      return [replaceLines(file, one, 1, [below(2) === 0 ? Buffer.from(line) : ofFile(files, 0, other)])];
    },
  ];
  return { edits: chosen(edits, below)() };
}

function wrongKey({ log, files: [file] }: Material, below: Below): Made {
  const name = textAt(file, 1).trim();
  const key =
    below(4) === 0
      ? verifierKey(`${name}${below(1000)}`, log.signer.publicKey)
      : verifierKey(name, newSigner().publicKey);
  return { key, edits: [] };
}

function chosen<T>(list: readonly T[], below: Below): T {
  const found = list[below(list.length)];
  if (found === undefined) throw new Error('nothing to choose from');
  return found;
}

const makers: Record<Kind, (material: Material, below: Below) => Made> = {
  flip,
  delete: deletion,
  swap,
  insert: insertion,
  cut: truncation,
  splice,
  'old checkpoint': oldCheckpoint,
  'foreign origin': foreignOrigin,
  'right proof for another entry': otherProof,
  'wrong key': wrongKey,
};

function assemble({ bytes }: Lined, edits: readonly Edit[]): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (const { at, remove, insert = [] } of edits) {
    pieces.push([0, from, at], ...insert);
    from = at + remove;
  }
  pieces.push([0, from, bytes.length]);
  return pieces.filter((piece) => Buffer.isBuffer(piece) || piece[1] < piece[2]);
}

function bytesOf(files: readonly Lined[], piece: Piece): Buffer {
  return Buffer.isBuffer(piece)
    ? piece
    : (files[piece[0]]?.bytes.subarray(piece[1], piece[2]) ?? Buffer.alloc(0));
}

/** Gives a mutated file as a disk would, nothing copied. */
export async function* streamOf(files: readonly Lined[], pieces: readonly Piece[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) {
    const bytes = bytesOf(files, piece);
    for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
  }
}

function isUnchanged({ files }: Material, pieces: readonly Piece[]): boolean {
  const { bytes } = files[0];
  let at = 0;
  for (const piece of pieces) {
    const part = bytesOf(files, piece);
    const stays = !Buffer.isBuffer(piece) && piece[0] === 0 && piece[1] === at;
    if (!stays && !bytes.subarray(at, at + part.length).equals(part)) return false;
    at += part.length;
  }
  return at === bytes.length;
}

/** The same mutations for the same seed, each kind equally often, none of which leaves everything as it was. */
export function mutate(material: Material, count: number, seed: number): Mutation[] {
  const below = seeded(seed);
  const made: Mutation[] = [];
  while (made.length < count) {
    const kind = kinds[made.length % kinds.length] ?? 'flip';
    const { edits = [], key = material.log.key } = makers[kind](material, below);
    const pieces = assemble(material.files[0], edits);
    if (key === material.log.key && isUnchanged(material, pieces)) continue;
    made.push({ kind, pieces, key });
  }
  return made;
}
