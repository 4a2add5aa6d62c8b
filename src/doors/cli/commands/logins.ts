import { toRfc3339 } from '../../../kernel/index.ts';
import type { Coverage, LogEntry, ResponseSeen } from '../../client/index.ts';
import type { Result } from '../command.ts';
import { withSession } from '../command.ts';
import { textAt } from '../entry-words.ts';
import type { Line } from '../output.ts';
import { tableLines } from '../output.ts';
import { collectPages, moreNote } from '../pages.ts';
import { withProgress } from '../progress.ts';
import { usage } from '../report.ts';
import type { Terminal } from '../terminal.ts';
import { formatSeconds, formatShort, parseMoment, zoneOf } from '../times.ts';

export interface LoginsOptions {
  readonly unexplained?: boolean;
  readonly person?: string;
  readonly host?: string;
  readonly as?: string;
  readonly from?: string;
  readonly to?: string;
  readonly limit: number;
}

/** Logins that hosts reported. How many hosts report stands beside every count: none unexplained of half the hosts is not green. */
export async function listLogins(options: LoginsOptions, terminal: Terminal): Promise<Result> {
  const nowMs = terminal.clock.nowMs();
  const unexplained = options.unexplained === true;
  const query = {
    unexplained,
    person: options.person,
    host: options.host,
    account: options.as,
    from: options.from === undefined ? undefined : parseMoment(options.from, nowMs),
    to: options.to === undefined ? undefined : parseMoment(options.to, nowMs),
  };
  return withSession(terminal, async ({ client }) => {
    let coverage: Coverage = { enrolledHosts: 0, reportingHosts: 0, gaps: 0 };
    const ask = async (after: string | undefined, limit: string) => {
      const page = await client.logins({ ...query, after, limit });
      ({ coverage } = page);
      return page;
    };
    const found = await withProgress(terminal, 'Searching the log', collectPages(options.limit, ask));
    const value = {
      logins: found.items.map(({ index, entry }) => ({ index, ...entry })),
      more: found.more,
      coverage,
    };
    const none = unexplained ? 'No login that nothing explains.' : 'No logins.';
    return {
      value,
      lines: [
        ...(found.items.length === 0 ? [none] : loginTable(terminal, found.items)),
        coverageLine(coverage),
      ],
      notes: moreNote(found),
    };
  });
}

function loginTable(terminal: Terminal, entries: readonly LogEntry[]): readonly Line[] {
  const rows = entries.map((item) => {
    const atMs = Date.parse(textAt(item, 'login', 'at'));
    return [
      item.index,
      Number.isNaN(atMs) ? '' : formatSeconds(atMs),
      textAt(item, 'target', 'name'),
      textAt(item, 'login', 'account'),
      textAt(item, 'cred', 'serial'),
      textAt(item, 'login', 'verdict').replaceAll('_', ' '),
    ];
  });
  const heads = ['INDEX', `TIME (${zoneOf(terminal.clock.nowMs())})`, 'HOST', 'AS', 'SERIAL', 'VERDICT'];
  return tableLines(terminal.stdout, heads, rows, { gives: 2 });
}

function coverageLine({ enrolledHosts, reportingHosts, gaps }: Coverage): Line {
  const isWhole = enrolledHosts > 0 && reportingHosts >= enrolledHosts && gaps === 0;
  const missing =
    gaps === 0
      ? ''
      : `, and ${gaps} ${gaps === 1 ? 'stretch' : 'stretches'} of reports of the last 30 days missing`;
  const text = `${reportingHosts} of ${enrolledHosts} enrolled hosts reported within the last hour${missing}.`;
  return isWhole ? { text, tone: 'good' } : { text, tone: 'warning' };
}

export interface ResponsesOptions {
  readonly approve?: string;
  readonly reject?: string;
}

/** Lists what rules asked for, or decides about one of them. */
export async function responses(options: ResponsesOptions, terminal: Terminal): Promise<Result> {
  const { approve, reject } = options;
  if (approve !== undefined && reject !== undefined)
    throw usage('One of --approve and --reject.', 'Give one id.');
  const id = approve ?? reject;
  return withSession(terminal, async ({ client }) => {
    if (id === undefined) {
      const found = await withProgress(terminal, 'Asking the broker', client.responses());
      const value = { responses: found.map(responseJson) };
      return {
        value,
        lines: found.length === 0 ? ['Nothing was asked for.'] : responseTable(terminal, found),
      };
    }
    const asked = { id, approve: approve !== undefined };
    const decided = await withProgress(terminal, 'Telling the broker', client.decideResponse(asked));
    return { value: responseJson(decided), lines: [wordsOf(decided)] };
  });
}

function wordsOf({ id, state, host, quarantine }: ResponseSeen): Line {
  const what = `${id}: quarantine “${quarantine}” of ${host.name}`;
  if (state === 'executed') return { text: `${what} was handed over.`, tone: 'good' };
  if (state === 'rejected') return { text: `${what} is rejected.`, tone: 'good' };
  return { text: `${what} needs another administrator’s approval.`, tone: 'warning' };
}

function responseTable(terminal: Terminal, found: readonly ResponseSeen[]): readonly Line[] {
  const rows = found.map((one) => [
    one.id,
    formatShort(one.createdAtMs),
    one.host.name,
    one.quarantine,
    one.verdict.replaceAll('_', ' '),
    one.loginIndex,
    one.state === 'waiting' ? `waiting, ${one.approvals.length} of 2` : one.state,
  ]);
  const heads = [
    'ID',
    `SINCE (${zoneOf(terminal.clock.nowMs())})`,
    'HOST',
    'QUARANTINE',
    'VERDICT',
    'ENTRY',
    'STATE',
  ];
  return tableLines(terminal.stdout, heads, rows, { gives: 2 });
}

function responseJson({ createdAtMs, changedAtMs, ...response }: ResponseSeen): Record<string, unknown> {
  return { ...response, createdAt: toRfc3339(createdAtMs), changedAt: toRfc3339(changedAtMs) };
}
