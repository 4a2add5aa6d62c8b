import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Sink, StoredEntry } from '../../../src/broker/index.ts';
import { createFileSink } from '../../../src/doors/sinks/index.ts';
import { codeOf } from '../../support/code-of.ts';
import { run } from '../../support/slapd.ts';
import { entry } from '../../contract/store-fixture.ts';
import { storedEntries } from './stored.ts';

let folder: string;
let path: string;
let sink: Sink;
const all = storedEntries(Array.from({ length: 20 }, () => entry()));
const some = (from: number, to: number): readonly StoredEntry[] => all.slice(from, to);
const never = new AbortController().signal;
const lines = (file = path): string[] => readFileSync(file, 'utf8').split('\n').slice(0, -1);
const upTo = (count: number): string[] => Array.from({ length: count }, (_, at) => `line ${at}`);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-sink-'));
  path = join(folder, 'log.jsonl');
  sink = newSink();
});
afterEach(async () => {
  await sink.close();
  rmSync(folder, { recursive: true, force: true });
});

const newSink = (): Sink =>
  createFileSink({ name: 'file', format: 'json', path, line: ({ index }) => `line ${index}` });

describe('a file sink', () => {
  it('makes a private file and appends lines to it, after a restart too', async () => {
    await sink.deliver(some(0, 3), never);
    await sink.deliver(some(3, 4), never);
    await sink.close();
    await newSink().deliver(some(4, 6), never);
    expect(lines()).toEqual(upTo(6));
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('begins a new file when the old one was renamed or removed', async () => {
    await sink.deliver(some(0, 2), never);
    renameSync(path, `${path}.1`);
    await sink.deliver(some(2, 4), never);
    rmSync(path);
    await sink.deliver(some(4, 6), never);
    expect(lines(`${path}.1`)).toEqual(upTo(2));
    expect(lines()).toEqual(['line 4', 'line 5']);
  });

  it('goes on at the new end of a file that was copied and emptied', async () => {
    await sink.deliver(some(0, 2), never);
    truncateSync(path);
    await sink.deliver(some(2, 4), never);
    expect(lines()).toEqual(['line 2', 'line 3']);
  });

  it.each([
    ['a little', 'line 2 and a ha'],
    ['more than it reads at once', `line 2 ${'x'.repeat(200_000)}`],
  ])('cuts off half a line that a crash left: %s', async (_, half) => {
    writeFileSync(path, `line 0\nline 1\n${half}`, { mode: 0o600 });
    await sink.deliver(some(2, 4), never);
    expect(lines()).toEqual(upTo(4));
  });

  it('cuts off half a line that is all there is', async () => {
    writeFileSync(path, 'lin', { mode: 0o600 });
    await sink.deliver(some(0, 1), never);
    expect(lines()).toEqual(upTo(1));
  });

  it('lets a reader of its group in where the operator did', async () => {
    writeFileSync(path, '', { mode: 0o640 });
    chmodSync(path, 0o640);
    await sink.deliver(some(0, 1), never);
    expect(statSync(path).mode & 0o777).toBe(0o640);
  });

  it.each([
    [
      'others can change',
      () => {
        writeFileSync(path, '');
        chmodSync(path, 0o622);
      },
    ],
    [
      'has a second name',
      () => {
        writeFileSync(`${path}.other`, '');
        linkSync(`${path}.other`, path);
      },
    ],
    ['is a named pipe', () => run('mkfifo', ['-m', '600', path])],
  ])('refuses a file that %s, and leaves it as it is', async (_, make) => {
    make();
    expect(await codeOf(sink.deliver(some(0, 1), never))).toBe('sinks.loose_file');
    expect(statSync(path).size).toBe(0);
  });

  it.each([
    [
      'a symbolic link',
      () => {
        writeFileSync(`${path}.other`, '');
        symlinkSync(`${path}.other`, path);
      },
    ],
    ['a folder', () => mkdirSync(path)],
    ['a folder that is gone', () => rmSync(folder, { recursive: true })],
  ])('refuses %s', async (_, make) => {
    make();
    expect(await codeOf(sink.deliver(some(0, 1), never))).toBe('sinks.file_unwritable');
    if (existsSync(`${path}.other`)) expect(statSync(`${path}.other`).size).toBe(0);
  });

  it('works again when what was wrong has been put right', async () => {
    mkdirSync(path);
    expect(await codeOf(sink.deliver(some(0, 2), never))).toBe('sinks.file_unwritable');
    rmSync(path, { recursive: true });
    await sink.deliver(some(0, 2), never);
    expect(lines()).toEqual(upTo(2));
  });

  it('writes nothing of a batch that came too late', async () => {
    await sink.deliver(some(0, 1), never);
    await expect(sink.deliver(some(1, 2), AbortSignal.abort())).rejects.toThrow();
    expect(lines()).toEqual(upTo(1));
  });

  it('leaves alone what somebody else appended', async () => {
    await sink.deliver(some(0, 1), never);
    appendFileSync(path, 'a note\n');
    await sink.deliver(some(1, 2), never);
    expect(lines()).toEqual(['line 0', 'a note', 'line 1']);
  });
});
