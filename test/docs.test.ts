import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { runCli } from './support/fake-terminal.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'sallyport-docs-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Page {
  readonly name: string;
  /** With fenced blocks. */
  readonly text: string;
  /** Without them. */
  readonly prose: string;
  readonly blocks: readonly { readonly language: string; readonly text: string }[];
}

const fence = /^( *)```(\w*)\n([\s\S]*?)^ *```$/gm;

function readPage(name: string): Page {
  const text = readFileSync(join(root, name), 'utf8');
  const blocks = [...text.matchAll(fence)].map(([, indent = '', language = '', block = '']) => ({
    language,
    text: block.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }));
  return { name, text, prose: text.replaceAll(fence, ''), blocks };
}

const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
].map(readPage);

function pageNamed(name: string): Page {
  const page = pages.find((candidate) => candidate.name === name);
  if (page === undefined) throw new Error(`there is no ${name}`);
  return page;
}

const spans = ({ prose }: Page): string[] => [...prose.matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span);

/** As GitHub makes them from headings. */
const anchorsOf = ({ prose }: Page): string[] =>
  [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(/\s/g, '-'),
  );

describe('links and paths', () => {
  const links = pages.flatMap((page) =>
    [...page.prose.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => ({ page, target }))
      .filter(({ target }) => !/^[a-z]+:/.test(target)),
  );
  const paths = pages.flatMap((page) =>
    spans(page)
      .filter((span) => /^(?:src|test|docs|bin|scripts|bench|certs-dev|\.ci)\/[\w./-]*$/.test(span))
      .map((path) => ({ page, path })),
  );

  it('are many: the test sees the documents', () => {
    expect(pages.length).toBeGreaterThanOrEqual(25);
    expect(links.length).toBeGreaterThanOrEqual(90);
    expect(paths.length).toBeGreaterThanOrEqual(70);
  });

  it('lead to files and headings that exist', () => {
    const broken = links.filter(({ page, target }) => {
      const [file = '', anchor] = target.split('#');
      const path = file === '' ? page.name : relative(root, join(root, dirname(page.name), file));
      if (path.startsWith('..') || !existsSync(join(root, path))) return true;
      return anchor !== undefined && !anchorsOf(pageNamed(path)).includes(anchor);
    });
    expect(broken.map(({ page, target }) => `${page.name}: ${target}`)).toEqual([]);
  });

  it('name files that exist', () => {
    const missing = paths.filter(({ path }) => !existsSync(join(root, path)));
    expect(missing.map(({ page, path }) => `${page.name}: ${path}`)).toEqual([]);
  });

  it('reach every document from the README', () => {
    const reached = new Set<string>();
    const visit = (name: string): void => {
      if (reached.has(name)) return;
      reached.add(name);
      for (const { page, target } of links) {
        const path = relative(root, join(root, dirname(page.name), target.split('#')[0] ?? ''));
        if (page.name === name && pages.some((known) => known.name === path)) visit(path);
      }
    };
    visit('README.md');
    expect(pages.map(({ name }) => name).filter((name) => !reached.has(name))).toEqual([]);
  });
});

describe('commands that the documents print', () => {
  const commands = pages.flatMap((page) => {
    const lines = page.blocks.flatMap(({ text }) => text.replaceAll('\\\n', ' ').split('\n'));
    return [...lines, ...spans(page)]
      .map((line) => /(?:^|\s|\/)sallyport ((?:[a-z][a-z-]+ )*(?:[a-z][a-z-]+)?.*)$/.exec(line.trim())?.[1])
      .filter((rest) => rest !== undefined)
      .map((rest) => ({ page, words: rest.split(/\s+/).filter((word) => word !== '') }));
  });
  const helps = new Map<string, string>();
  const helpOf = async (path: readonly string[]): Promise<string> => {
    const key = path.join(' ');
    const known = helps.get(key) ?? (await runCli([...path, '--help'], { env: {} })).stdout;
    helps.set(key, known);
    return known;
  };
  /** The longest beginning of the words that is a command, and what help says of it. */
  const resolve = async (words: readonly string[]): Promise<{ path: string[]; help: string } | undefined> => {
    const path: string[] = [];
    for (const word of words) {
      const help = await helpOf(path);
      if (!new RegExp(`^  ${word}(?: |$)`, 'm').test(help.split('Commands:')[1] ?? '')) break;
      path.push(word);
    }
    const help = await helpOf(path);
    // A group of commands may be named alone, or with options of its own, never with a word behind it that it does not know.
    const behind = words[path.length];
    const halfWay = help.includes('Commands:') && behind !== undefined && !behind.startsWith('--');
    return path.length === 0 || halfWay ? undefined : { path, help };
  };

  it('are many: the test sees them', () => {
    expect(commands.length).toBeGreaterThanOrEqual(50);
    expect(commands.filter(({ page }) => page.name === 'README.md').length).toBeGreaterThanOrEqual(15);
  });

  it('exist, with their options', async () => {
    const wrong: string[] = [];
    const seen = new Set<string>();
    for (const { page, words } of commands) {
      // `renew` is for ssh and not in the help; ssh-config prints how it is called.
      if (words[0] === 'renew' || !/^[a-z][a-z-]+$/.test(words[0] ?? '')) continue;
      const found = await resolve(words);
      const told = found === undefined ? `sallyport ${words.slice(0, 3).join(' ')}` : '';
      const options = words
        .filter((word) => /^\[?--[a-z]/.test(word))
        .map((word) => word.replaceAll(/[[\].,]|=.*$/g, ''));
      const unknown = options.filter(
        (option) => found !== undefined && !new RegExp(`${option}(?![a-z-])`).test(found.help),
      );
      if (told !== '' || unknown.length > 0) wrong.push(`${page.name}: ${told} ${unknown.join(' ')}`);
      if (found !== undefined) seen.add(found.path.join(' '));
    }
    expect(wrong).toEqual([]);
    for (const command of ['init', 'serve', 'people add', 'login', 'krl get', 'admin revoke', 'audit verify'])
      expect([...seen]).toContain(command);
  });

  it('would not pass if they were invented', async () => {
    expect(await resolve(['admin', 'rewoke'])).toBeUndefined();
    expect(await resolve(['bakcup'])).toBeUndefined();
    expect((await resolve(['admin', 'revoke', '--person']))?.path).toEqual(['admin', 'revoke']);
  });

  it('are what `bin/sallyport` itself offers', () => {
    const run = spawnSync(process.execPath, [join(root, 'bin', 'sallyport'), '--help'], { encoding: 'utf8' });
    expect(run.status).toBe(0);
    for (const [, command = ''] of pageNamed('README.md').text.matchAll(/bin\/sallyport ([a-z-]+)/g))
      expect(run.stdout).toMatch(new RegExp(`^  ${command}(?: |$)`, 'm'));
  });

  it('in shell scripts are shell', () => {
    const scripts = pages.flatMap(({ blocks }) => blocks.filter(({ language }) => language === 'sh'));
    expect(scripts.length).toBeGreaterThanOrEqual(1);
    for (const { text } of scripts) {
      const parsed = spawnSync('sh', ['-n'], { input: text, encoding: 'utf8' });
      expect([parsed.status, parsed.stderr]).toEqual([0, '']);
    }
  });
});

describe('docs/operations/configuration.md', () => {
  const page = pageNamed(join('docs', 'operations', 'configuration.md'));
  const examples = page.blocks.filter(({ language }) => language === 'yaml').map(({ text }) => text);

  it('has examples that load', async () => {
    const { loadConfig } = await import('../src/main/config.ts');
    const [complete = ''] = examples;
    expect(examples.length).toBe(3);
    for (const [nth, example] of examples.entries()) {
      const file = join(folder, `example-${nth}.yaml`);
      const head = complete.slice(0, complete.indexOf('directories:'));
      writeFileSync(file, example.startsWith('directories:') ? head + example : example);
      expect(loadConfig(file).directories.at(-1)?.kind).toBe('built-in');
    }
  });

  it('describes every field that the schema knows, and no other', () => {
    const folderOfMain = join(root, 'src', 'main');
    const read = (name: string): string => readFileSync(join(folderOfMain, name), 'utf8');
    const [own, sinks] = ['config.ts', 'config-sinks.ts'].map(read) as [string, string];
    const source = readdirSync(folderOfMain)
      .filter((name) => /^config(-[a-z]+)?\.ts$/.test(name))
      .map(read)
      .join('');
    const schema = [
      own.slice(own.indexOf('const connection'), own.indexOf('export type Config ')),
      sinks.slice(sinks.indexOf('const common'), sinks.indexOf('export type SinkConfig')),
    ]
      .join('')
      .replaceAll(/^function [\s\S]*?^\}/gm, '');
    const known = new Set(
      [...schema.matchAll(/(?<=[{,\s])(?:'([a-z][a-z-]+)'|([a-z]+))(?:: (?!\()|,? kind:)/g)].map(
        ([, quoted, plain]) => quoted ?? plain ?? '',
      ),
    );
    const rows = [...page.prose.matchAll(/^\| `([a-z.-]+)` \|/gm)].map(([, field = '']) => field);
    const described = new Set(rows.flatMap((field) => field.split('.')));
    expect(known.size).toBeGreaterThanOrEqual(40);
    for (const field of ['file', 'prompt', 'environment', 's', 'm', 'h', 'd']) known.delete(field);
    expect([...known].filter((field) => !described.has(field))).toEqual([]);
    for (const field of described) expect(source).toMatch(new RegExp(`\\b${field}\\b`));
  });
});
