import { openedValues, type StoredEntry } from '../../broker/index.ts';

/** What every line needs besides its entry. */
export interface LineContext {
  /** Name of the log. */
  readonly origin: string;
  /** Name of this machine, as syslog and CEF carry it. */
  readonly hostname: string;
  /** Version of the broker. */
  readonly version: string;
  /** IANA private enterprise number below which syslog carries our fields. */
  readonly enterpriseNumber: number;
  /** Whether names, addresses and reasons leave the house in clear. Their commitments are in the entry in any case. */
  readonly personal: 'include' | 'omit';
}

/** An entry as formats read it: docs/formats/log.md describes its fields. */
export interface OpenedEntry {
  readonly index: bigint;
  /** Hex. */
  readonly leafHash: string;
  /** The canonical JSON that was hashed. */
  readonly json: string;
  readonly id: string;
  /** RFC 3339 with milliseconds. */
  readonly time: string;
  readonly type: string;
  readonly outcome: string;
  /** A text, number or flag of the entry in words, a list of them joined with a space; undefined where there is none. */
  readonly text: (...path: readonly string[]) => string | undefined;
  readonly list: (...path: readonly string[]) => readonly string[];
  /** A field as it is. */
  readonly value: (...path: readonly string[]) => unknown;
  /** A personal value in clear; undefined where there is none, where it was erased, and where it may not leave. */
  readonly personal: (path: string) => string | undefined;
  /** All of them. */
  readonly personalValues: Readonly<Record<string, string>>;
  /** Paths of personal values that were recorded and whose clear values are gone; none where they may not leave anyway. */
  readonly erased: readonly string[];
  /** Paths of which something else is kept than what was recorded: it is left out. */
  readonly altered: readonly string[];
}

/** Reads an entry that this broker wrote; a field that is not of the form it should have counts as not there. */
export function openEntry(stored: StoredEntry, { personal }: Pick<LineContext, 'personal'>): OpenedEntry {
  const json = stored.bytes.toString('utf8');
  const content = JSON.parse(json) as unknown;
  const text = (...path: readonly string[]): string | undefined => textOf(at(content, path));
  const { values: held, altered } =
    personal === 'omit'
      ? { values: {} as Readonly<Record<string, string>>, altered: [] }
      : openedValues(stored);
  const recorded = listOf(at(content, ['personal']));
  return {
    index: stored.index,
    leafHash: stored.leafHash.toString('hex'),
    json,
    id: text('id') ?? '',
    time: text('time') ?? '',
    type: text('type') ?? '',
    outcome: text('outcome') ?? '',
    text,
    value: (...path) => at(content, path),
    list: (...path) => listOf(at(content, path)),
    personal: (path) => (Object.hasOwn(held, path) ? held[path] : undefined),
    personalValues: held,
    erased:
      personal === 'omit'
        ? []
        : recorded.filter((path) => !Object.hasOwn(held, path) && !altered.includes(path)),
    altered,
  };
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (within, name) =>
      typeof within === 'object' && within !== null && Object.hasOwn(within, name)
        ? (within as Readonly<Record<string, unknown>>)[name]
        : undefined,
    value,
  );
}

function textOf(value: unknown): string | undefined {
  if (Array.isArray(value)) {
    const words = listOf(value);
    return words.length === 0 ? undefined : words.join(' ');
  }
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}

function listOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.flatMap((item: unknown) => textOf(item) ?? []) : [];
}
