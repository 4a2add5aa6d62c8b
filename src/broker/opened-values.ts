import { sha256 } from '../kernel/index.ts';
import type { StoredEntry } from './unit-of-work.ts';

/** The clear values that are kept beside an entry. */
export interface OpenedValues {
  /** Path to value: those that open the commitment in the entry. */
  readonly values: Readonly<Record<string, string>>;
  /** Paths of which something else is kept than what was recorded: somebody wrote to the database past the broker. */
  readonly altered: readonly string[];
}

/** Reads the openings of an entry and holds each against its commitment (docs/formats/log.md, section 3): only what fits is shown. */
export function openedValues({ bytes, openings }: Pick<StoredEntry, 'bytes' | 'openings'>): OpenedValues {
  if (openings === undefined) return { values: {}, altered: [] };
  const entry = JSON.parse(bytes.toString('utf8')) as unknown;
  const held = Object.entries(JSON.parse(openings) as Readonly<Record<string, unknown>>);
  const opened = held.map(([path, opening]) => ({
    path,
    value: valueOf(opening, commitmentAt(entry, path)),
  }));
  return {
    values: Object.fromEntries(
      opened.flatMap(({ path, value }) => (value === undefined ? [] : [[path, value] as const])),
    ),
    altered: opened.flatMap(({ path, value }) => (value === undefined ? [path] : [])),
  };
}

function valueOf(opening: unknown, commitment: unknown): string | undefined {
  if (!isRecord(opening)) return undefined;
  const { salt, value } = opening;
  if (typeof salt !== 'string' || typeof value !== 'string') return undefined;
  const digest = sha256(Buffer.from(salt, 'base64url'), value).toString('base64url');
  return commitment === `sha256:${digest}` ? value : undefined;
}

function commitmentAt(entry: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>(
      (within, name) => (isRecord(within) && Object.hasOwn(within, name) ? within[name] : undefined),
      entry,
    );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
