import { toRfc3339 } from '../../kernel/index.ts';
import { findApplication, restartPlan, type Application } from '../../tn5250/index.ts';
import type { CalendarEvent } from './calendar.ts';
import { nextLabel } from './labels.ts';
import { chooseSlot, type Slot, type WeeklyWindow } from './maintenance-window.ts';

/** A certificate on a host, with the applications that serve it. */
export interface ServedCertificate {
  readonly host: string;
  /** Words of the catalogue. */
  readonly applications: readonly string[];
  readonly subject: string;
  readonly serial: string;
  readonly notAfterMs: number;
  /** Where it is known. */
  readonly label?: string;
}

export interface Renewal extends ServedCertificate {
  /** Whole days, downwards; negative when it is over. */
  readonly daysLeft: number;
  readonly nextLabel: string;
  /** Undefined: no window is left before it ends. */
  readonly slot: Slot | undefined;
  /** Whom the restarts cut, in their order. */
  readonly cuts: readonly string[];
}

export interface RenewalQuestion {
  readonly days: number;
  readonly window: WeeklyWindow;
  readonly nowMs: number;
}

const dayMs = 86_400_000;

/** What ends within so many days, by host and application; the most urgent first. What is over already is in it, too. */
export function planRenewals(
  served: readonly ServedCertificate[],
  { days, window, nowMs }: RenewalQuestion,
): readonly Renewal[] {
  return served
    .filter(({ notAfterMs }) => notAfterMs < nowMs + days * dayMs)
    .map((one): Renewal => {
      const slot = chooseSlot(window, one.notAfterMs, nowMs);
      const known = one.applications.flatMap((word): readonly Application[] => {
        const application = findApplication(word);
        return application === undefined ? [] : [application];
      });
      return {
        ...one,
        daysLeft: Math.floor((one.notAfterMs - nowMs) / dayMs),
        nextLabel: nextLabel(
          labelWord(known),
          slot?.startMs ?? nowMs,
          one.label === undefined ? [] : [one.label],
        ),
        slot,
        cuts: restartPlan(known).map(({ cuts }) => cuts),
      };
    })
    .sort((a, b) => a.notAfterMs - b.notAfterMs || compare(a.host, b.host) || compare(a.serial, b.serial));
}

/** One event for each host and window, so that people are cut off once. Renewals without a window are not in it. */
export function calendarEvents(renewals: readonly Renewal[]): readonly CalendarEvent[] {
  const together = new Map<string, Renewal[]>();
  for (const renewal of renewals) {
    if (renewal.slot === undefined) continue;
    const key = `${renewal.host}\n${renewal.slot.startMs}`;
    together.set(key, [...(together.get(key) ?? []), renewal]);
  }
  return [...together].map(([key, group]): CalendarEvent => {
    const [first] = group;
    const { startMs, endMs } = first?.slot ?? { startMs: 0, endMs: 0 };
    const lines = group.map(
      ({ applications, subject, notAfterMs, nextLabel: label, serial }) =>
        `${applications.join(', ')}: ${subject}, serial ${serial}, ends ${toRfc3339(notAfterMs).slice(0, 10)}. New label ${label}.`,
    );
    const cuts = [...new Set(group.flatMap((renewal) => renewal.cuts))].map((whom) => `Cuts ${whom}.`);
    return {
      key,
      startMs,
      endMs,
      title: `New TLS certificate on ${first?.host ?? ''}`,
      text: [...lines, ...cuts, 'Make the plan with: sallyport ibmi issue'].join('\n'),
    };
  });
}

/** After the first server: `telnet`, or the group that its restart is named after. */
function labelWord(known: readonly Application[]): string {
  const [first] = known;
  return first === undefined ? 'tls' : (first.restart ?? first.word);
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
