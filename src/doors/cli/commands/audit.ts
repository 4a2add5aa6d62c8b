import { existsSync } from 'node:fs';
import { CodedError, isCodedError, printable } from '../../../kernel/index.ts';
import type { BrokerClient, LogEntry } from '../../client/index.ts';
import { badAnswer, checkWritable, logTypes, writeByRename } from '../../client/index.ts';
import { certificateSerial } from '../certificate-serial.ts';
import type { Result } from '../command.ts';
import { withBroker, withSession } from '../command.ts';
import { csvLines } from '../entry-csv.ts';
import { actorOf, fieldOf, namesIn, wordsOf } from '../entry-words.ts';
import { keyFingerprint } from '../key-fingerprint.ts';
import type { Line } from '../output.ts';
import { tableLines } from '../output.ts';
import { collectPages, moreNote } from '../pages.ts';
import { withProgress } from '../progress.ts';
import { usage } from '../report.ts';
import { partOf, receiveFile, type HeldBytes } from '../receive-file.ts';
import type { Terminal } from '../terminal.ts';
import { formatSeconds, parseMoment, zoneOf } from '../times.ts';

export interface SearchOptions {
  readonly person?: string;
  readonly subject?: string;
  readonly serial?: string;
  readonly key?: string;
  readonly principal?: string;
  readonly host?: string;
  readonly reason?: string;
  readonly type?: string;
  readonly outcome?: string;
  readonly from?: string;
  readonly to?: string;
  readonly limit: number;
  readonly csv?: boolean;
}

/** Finds log entries. What it shows is what the broker says; `export` and `verify` prove it. */
export async function searchLog(options: SearchOptions, terminal: Terminal): Promise<Result> {
  const nowMs = terminal.clock.nowMs();
  const query = {
    person: options.person,
    subject: options.subject,
    principal: options.principal,
    host: options.host,
    reason: options.reason,
    serial: options.serial === undefined ? undefined : certificateSerial(options.serial),
    key: options.key === undefined ? undefined : keyFingerprint(options.key),
    type: options.type,
    outcome: options.outcome,
    from: options.from === undefined ? undefined : parseMoment(options.from, nowMs),
    to: options.to === undefined ? undefined : parseMoment(options.to, nowMs),
  };
  return withSession(terminal, async ({ client }) => {
    const found = await withProgress(
      terminal,
      'Searching the log',
      collectPages(options.limit, (after, limit) => client.searchLog({ ...query, after, limit })),
    );
    const value = {
      entries: found.items.map((item) => ({ ...item, openings: item.openings ?? null })),
      more: found.more,
    };
    if (found.items.length === 0) checkType(options.type);
    if (options.csv === true) return { value, lines: csvLines(found.items), notes: moreNote(found) };
    if (found.items.length === 0) return { value, lines: ['No entries.'] };
    return { value, lines: entryTable(terminal, found.items), notes: moreNote(found) };
  });
}

/** Asked only where nothing was found: a newer broker may know types that this version does not. */
function checkType(type: string | undefined): void {
  if (type === undefined || logTypes.some((known) => known === type)) return;
  throw usage(
    `No entry has the type “${printable(type, 64)}”, and there is no such type.`,
    `Types are ${logTypes.join(', ')}.`,
  );
}

function entryTable(terminal: Terminal, entries: readonly LogEntry[]): readonly Line[] {
  const names = namesIn(entries);
  return tableLines(
    terminal.stdout,
    ['INDEX', `TIME (${zoneOf(terminal.clock.nowMs())})`, 'TYPE', 'WHO', 'WHAT'],
    entries.map((item) => {
      const timeMs = Date.parse(fieldOf(item, 'time'));
      return [
        item.index,
        Number.isNaN(timeMs) ? '' : formatSeconds(timeMs),
        fieldOf(item, 'type'),
        actorOf(item),
        wordsOf(item, names),
      ];
    }),
    { wrapLast: true },
  );
}

export interface ExportOptions {
  readonly out: string;
  readonly from?: string;
  readonly to?: string;
}

/** Fetches a bundle for an auditor. The file appears under its name only when it is whole. */
export async function exportLog(options: ExportOptions, terminal: Terminal): Promise<Result> {
  const [from, to] = [options.from, options.to].map((text) => {
    if (text !== undefined && !/^\d{1,20}$/.test(text))
      throw usage(
        `“${printable(text, 40)}” is not the index of an entry.`,
        '--from and --to are entry indexes; --to is the first one left out.',
      );
    return text;
  });
  checkWritable(options.out);
  const isPart = from !== undefined || to !== undefined;
  return withSession(terminal, async ({ client }) => {
    const sizeBytes = await withProgress(
      terminal,
      'Fetching the log',
      receiveFile(options.out, (held) => askExport(client, { from, to }, held)),
    ).catch((error: unknown) => {
      throw withPartKept(error, options.out);
    });
    return {
      value: { file: options.out, sizeBytes },
      lines: [{ text: `Wrote ${options.out} (${sizeBytes} bytes).`, tone: 'good' }],
      notes: [`next: sallyport audit verify ${options.out} --key FILE${isPart ? ' --part' : ''}`],
    };
  });
}

interface Asked {
  readonly from: string | undefined;
  readonly to: string | undefined;
}

/** Goes on with what is held if that is the beginning of the same export; otherwise begins anew. */
async function askExport(
  client: BrokerClient,
  asked: Asked,
  held: HeldBytes | undefined,
): Promise<{ chunks: AsyncIterable<Buffer>; again: boolean }> {
  const checkpoint = held && checkpointIn(held.beginning, asked);
  if (held === undefined || checkpoint === undefined)
    return { chunks: await client.exportLog({ ...asked }), again: true };
  try {
    const chunks = await client.exportLog({
      ...asked,
      checkpoint: Buffer.from(checkpoint).toString('base64url'),
      offset: String(held.sizeBytes),
      sha256: held.sha256,
    });
    return { chunks, again: false };
  } catch (error) {
    if (!isCodedError(error, 'accounting.export_changed')) throw error;
    return { chunks: await client.exportLog({ ...asked }), again: true };
  }
}

/** The checkpoint in the beginning of a bundle (docs/formats/bundle.md), if it is one of the stretch that is asked for. */
function checkpointIn(beginning: Buffer, { from = '0', to }: Asked): string | undefined {
  const [, first, end, checkpoint = ''] =
    /^sallyport-bundle v1 (\d+) (\d+)\n([^\n]+\n\d+\n[^\n]+\n\n(?:— [^\n]+\n)+)tile /u.exec(
      beginning.toString('utf8'),
    ) ?? [];
  if (first !== from || (to !== undefined && end !== to)) return undefined;
  // Without `to` all of it was asked for: up to the size in that checkpoint.
  return to === undefined && checkpoint.split('\n')[1] !== end ? undefined : checkpoint;
}

function withPartKept(error: unknown, out: string): unknown {
  const part = partOf(out);
  if (!(error instanceof CodedError) || !existsSync(part)) return error;
  const kept = `What came is kept in ${part}; the same command goes on from there.`;
  return new CodedError(error.code as `client.${string}`, error.message, {
    next: error.next === undefined ? kept : `${error.next} ${kept}`,
    details: error.details,
    cause: error,
  });
}

/** Prints or keeps the newest signed checkpoint: kept, it shows later that the log was only ever added to. */
export async function showCheckpoint(
  options: { readonly out?: string },
  terminal: Terminal,
): Promise<Result> {
  if (options.out !== undefined) checkWritable(options.out);
  const text = await withBroker(terminal, ({ client }) =>
    withProgress(terminal, 'Asking the broker', client.checkpoint()),
  );
  const [origin = '', size = '', root = ''] = text.split('\n');
  if (origin === '' || !/^\d{1,20}$/.test(size) || !text.includes('\n\n\u2014 '))
    throw badAnswer('the checkpoint is not one');
  const value = { origin, size, root, checkpoint: text };
  const notes = [witnessNote(text)];
  if (options.out === undefined) return { value, lines: text.trimEnd().split('\n'), notes };
  writeByRename(options.out, text, terminal.random, 0o644);
  return {
    value: { ...value, file: options.out },
    lines: [{ text: `Wrote ${options.out}: size ${size}.`, tone: 'good' }],
    notes,
  };
}

/** What the signature lines behind the log's own are worth. */
function witnessNote(text: string): string {
  const others = text.split('\n\u2014 ').length - 2;
  if (others <= 0) return 'note: no witness: rollback by the operator is not excluded.';
  return `note: ${others} other signature line${others === 1 ? '' : 's'}; \`sallyport audit verify --policy\` says whose.`;
}
