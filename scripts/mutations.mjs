// `npm run mutations`: installs what is missing, then has both verifiers judge mutations of a long bundle. Arguments are passed on.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { installDependencies, pinnedNode, root } from './setup.mjs';

installDependencies();
const program = join(root, 'test/interop/run-mutations.ts');
const run = spawnSync(pinnedNode(), [program, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' });
process.exitCode = run.status ?? 1;
