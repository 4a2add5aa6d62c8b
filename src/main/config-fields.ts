import { z } from 'zod';

export const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, '1 to 32 lower-case letters, digits and hyphens');
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
