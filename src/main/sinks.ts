import { hostname } from 'node:os';
import { dirname } from 'node:path';
import type { ConfiguredSink, Sink } from '../broker/index.ts';
import { createFileSink, createLine, exampleEnterpriseNumber } from '../doors/sinks/index.ts';
import { checkTrustedFolder } from '../keys/index.ts';
import type { Config } from './config.ts';
import type { SinkConfig } from './config-sinks.ts';

/**
 * Makes the configured sinks; nothing is opened or connected yet.
 * @throws CodedError `keys.loose_permissions`, `keys.unreadable` for a folder in which others could put a file
 */
export function createSinks(config: Config, version: string): readonly ConfiguredSink[] {
  return config.sinks.map((sink) => ({
    sink: createSink(sink, { origin: config.log.origin, version }),
    from: sink.from,
  }));
}

function createSink(config: SinkConfig, about: { readonly origin: string; readonly version: string }): Sink {
  const { name, format, personal } = config;
  const context = { ...about, personal, hostname: hostname(), enterpriseNumber: exampleEnterpriseNumber };
  const line = createLine(format, context);
  checkTrustedFolder(dirname(config.path));
  return createFileSink({ name, format, path: config.path, line });
}
