import { parseRfc3339 } from '../kernel/index.ts';
import { malformed } from './document.ts';
import { maxLoginLineChars } from './seen-login.ts';

/** What a host says that happened there, in the order of its own count. */
export type ReportedEvent =
  | { readonly kind: 'login'; readonly seq: bigint; readonly atMs: number; readonly line: string }
  /** A session that was opened with a credential that is revoked now, and what became of it. */
  | {
      readonly kind: 'session';
      readonly seq: bigint;
      readonly atMs: number;
      readonly what: 'ended' | 'would-end' | 'kept';
      readonly serial: bigint;
      readonly caFingerprint: string;
      readonly account: string;
    }
  /** What another watchman on the host told, e.g. `fail2ban` or `wazuh`. */
  | {
      readonly kind: 'alert';
      readonly seq: bigint;
      readonly atMs: number;
      readonly source: string;
      readonly text: string;
    }
  /** The host knows that it missed something, e.g. `journal-rotated`. */
  | { readonly kind: 'gap'; readonly seq: bigint; readonly atMs: number; readonly why: string };

export const mostReportedEvents = 500;

const events: Readonly<
  Record<string, (seq: bigint, atMs: number, rest: string) => ReportedEvent | undefined>
> = {
  login: (seq, atMs, line) =>
    line.length > 0 && line.length <= maxLoginLineChars ? { kind: 'login', seq, atMs, line } : undefined,
  session(seq, atMs, rest) {
    const parts =
      /^(ended|would-end|kept) (\d{1,20}) (SHA256:[A-Za-z0-9+/]{43}) \d{1,10} ([^\s]{1,128})$/.exec(rest);
    if (parts === null) return undefined;
    const [, what, serial = '', caFingerprint = '', account = ''] = parts;
    if (BigInt(serial) >= 1n << 64n) return undefined;
    return {
      kind: 'session',
      seq,
      atMs,
      what: what as 'ended' | 'would-end' | 'kept',
      serial: BigInt(serial),
      caFingerprint,
      account,
    };
  },
  alert(seq, atMs, rest) {
    const [, source = '', text = ''] = /^([a-z0-9][a-z0-9-]{0,31}) (.{1,1000})$/u.exec(rest) ?? [];
    return source === '' ? undefined : { kind: 'alert', seq, atMs, source, text };
  },
  gap: (seq, atMs, why) =>
    /^[a-z0-9][a-z0-9_-]{0,63}$/.test(why) ? { kind: 'gap', seq, atMs, why } : undefined,
};

/**
 * Reads the event lines of a report, `WORD SEQ TIME REST`, which count on from `first` without a hole.
 * @throws CodedError `hosts.malformed`: nothing of a report is taken then
 */
export function parseReportedEvents(lines: readonly string[], first: bigint): readonly ReportedEvent[] {
  if (lines.length > mostReportedEvents) throw malformed(`it has more than ${mostReportedEvents} events`);
  return lines.map((line, at) => {
    const parts = /^([a-z]{1,16}) ([1-9]\d{0,17}) (\S{1,40}) (.+)$/u.exec(line);
    const [, word = '', seqText = '0', time = '', rest = ''] = parts ?? [];
    const atMs = parseRfc3339(time);
    const seq = BigInt(seqText);
    if (parts === null || atMs === undefined) throw malformed(`its event ${at + 1} is no event`);
    if (seq !== first + BigInt(at))
      throw malformed(`its event ${at + 1} is not number ${first + BigInt(at)}`);
    const event = Object.hasOwn(events, word) ? events[word]?.(seq, atMs, rest) : undefined;
    if (event === undefined) throw malformed(`its event ${at + 1} cannot be read`);
    return event;
  });
}
