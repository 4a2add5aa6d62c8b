// What `npm start`, `npm test` and `npm run bench` share: install the locked dependencies once, find the pinned Node.
// Plain JavaScript for any Node from 20 up, with nothing but the standard library: it runs before anything is installed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, 'node_modules', '.sallyport-lock');

/** Installs what package-lock.json names, unless that very file was installed before. Exits the process on failure. */
export function installDependencies() {
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  if (installedByHand()) return writeFileSync(stamp, wanted);
  process.stderr.write('Installing dependencies (once, about a minute at most)…\n');
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (npm.status !== 0) {
    process.stderr.write(
      'sallyport: `npm ci` failed; its own words are above. Check the network and the npm registry, then try again.\n',
    );
    process.exit(1);
  }
  writeFileSync(stamp, wanted);
}

/** Somebody ran `npm ci` after the lock file last changed: npm notes what it installed. */
function installedByHand() {
  const note = join(root, 'node_modules', '.package-lock.json');
  return existsSync(note) && statSync(note).mtimeMs > statSync(join(root, 'package-lock.json')).mtimeMs;
}

/** @returns {string} the Node to run with: the pinned one, else this one if it is new enough; exits otherwise. */
export function pinnedNode() {
  const pinned = join(root, 'node_modules', '.bin', 'node');
  if (existsSync(pinned)) return pinned;
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 24 || (major === 24 && minor >= 15)) return process.execPath;
  process.stderr.write(
    `sallyport: needs Node 24.15 or newer; this is ${process.version}, and no pinned Node is published for ${process.platform}-${process.arch}. Install Node 24 and try again.\n`,
  );
  return process.exit(1);
}
