import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hostScript, read } from '../support/host-machine.ts';

const folder = join(import.meta.dirname, '..', '..', 'host', 'units');
const script = readFileSync(hostScript, 'utf8');
const embedded = [...script.matchAll(/^ {4}([\w.-]+)\)\n {6}cat <<'UNIT'\n([^]*?)^UNIT$/gm)].map(
  ([, name = '', text = '']) => ({ name, text }),
);

test('the texts inside the script are those of host/units', () => {
  expect(embedded.map(({ name }) => name).sort()).toEqual([
    'aix.txt',
    'ibmi.txt',
    'sallyport-host-report.service',
    'sallyport-host.cron',
    'sallyport-host.service',
  ]);
  for (const { name, text } of embedded) expect(text).toBe(read(join(folder, name)));
});

test('every text of host/units is described for those who run hosts', () => {
  const page = read(join(folder, '..', '..', 'docs', 'operations', 'hosts.md'));
  for (const name of readdirSync(folder)) expect(page).toContain(`(../../host/units/${name})`);
});
