import { z } from 'zod';
import { duration } from './config-fields.ts';

const between = (least: number, most: number, what: string) =>
  duration.refine((timeMs) => timeMs >= least && timeMs <= most, what);

/** How departures are followed; docs/operations/departures.md describes every field. */
export const departures = z
  .strictObject({
    follow: z.boolean().default(true),
    look: between(1000, 3_600_000, 'between 1s and 1h').default(2000),
    sweep: between(10_000, 86_400_000, 'between 10s and 24h').default(600_000),
    grace: between(0, 86_400_000, 'at most 24h').default(0),
    'most-people': z.number().int().min(0).max(1_000_000).default(20),
    'most-percent': z.number().int().min(0).max(100).default(20),
    window: between(60_000, 86_400_000, 'between 1m and 24h').default(600_000),
  })
  .prefault({});

export type DeparturesConfig = z.output<typeof departures>;
