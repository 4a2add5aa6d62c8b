import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkpointFile } from '../../src/main/checkpoint-file.ts';
import { codeOf } from '../accounting/log-fixture.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-checkpoint-'));
  path = join(folder, 'log-checkpoint');
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('the file of the kept checkpoint', () => {
  it('is not there at first, and then what was written last', () => {
    const keep = checkpointFile(path);
    expect(keep.read()).toBeUndefined();
    keep.write('one');
    keep.write('two');
    expect(keep.read()).toBe('two');
    expect(readdirSync(folder)).toEqual(['log-checkpoint']);
  });

  it('is written through no link that somebody put in its way, and over what a crash left', () => {
    const victim = join(folder, 'victim');
    writeFileSync(victim, 'precious');
    symlinkSync(victim, `${path}.new`);
    const keep = checkpointFile(path);
    keep.write('one');
    expect(readFileSync(victim, 'utf8')).toBe('precious');
    expect(lstatSync(path).isFile()).toBe(true);
    writeFileSync(`${path}.new`, 'half of o');
    keep.write('two');
    expect(keep.read()).toBe('two');
  });

  it('is refused in a folder where others could replace it, and where it could be changed', () => {
    const keep = checkpointFile(path);
    keep.write('one');
    chmodSync(folder, 0o777);
    expect(codeOf(() => keep.read())).toBe('keys.loose_permissions');
    expect(codeOf(() => keep.write('two'))).toBe('keys.loose_permissions');
    chmodSync(folder, 0o755);
    chmodSync(path, 0o666);
    expect(codeOf(() => keep.read())).toBe('keys.loose_permissions');
  });

  it('is not taken for one that never was when it cannot be read', () => {
    symlinkSync(join(folder, 'nowhere'), path);
    expect(codeOf(() => checkpointFile(path).read())).toBe('keys.unreadable');
    expect(codeOf(() => checkpointFile(join(folder, 'no', 'folder')).read())).toBe('keys.unreadable');
  });
});
