// `npm start`: installs what is missing, then runs the main job for real and stays running (src/main/demo/).
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { installDependencies, pinnedNode, root } from './setup.mjs';

installDependencies();
const demo = spawn(pinnedNode(), [join(root, 'src', 'main', 'demo', 'index.ts'), ...process.argv.slice(2)], {
  stdio: 'inherit',
});
// The terminal sends Ctrl-C to the whole group: wait for the demo to clean up, and forward what only we were sent.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => signal !== 'SIGINT' && demo.kill(signal));
demo.on('exit', (code, signal) => {
  process.exitCode = signal === null ? (code ?? 1) : 1;
});
