import { hasColour, type Terminal } from './terminal.ts';

const clearLine = '\r\u001B[K';
const cells = 24;

/** A line that says how much of many is done; on a terminal only, and gone at the end. */
export interface ProgressBar {
  show(done: number): void;
  end(): void;
}

/** @param doing e.g. `Looking at ports`, ours and never from outside. */
export function startBar(terminal: Terminal, doing: string, of: number): ProgressBar {
  const { stderr } = terminal;
  // Whoever wants no colour wants nothing that moves, either (docs/operations/client.md).
  if (!hasColour(terminal, stderr)) return { show: () => undefined, end: () => undefined };
  const show = (done: number): void => {
    const filled = Math.floor((cells * done) / Math.max(of, 1));
    stderr.write(`${clearLine}${doing} [${'#'.repeat(filled)}${'.'.repeat(cells - filled)}] ${done}/${of}`);
  };
  show(0);
  return { show, end: () => void stderr.write(clearLine) };
}
