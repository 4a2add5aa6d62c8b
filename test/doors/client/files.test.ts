import * as fs from 'node:fs';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { CertificateNote } from '../../../src/doors/client/index.ts';
import {
  checkWritable,
  checkWritableFolder,
  homeFiles,
  isRenewLocked,
  loadNote,
  noteState,
  readSmallFile,
  saveNote,
  takeRenewLock,
  writeByRename,
} from '../../../src/doors/client/index.ts';
import { systemClock, systemRandom } from '../../../src/kernel/index.ts';
import { codeOfSync } from '../../support/code-of.ts';

vi.mock('node:fs', { spy: true });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-files-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const note: CertificateNote = {
  serial: '42',
  keyId: 'k',
  profile: 'users',
  principals: ['alice'],
  validAfterMs: 0,
  validBeforeMs: 8 * 3_600_000,
  request: { ttlSeconds: 3600 },
  agent: true,
  proof: true,
};

describe('files of the home', () => {
  test('are written whole, with their mode, and leave no draft', () => {
    const path = join(folder, 'new', 'file');
    writeByRename(path, 'one', systemRandom);
    writeByRename(path, 'two', systemRandom, 0o644);
    expect(readSmallFile(path)).toBe('two');
    expect(statSync(path).mode & 0o777).toBe(0o644);
    expect(statSync(join(folder, 'new')).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(folder, 'new'))).toEqual(['file']);
  });

  test('are on disk before they get their name, and the name is on disk on return', () => {
    const order: string[] = [];
    const kindOf = (descriptor: number): string =>
      fs.fstatSync(descriptor).isDirectory() ? 'folder' : `file of ${fs.fstatSync(descriptor).size} bytes`;
    const { fsyncSync, renameSync } = fs;
    vi.mocked(fsyncSync).mockImplementation((descriptor) => void order.push(`sync ${kindOf(descriptor)}`));
    vi.mocked(renameSync).mockImplementationOnce(() => void order.push('rename'));
    writeByRename(join(folder, 'file'), 'whole', systemRandom);
    expect(order).toEqual(['sync file of 5 bytes', 'rename', 'sync folder']);
    vi.mocked(fsyncSync).mockReset();
  });

  test.each([
    ['EINVAL', 'accepted'],
    ['EIO', 'client.cannot_write'],
  ])('in a folder whose sync fails with %s: %s', (errno, expected) => {
    vi.mocked(fs.fsyncSync)
      .mockImplementationOnce(() => undefined)
      .mockImplementationOnce(() => {
        throw Object.assign(new Error(errno), { code: errno });
      });
    expect(codeOfSync(() => writeByRename(join(folder, 'file'), '', systemRandom))).toBe(expected);
  });

  test('a path that cannot be written names the cause', () => {
    writeFileSync(join(folder, 'plain'), '');
    expect(() => writeByRename(join(folder, 'plain', 'x'), '', systemRandom)).toThrow(
      expect.objectContaining({ code: 'client.cannot_write' }),
    );
  });

  test.each([
    ['in a folder that is not there', 'no/file', 'there is no folder'],
    ['below a file', 'plain/x', 'there is no folder'],
    ['far below a file', 'plain/x/y/z', 'there is no folder'],
    ['that is a folder', 'inner', 'it is a folder'],
    ['that is a device', '/dev/null', 'it is no plain file'],
  ])('a file %s is refused before anything is written', (_title, name, why) => {
    writeFileSync(join(folder, 'plain'), '');
    fs.mkdirSync(join(folder, 'inner'));
    expect(() => checkWritable(resolve(folder, name))).toThrow(
      expect.objectContaining({ code: 'client.cannot_write', message: expect.stringContaining(why) }),
    );
    expect(readdirSync(folder)).toEqual(['inner', 'plain']);
  });

  test('a file or a home where nothing may be written is refused, and a new home is not made', () => {
    for (const check of [checkWritable, checkWritableFolder]) {
      expect(codeOfSync(() => check(join(folder, 'new')))).toBe('accepted');
      vi.mocked(fs.accessSync).mockImplementationOnce(() => {
        throw Object.assign(new Error('no'), { code: 'EROFS' });
      });
      expect(() => check(join(folder, 'new'))).toThrow(
        expect.objectContaining({ message: expect.stringContaining('the file system is read-only') }),
      );
    }
    expect(codeOfSync(() => checkWritableFolder(join(folder, 'a', 'new', 'one')))).toBe('accepted');
    writeFileSync(join(folder, 'plain'), '');
    expect(codeOfSync(() => checkWritableFolder(join(folder, 'plain', 'x')))).toBe('client.cannot_write');
    expect(readdirSync(folder)).toEqual(['plain']);
  });

  test.each([0o640, 0o604, 0o660, 0o666])('a secret with mode %o is refused', (mode) => {
    const path = join(folder, 'secret');
    writeByRename(path, 'x', systemRandom, mode);
    expect(() => readSmallFile(path, { secret: true })).toThrow(
      expect.objectContaining({ code: 'client.loose_permissions' }),
    );
  });

  test('a file that is far too large is not read', () => {
    const path = join(folder, 'large');
    writeFileSync(path, Buffer.alloc((1 << 20) + 1));
    expect(() => readSmallFile(path)).toThrow(expect.objectContaining({ code: 'client.cannot_read' }));
  });

  test('a note survives its file; a damaged one counts as none', () => {
    const files = homeFiles(folder);
    for (const request of [
      {},
      { ttlSeconds: 3600 },
      { profile: 'p', reason: 'r', principals: ['a', 'b'], extensions: ['permit-pty'] },
      { extensions: [] },
    ]) {
      saveNote(files, { ...note, request }, systemRandom);
      expect(loadNote(files)).toEqual({ ...note, request });
    }
    for (const text of ['', '{', '[]', '{"serial":"1"}', '{"validBefore":"yesterday"}']) {
      writeFileSync(files.note, text);
      expect(loadNote(files)).toBeUndefined();
    }
  });
});

describe('when a certificate is renewed', () => {
  const hour = 3_600_000;
  test.each([
    ['8 h, just begun', 8 * hour, 8 * hour, 'fresh'],
    ['8 h, 97 min left', 8 * hour, 97 * 60_000, 'fresh'],
    ['8 h, a fifth left', 8 * hour, 96 * 60_000, 'due'],
    ['10 min, 6 left', 600_000, 360_000, 'fresh'],
    ['10 min, 5 left', 600_000, 300_000, 'due'],
    ['5 min, just begun', 300_000, 300_000, 'fresh'],
    ['5 min, half', 300_000, 150_000, 'due'],
    ['6 s left', hour, 6000, 'due'],
    ['5 s left: too late for a login', hour, 5000, 'dead'],
    ['at its end', hour, 0, 'dead'],
    ['long over', hour, -hour, 'dead'],
  ] as const)('%s', (_title, lifeMs, leftMs, state) => {
    const nowMs = 1_800_000_000_000;
    const validBeforeMs = nowMs + leftMs;
    expect(noteState({ ...note, validAfterMs: validBeforeMs - lifeMs, validBeforeMs }, nowMs)).toBe(state);
  });
});

describe('the renewal lock', () => {
  const take = (nowMs = Date.now()): (() => void) | undefined =>
    takeRenewLock(join(folder, 'lock'), { nowMs: () => nowMs }, systemRandom);
  const write = (content: unknown): void =>
    writeFileSync(join(folder, 'lock'), typeof content === 'string' ? content : JSON.stringify(content));
  const holder = { host: hostname(), pid: process.pid, since: Date.now() };

  test('is held by one, and given back', () => {
    const release = take();
    expect(release).toBeDefined();
    expect(take()).toBeUndefined();
    expect(isRenewLocked(join(folder, 'lock'), systemClock)).toBe(true);
    release?.();
    expect(existsSync(join(folder, 'lock'))).toBe(false);
    expect(take()).toBeDefined();
  });

  test.each([
    ['a process that is gone', { ...holder, pid: 2 ** 22 + 1 }],
    ['a minute ago', { ...holder, since: Date.now() - 61_000 }],
    ['the future, before the clock was set back', { ...holder, since: Date.now() + 3_600_000 }],
  ])('is taken over from %s', (_title, content) => {
    write(content);
    expect(isRenewLocked(join(folder, 'lock'), systemClock)).toBe(false);
    expect(take()).toBeDefined();
    expect(readdirSync(folder)).toEqual(['lock']);
  });

  test.each([
    ['a living process', holder],
    [
      'a process of another computer that shares the home',
      { ...holder, host: 'elsewhere', pid: 2 ** 22 + 1 },
    ],
    ['somebody who is just writing it', ''],
  ])('is left to %s', (_title, content) => {
    write(content);
    expect(take()).toBeUndefined();
  });

  test('half a lock is taken over when it is old', () => {
    write('{"host"');
    const old = new Date(Date.now() - 120_000);
    utimesSync(join(folder, 'lock'), old, old);
    expect(take()).toBeDefined();
  });

  test('makes no home where there is none: nothing is there that two could renew', () => {
    const missing = join(folder, 'no-home', 'lock');
    const release = takeRenewLock(missing, systemClock, systemRandom);
    expect(release).toBeDefined();
    release?.();
    expect(readdirSync(folder)).toEqual([]);
  });

  test('is not given back by somebody who lost it', () => {
    const release = take();
    write(holder);
    release?.();
    expect(existsSync(join(folder, 'lock'))).toBe(true);
  });
});
