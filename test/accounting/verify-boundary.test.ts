import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const folder = join(import.meta.dirname, '../../src/accounting/verify');

/** Everything that a source names in an import or export from, a dynamic import or a require. */
function importsOf(source: string): string[] {
  const found = source.matchAll(/(?:\bfrom|\bimport|\brequire)\s*\(?\s*(['"])(.+?)\1/g);
  return [...found].map((match) => match[2] ?? '');
}

describe('accounting/verify', () => {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const imports = files.flatMap((name) =>
    importsOf(readFileSync(join(folder, name), 'utf8')).map((target) => ({ name, target })),
  );

  it('imports its own files and Node, and nothing else: no writer, no kernel, no library', () => {
    // It looked: at all the files, and it saw imports in them.
    expect(files.length).toBeGreaterThanOrEqual(11);
    expect(files.every((name) => !name.includes('/'))).toBe(true);
    expect(imports.length).toBeGreaterThanOrEqual(20);
    const foreign = imports.filter(({ target }) => {
      const own = target.startsWith('./') && files.includes(target.slice(2));
      return !own && !['node:crypto', 'node:fs'].includes(target);
    });
    expect(foreign).toEqual([]);
  });

  it('would notice each way to import something', () => {
    const source = `import a from '../x.ts';\nexport * from "y";\nimport 'z';\nawait import('w');\nrequire("v");`;
    expect(importsOf(source)).toEqual(['../x.ts', 'y', 'z', 'w', 'v']);
  });
});
