import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface RunningAgent {
  readonly socketPath: string;
  stop(): Promise<void>;
}

/** A real, empty ssh-agent with its socket in `folder`, which the caller removes after `stop`. */
export async function startAgent(folder: string): Promise<RunningAgent> {
  const socketPath = join(folder, 'agent.sock');
  const agent = spawn('ssh-agent', ['-D', '-a', socketPath], { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(agent, 'exit');
  await Promise.race([once(agent.stdout, 'data'), ended]); // it prints its variables once it listens
  if (agent.exitCode !== null) throw new Error(`ssh-agent ended with ${agent.exitCode}`);
  return {
    socketPath,
    stop: async () => {
      agent.kill();
      await ended;
    },
  };
}
