import type { Page } from '../client/index.ts';
import type { Line } from './output.ts';

const pageSize = 500;

/** Asks for the page after the item that an earlier page named as `next`. */
type AskPage<Item> = (after: string | undefined, limit: string) => Promise<Page<Item>>;

interface Collected<Item> {
  readonly items: readonly Item[];
  /** Whether there are others that `limit` left out. */
  readonly more: boolean;
}

/** Follows `next` until there is none or `limit` items are there. */
export async function collectPages<Item>(limit: number, ask: AskPage<Item>): Promise<Collected<Item>> {
  const items: Item[] = [];
  let after: string | undefined;
  do {
    const page = await ask(after, String(Math.min(pageSize, limit - items.length)));
    items.push(...page.items);
    // A page that brings nothing but promises more would go on for ever.
    after = page.items.length === 0 ? undefined : page.next;
  } while (after !== undefined && items.length < limit);
  return { items: items.slice(0, limit), more: after !== undefined || items.length > limit };
}

/** The line that says that a list was cut; none when it was not. */
export function moreNote(found: {
  readonly items: readonly unknown[];
  readonly more: boolean;
}): readonly Line[] {
  return found.more
    ? [
        {
          text: `note: there are more than these ${found.items.length}; --limit N shows more.`,
          tone: 'warning',
        },
      ]
    : [];
}
