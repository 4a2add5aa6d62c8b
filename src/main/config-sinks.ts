import { z } from 'zod';
import { name, namesDiffer, path } from './config-fields.ts';

const common = {
  name,
  personal: z.enum(['include', 'omit']).default('omit'),
  from: z.enum(['start', 'now']).default('start'),
};
const format = z.enum(['rfc5424', 'cef', 'ocsf', 'json']);

const sink = z.discriminatedUnion('kind', [
  z.strictObject({ ...common, kind: z.literal('file'), format, path }),
]);

/** Where copies of the log go. */
export const sinks = z.array(sink).max(16).superRefine(namesDiffer('sink')).default([]);

export type SinkConfig = z.output<typeof sink>;

/** The same sink with its paths made absolute by `full`. */
export function absoluteSink(config: SinkConfig, full: (relative: string) => string): SinkConfig {
  return { ...config, path: full(config.path) };
}
