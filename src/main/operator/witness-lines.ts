import type { Logger } from 'pino';
import type { WitnessEvent } from '../../doors/witness/index.ts';
import type { Stopwatch } from '../../kernel/index.ts';

/** Whoever has a receipt of a log can make such lines: of each log one in so long, which counts the others. */
const unprovenEveryMs = 60_000;

/**
 * What a witness prints of what it was asked: evidence as an error, what came without a proof as a warning and not too often,
 * everything else as it is.
 */
export function witnessLines(
  log: Pick<Logger, 'info' | 'warn' | 'error'>,
  stopwatch: Stopwatch,
): (event: WitnessEvent) => void {
  // As many as there are logs in the configuration: an event has the origin of one of them.
  const warned = new Map<string, { readonly atMs: number; more: number }>();
  return ({ what, size, ...event }) => {
    const shown = { ...event, size: String(size) };
    if (event.evidence !== undefined)
      return log.error(shown, 'this log signed two histories of one size: keep this line');
    if (event.unproven === undefined) return log.info(shown, what);
    const before = warned.get(event.origin);
    const nowMs = stopwatch.elapsedMs();
    if (before !== undefined && nowMs - before.atMs < unprovenEveryMs) {
      before.more += 1;
      return undefined;
    }
    warned.set(event.origin, { atMs: nowMs, more: 0 });
    const notShown = before === undefined || before.more === 0 ? {} : { notShown: before.more };
    return log.warn(
      { ...shown, ...notShown },
      'a checkpoint came without a proof that it continues this log',
    );
  };
}
