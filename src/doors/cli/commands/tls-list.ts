import { withSession, type Result } from '../command.ts';
import { collectPages, moreNote } from '../pages.ts';
import { withProgress } from '../progress.ts';
import type { Terminal } from '../terminal.ts';
import { tlsJson, tlsTable } from './tls.ts';

export interface TlsListOptions {
  /** Days. */
  readonly expiring?: number;
  readonly person?: string;
  readonly live?: boolean;
  readonly limit: number;
}

/** Lists certificates for TLS: of everybody for admins and auditors, else one's own. */
export async function list(options: TlsListOptions, terminal: Terminal): Promise<Result> {
  return withSession(terminal, async ({ client }) => {
    const query = {
      person: options.person,
      live: options.live === true ? 'true' : undefined,
      endsWithinDays: options.expiring === undefined ? undefined : String(options.expiring),
    };
    const found = await withProgress(
      terminal,
      'Asking the broker',
      collectPages(options.limit, (after, limit) => client.listTls({ ...query, after, limit })),
    );
    const value = { certificates: found.items.map(tlsJson), more: found.more };
    const { expiring } = options;
    const none = expiring === undefined ? 'No certificates.' : `No certificate ends within ${expiring} days.`;
    if (found.items.length === 0) return { value, lines: [none] };
    return { value, lines: tlsTable(terminal, found.items), notes: moreNote(found) };
  });
}
