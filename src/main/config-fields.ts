import { z } from 'zod';

export const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, '1 to 32 lower-case letters, digits and hyphens');
/** `30m` and the like, as milliseconds. */
export const duration = z
  .string()
  .regex(/^\d{1,4}[smhd]$/, 'a duration such as 30m or 12h')
  .transform(
    (value) =>
      Number(value.slice(0, -1)) * ({ s: 1, m: 60, h: 3600, d: 86_400 }[value.slice(-1)] ?? 0) * 1000,
  );
export const path = z.string().min(1).max(4096);

/** Refuses a list in which two have the same name. @param thing what they are, e.g. `directory` */
export function namesDiffer(
  thing: string,
): (items: readonly { readonly name: string }[], context: z.RefinementCtx) => void {
  return (items, context) => {
    const seen = new Set<string>();
    for (const [nth, { name: taken }] of items.entries()) {
      if (seen.has(taken))
        context.addIssue({
          code: 'custom',
          path: [nth, 'name'],
          message: `a second ${thing} called ${taken}`,
        });
      seen.add(taken);
    }
  };
}
