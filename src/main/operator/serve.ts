import { pino, stdSerializers, type LoggerOptions } from 'pino';
import { readFileSync } from 'node:fs';
import type { OperatorIo } from '../../doors/cli/index.ts';
import { CodedError, isCodedError } from '../../kernel/index.ts';
import { startBroker, type RunningBroker } from '../broker.ts';
import { loadConfig, originsHint } from '../config.ts';
import { readPassphrase } from '../passphrase.ts';

/** Runs the broker until SIGINT or SIGTERM; SIGHUP reloads policy and certificate. Resolves after a clean stop. */
export async function serve(options: { readonly configFile: string }, io: OperatorIo): Promise<void> {
  const config = loadConfig(options.configFile);
  const passphrase = await readPassphrase(config.keys.passphrase, process.env, (question) =>
    io.askSecret(question),
  );
  // Not synchronous: whoever reads standard output slowly must not hold up the broker.
  const output = pino.destination({ dest: 1, sync: false });
  const settings: LoggerOptions = {
    level: config.log.level,
    // Belt and braces: nothing that could hold a secret is ever passed in.
    redact: {
      paths: ['password', 'token', 'proof', '*.password', '*.token', '*.proof', 'headers.authorization'],
      censor: '[removed]',
    },
    serializers: { err: toLogged },
    base: { name: 'sallyport' },
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  const log = pino(settings, output);
  let broker: RunningBroker | undefined;
  // Until the end: a SIGHUP that nobody handles would kill the broker.
  const reload = (): void => {
    broker?.reload().then(
      () => log.info({}, 'policy and TLS certificate reloaded'),
      (error: unknown) => log.error({ err: error }, 'reload refused; what was in force stays in force'),
    );
  };
  process.on('SIGHUP', reload);
  // Heard from the start on: one that comes early stops the broker as soon as it runs, cleanly like any other.
  const stopAsked = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  try {
    broker = await startBroker({ config, passphrase, log, version: readVersion() });
  } catch (error) {
    throw listenProblem(error, config.listen) ?? error;
  }
  const [origin] = config.origins;
  log.info({ listen: config.listen, port: broker.port, origin }, 'ready');
  io.note(`Sallyport is ready at ${origin ?? config.listen}. Stop it with Ctrl-C.`);
  const hint = originsHint(config);
  if (hint !== undefined) io.note(hint);

  await stopAsked;
  log.info({}, 'stopping');
  const stopping = broker;
  broker = undefined;
  await stopping.stop();
  process.off('SIGHUP', reload);
  log.info({}, 'stopped');
  output.flushSync();
}

/** A refusal says all there is to say; only a fault that nobody foresaw brings its stack. */
function toLogged(error: Error): object {
  if (!isCodedError(error)) return stdSerializers.err(error);
  const { code, message, next, details, cause } = error;
  return { code, message, next, details, cause: cause instanceof Error ? cause.message : undefined };
}

function listenProblem(error: unknown, listen: string): CodedError | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const causes: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another program is listening there',
    EACCES: 'this user may not listen there',
    EADDRNOTAVAIL: 'this machine does not have that address',
  };
  const why = causes[code];
  if (why === undefined) return undefined;
  return new CodedError('main.cannot_listen', `The broker cannot listen on ${listen}: ${why}.`, {
    next: 'Change `listen` in the configuration, or stop the other program.',
    cause: error,
  });
}

function readVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return manifest.version;
}
