import { isCollection, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import type { Node, Scalar } from 'yaml';
import { CodedError, printable } from '../kernel/index.ts';
import { didYouMean } from './did-you-mean.ts';

const maxBytes = 1 << 20;
const maxDepth = 16;
const maxProblems = 50;

/** The keys of one mapping, each allowed and at most once. */
export interface Fields {
  /** False when there was no mapping to read, which is reported already. */
  readonly isMapping: boolean;
  get(key: string): Node | undefined;
  /** As `get`, and reports the absence. */
  require(key: string): Node | undefined;
}

/**
 * Reads a YAML 1.2 text with positions, collecting every problem instead of stopping at the first. Only plain data passes:
 * no anchors, aliases, tags, directives or second documents, and no key twice.
 */
export class YamlReader {
  readonly #fileName: string;
  readonly #lines = new LineCounter();
  readonly #problems: { readonly offset: number; readonly text: string }[] = [];

  constructor(fileName: string) {
    this.#fileName = fileName;
  }

  /** @returns the root node, or undefined when the text is not plain YAML (the problems say why). */
  parse(source: string): Node | undefined {
    if (Buffer.byteLength(source) > maxBytes) {
      this.#report(0, `the file is larger than ${maxBytes} bytes`);
      return undefined;
    }
    const control = /[^\t\n\r\u0020-\u007e\u0085\u00a0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u.exec(
      source,
    );
    if (control !== null) {
      this.#lines.addNewLine(0);
      for (const { index } of source.slice(0, control.index).matchAll(/\n/g))
        this.#lines.addNewLine(index + 1);
      this.#report(control.index, 'holds a control character; policy files are plain text');
      return undefined;
    }
    let document;
    try {
      // uniqueKeys: the library's own check is quadratic in the number of keys; `mapping` does it.
      document = parseDocument(source, {
        lineCounter: this.#lines,
        uniqueKeys: false,
        prettyErrors: false,
      });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#report(0, 'is nested too deeply');
      return undefined;
    }
    for (const fault of [...document.errors, ...document.warnings])
      this.#report(fault.pos[0], yamlFault(fault.message));
    if (document.directives.yaml.explicit === true)
      this.#report(0, 'directives such as %YAML are not allowed');
    if (this.#problems.length > 0) return undefined;
    if (document.contents === null) {
      this.#report(0, 'the file is empty');
      return undefined;
    }
    visit(document, {
      Alias: (_, node) => this.problem(node, 'aliases (*name) are not allowed: write the value again'),
      Node: (_, node, path) => {
        if ('anchor' in node && node.anchor !== undefined)
          this.problem(node, 'anchors (&name) are not allowed');
        if (node.tag !== undefined) this.problem(node, 'tags (!name) are not allowed');
        if (path.filter(isCollection).length < maxDepth) return undefined;
        this.problem(node, `is nested deeper than ${maxDepth} levels`);
        return visit.BREAK;
      },
    });
    return this.#problems.length > 0 ? undefined : document.contents;
  }

  problem(at: Node, text: string): undefined {
    this.#report(at.range?.[0] ?? 0, text);
    return undefined;
  }

  /** 1-based line of a node. */
  lineOf(at: Node): number {
    return Math.max(1, this.#lines.linePos(at.range?.[0] ?? 0).line);
  }

  /** @throws CodedError `policy.invalid` naming every problem as `file:line:col: …`, when there is one. */
  finish(): void {
    if (this.#problems.length === 0) return;
    const sorted = this.#problems.toSorted((a, b) => a.offset - b.offset);
    const lines = sorted.slice(0, maxProblems).map(({ offset, text }) => {
      const { line, col } = this.#lines.linePos(offset);
      return `${this.#fileName}:${Math.max(1, line)}:${Math.max(1, col)}: ${text}`;
    });
    if (sorted.length > maxProblems)
      lines.push(`${this.#fileName}: … and ${sorted.length - maxProblems} more`);
    throw new CodedError('policy.invalid', `The policy is not valid:\n${lines.join('\n')}`, {
      next: 'Correct the lines named; the policy in force stays as it was.',
      details: { file: this.#fileName, problems: lines },
    });
  }

  /** The entries of a mapping in file order, keys as text; duplicates are reported. */
  entries(
    node: Node,
    what: string,
  ): { readonly key: string; readonly keyNode: Node; readonly value: Node }[] {
    if (!isMap<Node, Node | null>(node)) {
      this.problem(node, `${what} must be a mapping (name: value)`);
      return [];
    }
    const seen = new Map<string, number>();
    const entries = [];
    for (const { key: keyNode, value } of node.items) {
      const key = isScalar(keyNode) ? scalarText(keyNode) : undefined;
      if (key === undefined) {
        this.problem(keyNode, 'a key must be plain text');
        continue;
      }
      const earlier = seen.get(key);
      if (earlier !== undefined)
        this.problem(keyNode, `“${printable(key, 60)}” is given twice, first on line ${earlier}`);
      else if (value === null) this.problem(keyNode, `“${printable(key, 60)}” has no value`);
      else entries.push({ key, keyNode, value });
      if (earlier === undefined) seen.set(key, this.lineOf(keyNode));
    }
    return entries;
  }

  /** A mapping with known keys only; an unknown one is reported with what was probably meant. */
  fields(node: Node, what: string, allowed: readonly string[]): Fields {
    const found = new Map<string, Node>();
    for (const { key, keyNode, value } of this.entries(node, what)) {
      if (allowed.includes(key)) found.set(key, value);
      else
        this.problem(
          keyNode,
          `${what} has no key “${printable(key, 60)}”${didYouMean(key, allowed) || `; it takes ${allowed.join(', ')}`}`,
        );
    }
    const isMapping = isMap(node);
    return {
      isMapping,
      get: (key) => found.get(key),
      require: (key) => {
        if (isMapping && !found.has(key)) this.problem(node, `${what} lacks “${key}”`);
        return found.get(key);
      },
    };
  }

  /** The items of a list; absent gives none. An empty list is reported unless `mayBeEmpty`. */
  list(node: Node | undefined, what: string, mayBeEmpty = false): readonly Node[] {
    if (node === undefined) return [];
    if (!isSeq<Node>(node)) {
      this.problem(node, `${what} must be a list ([a, b], or lines that start with -)`);
      return [];
    }
    if (node.items.length === 0 && !mayBeEmpty)
      this.problem(node, `${what} is empty: name something, or leave it out`);
    return node.items;
  }

  /** Non-empty text as it stands in the file (numbers keep their spelling: `007` stays `007`). */
  text(node: Node | undefined, what: string): string | undefined {
    if (node === undefined) return undefined;
    const text = isScalar(node) ? scalarText(node) : undefined;
    if (text === undefined) return this.problem(node, `${what} must be text`);
    if (text.trim() === '') return this.problem(node, `${what} is empty`);
    return text;
  }

  flag(node: Node | undefined, what: string, absent: boolean): boolean {
    if (node === undefined) return absent;
    if (isScalar(node) && typeof node.value === 'boolean') return node.value;
    this.problem(node, `${what} must be true or false`);
    return absent;
  }

  oneOf<Word extends string>(node: Node | undefined, what: string, words: readonly Word[]): Word | undefined {
    const text = this.text(node, what);
    if (node === undefined || text === undefined) return undefined;
    const word = words.find((candidate) => candidate === text);
    return (
      word ??
      this.problem(
        node,
        `${what} cannot be “${printable(text, 60)}”${didYouMean(text, words) || `; it is one of ${words.join(', ')}`}`,
      )
    );
  }

  #report(offset: number, text: string): void {
    this.#problems.push({ offset, text });
  }
}

/** The library catches its own stack overflow and reports it as a fault of the text. */
function yamlFault(message: string): string {
  return message.includes('call stack') ? 'is nested too deeply' : printable(message, 300);
}

function scalarText(scalar: Scalar): string | undefined {
  if (typeof scalar.value === 'string') return scalar.value;
  return scalar.value === null ? undefined : scalar.source;
}
