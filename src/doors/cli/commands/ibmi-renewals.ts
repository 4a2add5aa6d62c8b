import { toRfc3339 } from '../../../kernel/index.ts';
import { checkWritable, writeByRename } from '../../client/index.ts';
import {
  calendarEvents,
  encodeCalendar,
  parseProbeReport,
  parseWindow,
  planRenewals,
  type Renewal,
  type ServedCertificate,
} from '../../ibmi/index.ts';
import { type Result, withSession } from '../command.ts';
import { readGivenBytes } from '../given-bytes.ts';
import type { Line } from '../output.ts';
import { tableLines } from '../output.ts';
import { withProgress } from '../progress.ts';
import type { Terminal } from '../terminal.ts';

export interface RenewalsFlags {
  /** Left out: what the broker issued. */
  readonly report?: string;
  readonly days: number;
  readonly window: string;
  readonly ics?: string;
}

const maxServed = 100_000;
const maxReportBytes = 67_108_864;

/** What ends soon, by host and application, and when it can be changed. */
export async function listRenewals(flags: RenewalsFlags, terminal: Terminal): Promise<Result> {
  const window = parseWindow(flags.window);
  if (flags.ics !== undefined) checkWritable(flags.ics);
  const served =
    flags.report === undefined
      ? await issuedByBroker(flags.days, terminal)
      : parseProbeReport(readGivenBytes(flags.report, maxReportBytes).toString('utf8'));
  const nowMs = terminal.clock.nowMs();
  const renewals = planRenewals(served, { days: flags.days, window, nowMs });
  const events = calendarEvents(renewals);
  if (flags.ics !== undefined)
    writeByRename(flags.ics, encodeCalendar(events, nowMs), terminal.random, 0o644);
  const late = renewals.filter(({ slot }) => slot === undefined).length;
  const lines: readonly Line[] =
    renewals.length === 0
      ? [{ text: `Nothing ends within ${flags.days} days.`, tone: 'good' }]
      : tableLines(
          terminal.stdout,
          ['HOST', 'ENDS', 'DAYS', 'WINDOW (UTC)', 'NEW LABEL', 'APPLICATIONS'],
          renewals.map(row),
          { wrapLast: true },
        );
  return {
    value: { renewals: renewals.map(view) },
    lines,
    notes: [
      ...(late === 0
        ? []
        : [
            {
              text: `${late} cannot wait for a window: it ends before the next one, or has ended.`,
              tone: 'bad' as const,
            },
          ]),
      ...(flags.ics === undefined
        ? []
        : [
            `Wrote ${flags.ics}: ${events.length} event${events.length === 1 ? '' : 's'}, one for each host and window.`,
          ]),
    ],
  };
}

/** Live certificates of servers that end in time, with what `ibmi issue` said of where they go; of others, only that they end. */
async function issuedByBroker(days: number, terminal: Terminal): Promise<readonly ServedCertificate[]> {
  return withSession(terminal, async ({ client }) => {
    const served: ServedCertificate[] = [];
    let after: string | undefined;
    do {
      const query = { live: 'true', endsWithinDays: String(days), limit: '1000', after };
      const page = await withProgress(terminal, 'Asking the broker', client.listTls(query));
      for (const { kind, commonName, serial, notAfterMs, servedBy } of page.items)
        if (kind === 'tls-server')
          served.push({
            host: commonName,
            applications: servedBy?.applications ?? [],
            ...(servedBy?.label === undefined ? {} : { label: servedBy.label }),
            subject: `CN=${commonName}`,
            serial,
            notAfterMs,
          });
      after = page.next;
    } while (after !== undefined && served.length < maxServed);
    return served;
  });
}

function row({ host, notAfterMs, daysLeft, slot, nextLabel, applications }: Renewal): readonly string[] {
  const when = slot === undefined ? 'now' : toRfc3339(slot.startMs).slice(0, 16).replace('T', ' ');
  return [
    host,
    toRfc3339(notAfterMs).slice(0, 10),
    String(daysLeft),
    when,
    nextLabel,
    applications.join(', '),
  ];
}

function view({ notAfterMs, slot, ...renewal }: Renewal): unknown {
  return {
    ...renewal,
    notAfter: toRfc3339(notAfterMs),
    window: slot === undefined ? null : { start: toRfc3339(slot.startMs), end: toRfc3339(slot.endMs) },
  };
}
