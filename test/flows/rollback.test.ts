import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { heartbeat } from '../../src/broker/index.ts';
import { startBroker, type RunningBroker } from '../../src/main/broker.ts';
import { loadConfig } from '../../src/main/config.ts';
import { makeBrokerFolder, type BrokerFolder } from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';

let made: BrokerFolder;
beforeEach(async () => {
  made = await makeBrokerFolder();
});
afterEach(() => made.remove());

const start = (): Promise<RunningBroker> =>
  startBroker({
    config: loadConfig(made.configFile),
    passphrase: readFileSync(join(made.folder, 'secrets', 'keys.passphrase'), 'utf8').trim(),
    log: pino({ level: 'silent' }),
    version: 'test',
  });

/** A start, some entries, a clean stop. */
async function day(beats = 3): Promise<void> {
  const running = await start();
  for (let beat = 0; beat < beats; beat += 1) await heartbeat(running.rooms);
  await running.stop();
}

const data = (): string => join(made.folder, 'data');
const copy = (): string => join(made.folder, 'copy');
const kept = (): string => join(made.folder, 'log-checkpoint');
const backUp = (): void => cpSync(data(), copy(), { recursive: true });
function restore(): void {
  rmSync(data(), { recursive: true });
  cpSync(copy(), data(), { recursive: true });
}

describe('a broker whose database is not the last one', () => {
  it('keeps the newest checkpoint outside of the database, and goes on from it', async () => {
    await day();
    const running = await start();
    const { size } = await running.rooms.store.logHead();
    await running.stop();
    expect(readFileSync(kept(), 'utf8').split('\n')[1]).toBe(String(size + 1n));
    await day();
  });

  it('does not start on an old copy, and changes nothing', async () => {
    await day();
    backUp();
    await day();
    const newest = readFileSync(kept());
    restore();
    expect(await codeOf(start())).toBe('accounting.rolled_back');
    expect(await codeOf(start())).toBe('accounting.rolled_back');
    expect(readFileSync(kept())).toEqual(newest);
  });

  it('does not start on a copy that has grown on its own since', async () => {
    await day();
    backUp();
    const then = readFileSync(kept());
    await day(1);
    const newest = readFileSync(kept());
    // On another machine, with the checkpoint of then, somebody lets the copy run.
    restore();
    writeFileSync(kept(), then);
    await day(5);
    writeFileSync(kept(), newest);
    expect(await codeOf(start())).toBe('accounting.forked');
  });

  it.each([
    ['is gone', () => rmSync(kept()), 'accounting.no_kept_checkpoint'],
    ['is empty', () => writeFileSync(kept(), ''), 'accounting.bad_kept_checkpoint'],
    ['is noise', () => writeFileSync(kept(), 'x'.repeat(1000)), 'accounting.bad_kept_checkpoint'],
    [
      'says another size',
      () => writeFileSync(kept(), readFileSync(kept(), 'utf8').replace(/\n\d+\n/, '\n2\n')),
      'accounting.bad_kept_checkpoint',
    ],
  ])('does not start when what is kept %s', async (_what, damage, code) => {
    await day();
    damage();
    expect(await codeOf(start())).toBe(code);
  });
});
