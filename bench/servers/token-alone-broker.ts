// The broker as `serve` runs it, except that a proof of possession is checked once for each session and then taken as read:
// what issuing costs where something in front of the broker has checked it. For measuring only. Argument: the configuration file.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { startBroker } from '../../src/main/broker.ts';
import { loadConfig } from '../../src/main/config.ts';

const [configFile = ''] = process.argv.slice(2);
const broker = await startBroker({
  config: loadConfig(configFile),
  passphrase: readFileSync(join(dirname(configFile), 'secrets', 'keys.passphrase'), 'utf8').trim(),
  log: pino({ level: 'silent' }),
  version: 'bench',
});
const { proofs } = broker.rooms;
const seen = new Map<string, Awaited<ReturnType<typeof proofs.verify>>>();
const verifyOnce: typeof proofs.verify = async (request) => {
  const token = request.accessToken;
  const known = token === undefined ? undefined : seen.get(token);
  if (known !== undefined) return known;
  const verified = await proofs.verify(request);
  if (token !== undefined) seen.set(token, verified);
  return verified;
};
Object.assign(broker.rooms, { proofs: { verify: verifyOnce } });
process.stdout.write('ready\n');
process.once('SIGTERM', () => void broker.stop());
