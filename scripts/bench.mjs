// `npm run bench`: installs what is missing, then runs the benchmarks with the pinned Node. Arguments are passed on.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { installDependencies, pinnedNode, root } from './setup.mjs';

installDependencies();
const run = spawnSync(pinnedNode(), [join(root, 'bench/run.ts'), ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
process.exitCode = run.status ?? 1;
