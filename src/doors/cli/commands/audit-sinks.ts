import { toRfc3339 } from '../../../kernel/index.ts';
import type { SinkAnswer } from '../../client/index.ts';
import type { Result } from '../command.ts';
import { withSession } from '../command.ts';
import type { Line } from '../output.ts';
import { tableLines } from '../output.ts';
import { withProgress } from '../progress.ts';
import type { Terminal } from '../terminal.ts';
import { formatSeconds, zoneOf } from '../times.ts';

/** Where copies of the log go. What a sink has not taken waits in the log, and is not lost. */
export async function listSinks(terminal: Terminal): Promise<Result> {
  return withSession(terminal, async ({ client }) => {
    const sinks = await withProgress(terminal, 'Asking the broker', client.sinks());
    return {
      value: { sinks: sinks.map(sinkJson) },
      lines: sinks.length === 0 ? ['No copies of the log go anywhere.'] : sinkTable(terminal, sinks),
      notes: sinks
        .filter(({ state }) => state === 'down')
        .map(({ name, code, failingSinceMs }): Line => ({
          text: `note: ${name} takes nothing${failingSinceMs === undefined ? '' : ` since ${formatSeconds(failingSinceMs)}`} (${code ?? 'unknown'}); entries wait for it, and the broker's own messages say more.`,
          tone: 'warning',
        })),
    };
  });
}

function sinkTable(terminal: Terminal, sinks: readonly SinkAnswer[]): readonly Line[] {
  return tableLines(
    terminal.stdout,
    ['NAME', 'KIND', 'FORMAT', 'STATE', 'BEHIND', 'NEXT', `DELIVERED (${zoneOf(terminal.clock.nowMs())})`],
    sinks.map(({ name, kind, format, state, lag, next, lastDeliveredAtMs }) => [
      name,
      kind,
      format,
      state,
      lag,
      next,
      lastDeliveredAtMs === undefined ? '' : formatSeconds(lastDeliveredAtMs),
    ]),
  );
}

function sinkJson({ lastDeliveredAtMs, failingSinceMs, code, ...sink }: SinkAnswer): object {
  return {
    ...sink,
    ...(lastDeliveredAtMs === undefined ? {} : { lastDeliveredAt: toRfc3339(lastDeliveredAtMs) }),
    ...(failingSinceMs === undefined ? {} : { failingSince: toRfc3339(failingSinceMs) }),
    ...(code === undefined ? {} : { code }),
  };
}
