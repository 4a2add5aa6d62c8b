import type { OperatorIo } from './operator-contract.ts';
import { printLines } from './output.ts';
import type { Progress } from './progress.ts';
import { startProgress } from './progress.ts';
import { askSecret } from './prompts.ts';
import type { Terminal } from './terminal.ts';

/** The terminal as main may use it while one of the operator's commands runs. */
export function operatorIo(terminal: Terminal, progress?: Progress): OperatorIo {
  return {
    note(line) {
      progress?.pause();
      printLines(terminal, terminal.stderr, [line]);
      progress?.resume();
    },
    async askSecret(question) {
      progress?.pause();
      try {
        return await askSecret(terminal, question);
      } finally {
        progress?.resume();
      }
    },
  };
}

/** Runs main's half of a command with progress, which makes way for notes and questions. */
export async function withOperatorIo<Value>(
  terminal: Terminal,
  doing: string,
  work: (io: OperatorIo) => Promise<Value>,
): Promise<Value> {
  const progress = startProgress(terminal, doing);
  try {
    return await work(operatorIo(terminal, progress));
  } finally {
    progress.pause();
  }
}
