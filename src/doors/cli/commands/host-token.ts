import { toRfc3339 } from '../../../kernel/index.ts';
import type { HostToken } from '../../client/index.ts';
import type { Result } from '../command.ts';
import { withSession } from '../command.ts';
import { fieldLines, tableLines } from '../output.ts';
import { withProgress } from '../progress.ts';
import { usage } from '../report.ts';
import type { Terminal } from '../terminal.ts';
import { formatShort, formatWhen, zoneOf } from '../times.ts';

export interface NewTokenOptions {
  readonly name: readonly string[];
  readonly address?: readonly string[];
  readonly group: string;
  readonly uses: number;
  readonly for: string;
  readonly reason?: string;
}

/** Makes a token and shows it: this once, and nowhere else. */
export async function newToken(options: NewTokenOptions, terminal: Terminal): Promise<Result> {
  const asked = {
    names: options.name,
    addresses: options.address ?? [],
    group: options.group,
    maxUses: options.uses,
    lifeSeconds: secondsOf(options.for),
    reason: options.reason,
  };
  return withSession(terminal, async ({ client, origin }) => {
    const made = await withProgress(terminal, 'Asking the broker', client.newHostToken(asked));
    const { token } = made;
    return {
      value: { ...tokenJson(made), token },
      lines: [
        { text: token, tone: 'strong' },
        ...fieldLines(terminal.stdout, [
          ['id', made.id],
          ['names', made.names.join(', ')],
          ['addresses', made.addresses.join(', ')],
          ['group', made.group],
          ['good for', `${made.maxUses} ${made.maxUses === 1 ? 'host' : 'hosts'}`],
          ['until', formatWhen(made.expiresAtMs, terminal.clock.nowMs())],
        ]),
      ],
      notes: [
        'On the host, as root, with the certificate of the authority that vouches for the broker:',
        `  curl --cacert ca.pem ${origin}/v1/hosts/enrol.sh | sh -s -- --token ${token}`,
        { text: 'The token is not shown again. Keep it like a password until it is used.', tone: 'warning' },
      ],
    };
  });
}

/** The newest first, at most a thousand. */
export async function listTokens(terminal: Terminal): Promise<Result> {
  return withSession(terminal, async ({ client }) => {
    const tokens = await withProgress(terminal, 'Asking the broker', client.hostTokens());
    const value = { tokens: tokens.map(tokenJson) };
    if (tokens.length === 0) return { value, lines: ['No tokens.'] };
    const rows = tokens.map((token) => [
      token.id,
      token.group,
      token.names.join(','),
      `${token.used}/${token.maxUses}`,
      formatShort(token.expiresAtMs),
      token.createdBy,
      token.state.replace('_', ' '),
    ]);
    const until = `UNTIL (${zoneOf(terminal.clock.nowMs())})`;
    const heads = ['ID', 'GROUP', 'NAMES', 'USED', until, 'BY', 'STATE'];
    return { value, lines: tableLines(terminal.stdout, heads, rows, { gives: 2 }) };
  });
}

export async function dropToken(
  id: string,
  options: { readonly reason?: string },
  terminal: Terminal,
): Promise<Result> {
  return withSession(terminal, async ({ client }) => {
    const asked = { id, reason: options.reason };
    const dropped = await withProgress(terminal, 'Asking the broker', client.dropHostToken(asked));
    return {
      value: tokenJson(dropped),
      lines: [{ text: `${dropped.id} enrols nobody any more; it enrolled ${dropped.used}.`, tone: 'good' }],
    };
  });
}

function tokenJson({ createdAtMs, expiresAtMs, ...token }: HostToken): Record<string, unknown> {
  const { id, group, names, addresses, maxUses, used, createdBy, state } = token;
  const times = { createdAt: toRfc3339(createdAtMs), expiresAt: toRfc3339(expiresAtMs) };
  return { id, group, names, addresses, maxUses, used, ...times, createdBy, state };
}

/** @throws CodedError `cli.usage` */
function secondsOf(text: string): number {
  const [, count, unit = ''] = /^([1-9]\d{0,5})([smhd])$/.exec(text) ?? [];
  const unitSeconds = { s: 1, m: 60, h: 3600, d: 86_400 }[unit];
  if (unitSeconds !== undefined) return Number(count) * unitSeconds;
  throw usage('--for is not a duration.', 'Write it like 30m, 2h or 30d.');
}
