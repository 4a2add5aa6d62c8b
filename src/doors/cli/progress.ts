import { hasColour } from './terminal.ts';
import type { Terminal } from './terminal.ts';

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const clearLine = '\r\u001B[K';

/** A line that says what is going on, once it takes over a second; on a terminal only. */
export interface Progress {
  /** Wipes the line: something else is to be written, or the work is done. */
  pause(): void;
  /** Starts to wait for the second again. */
  resume(): void;
}

/** @param doing e.g. `Asking the broker`, ours and never from outside. The caller must pause it at the end. */
export function startProgress(terminal: Terminal, doing: string): Progress {
  const { stderr } = terminal;
  if (stderr.isTTY !== true || terminal.env['TERM'] === 'dumb')
    return { pause: () => undefined, resume: () => undefined };
  const spins = hasColour(terminal, stderr);
  let shown = 0;
  let timer: NodeJS.Timeout | undefined;
  const show = (): void => {
    stderr.write(`${clearLine}${spins ? `${frames[shown % frames.length] ?? ''} ` : ''}${doing}…`);
    shown += 1;
    if (spins) timer = setTimeout(show, 100);
  };
  const resume = (): void => {
    timer = setTimeout(show, 1000);
  };
  resume();
  return {
    pause() {
      clearTimeout(timer);
      if (shown > 0) stderr.write(clearLine);
      shown = 0;
    },
    resume,
  };
}

/** Waits for the work, with progress. @param doing as for `startProgress` */
export async function withProgress<Result>(
  terminal: Terminal,
  doing: string,
  work: Promise<Result>,
): Promise<Result> {
  const progress = startProgress(terminal, doing);
  try {
    return await work;
  } finally {
    progress.pause();
  }
}
