import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { name, namesDiffer, path } from './config-fields.ts';
import { url } from './config-sinks.ts';

const verdicts = [
  'unknown_serial',
  'mismatch',
  'revoked_used',
  'out_of_window',
  'principal_mismatch',
  'source_mismatch',
  'foreign_ca',
  'static_key',
  'password_or_other',
  'break_glass',
  'unreadable',
] as const;

const rule = z
  .strictObject({
    verdicts: z.array(z.enum(verdicts)).min(1),
    revoke: z.enum(['serial', 'key']).optional(),
    quarantine: name.optional(),
    live: z.boolean().default(false),
  })
  .refine(({ revoke, quarantine }) => revoke !== undefined || quarantine !== undefined, {
    message: '`revoke`, `quarantine` or both: alerts are sinks with `types: [login.unexplained]`',
  });

const command = z
  .array(z.string().min(1).max(1024))
  .min(1)
  .max(64)
  .refine(([program = '']) => isAbsolute(program), 'the program by its full path, then its arguments');

const quarantine = z.union([
  z.strictObject({ name, command }),
  z.strictObject({
    name,
    url,
    'ca-file': path.optional(),
    'secret-file': path,
    'authorization-file': path.optional(),
  }),
]);

/** What is done about logins that nothing explains. Nothing is, until somebody writes it here. */
export const responses = z
  .strictObject({
    rules: z.array(rule).max(32).default([]),
    quarantines: z.array(quarantine).max(8).superRefine(namesDiffer('quarantine')).default([]),
    'hosts-per-ten-minutes': z.number().int().min(1).max(1000).default(3),
    'fleet-percent': z.number().int().min(1).max(100).default(10),
  })
  .superRefine(({ rules, quarantines }, context) => {
    for (const [nth, { quarantine: wanted }] of rules.entries()) {
      if (wanted === undefined || quarantines.some((known) => known.name === wanted)) continue;
      const message = `no quarantine has the name “${wanted}”`;
      context.addIssue({ code: 'custom', path: ['rules', nth, 'quarantine'], message });
    }
  })
  .prefault({});

export type QuarantineConfig = z.output<typeof quarantine>;

/** The same quarantine with its paths made absolute by `full`. */
export function absoluteQuarantine(
  config: QuarantineConfig,
  full: (relative: string) => string,
): QuarantineConfig {
  if ('command' in config) return config;
  const { 'ca-file': caFile, 'authorization-file': authorizationFile } = config;
  return {
    ...config,
    'secret-file': full(config['secret-file']),
    ...(caFile === undefined ? {} : { 'ca-file': full(caFile) }),
    ...(authorizationFile === undefined ? {} : { 'authorization-file': full(authorizationFile) }),
  };
}
