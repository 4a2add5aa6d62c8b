import type { Clock, RandomBytes } from '../../kernel/index.ts';

/** Where text goes; `isTTY` and `columns` as Node's own streams have them. */
export interface Sink {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string | Uint8Array): unknown;
}

/** Everything a command sees of the world around it, so that a test can give it another one. */
export interface Terminal {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: Sink;
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** E.g. `0.1.0`. */
  readonly version: string;
  /** Absolute program and arguments that start this CLI again, e.g. the Node in use and the path of bin/sallyport. */
  readonly self: readonly string[];
  /** Login name of this computer's user, the default where a name is asked for. */
  readonly userName: string;
}

/** Width that lines are laid out for: that of the terminal, 80 at least; without one, nothing is cut or wrapped. */
export function widthOf(sink: { readonly isTTY?: boolean; readonly columns?: number }): number {
  return sink.isTTY === true ? Math.max(sink.columns ?? 80, 60) : Number.POSITIVE_INFINITY;
}

/** Whether colour may be used: a terminal that is not `dumb`, and no NO_COLOR (https://no-color.org). */
export function hasColour(terminal: Terminal, sink: { readonly isTTY?: boolean }): boolean {
  const wish = terminal.env['NO_COLOR'];
  return sink.isTTY === true && (wish === undefined || wish === '') && terminal.env['TERM'] !== 'dumb';
}
