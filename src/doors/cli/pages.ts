import type { Page } from '../client/index.ts';
import type { Line } from './output.ts';

const pageSize = 500;
/** The most that the broker gives at once. */
const largestPage = 1000;

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

/**
 * The last `limit` items of a list that can only be walked from its beginning, the last one first: every page is asked for, and
 * each is a question to the broker.
 */
export async function collectLast<Item>(limit: number, ask: AskPage<Item>): Promise<Collected<Item>> {
  let items: Item[] = [];
  let more = false;
  let after: string | undefined;
  do {
    const page = await ask(after, String(largestPage));
    items = [...items, ...page.items];
    more ||= items.length > limit;
    items = items.slice(-limit);
    after = page.items.length === 0 ? undefined : page.next;
  } while (after !== undefined);
  return { items: items.toReversed(), more };
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
