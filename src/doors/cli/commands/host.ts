import { toRfc3339 } from '../../../kernel/index.ts';
import type { ChangedHost, Host, HostCertificate, ShownHost } from '../../client/index.ts';
import type { Result } from '../command.ts';
import { withSession } from '../command.ts';
import type { Line } from '../output.ts';
import { fieldLines, tableLines } from '../output.ts';
import { collectPages, moreNote } from '../pages.ts';
import { withProgress } from '../progress.ts';
import type { Terminal } from '../terminal.ts';
import { formatShort, formatWhen, zoneOf } from '../times.ts';

export interface ListHostsOptions {
  readonly state?: string;
  readonly group?: string;
  readonly limit: number;
}

/** Lists hosts with the bundle each has, and what is wrong there. */
export async function listHosts(options: ListHostsOptions, terminal: Terminal): Promise<Result> {
  return withSession(terminal, async ({ client }) => {
    const { state, group } = options;
    const found = await withProgress(
      terminal,
      'Asking the broker',
      collectPages(options.limit, (after, limit) => client.hosts({ state, group, after, limit })),
    );
    const value = { hosts: found.items.map(hostJson), more: found.more };
    if (found.items.length === 0) return { value, lines: ['No hosts.'] };
    const contact = `CONTACT (${zoneOf(terminal.clock.nowMs())})`;
    const rows = found.items.map((host) => [
      host.names[0] ?? host.id,
      host.group,
      host.state,
      bundleWords(host),
      checkWords(host),
      host.contact === undefined ? 'never' : formatShort(host.contact.atMs),
      host.contact?.lastLoginAtMs === undefined ? '' : formatShort(host.contact.lastLoginAtMs),
      host.id,
    ]);
    const heads = ['HOST', 'GROUP', 'STATE', 'BUNDLE', 'CHECK', contact, 'LAST LOGIN', 'ID'];
    const waiting = found.items.filter((host) => host.state === 'pending').length;
    const torn = found.items.filter((host) => host.state === 'conflict').length;
    const notes: Line[] = [
      ...moreNote(found),
      ...(waiting === 0
        ? []
        : [`note: ${counted(waiting, 'host waits', 'hosts wait')} for \`sallyport host approve\`.`]),
      ...(torn === 0
        ? []
        : [
            {
              text: `note: ${counted(torn, 'host is', 'hosts are')} refused because two machines present one key: \`sallyport host show\` says which.`,
              tone: 'warning' as const,
            },
          ]),
    ];
    return { value, lines: tableLines(terminal.stdout, heads, rows, { gives: 0 }), notes };
  });
}

/** One host, whole. */
export async function showHost(name: string, terminal: Terminal): Promise<Result> {
  return withSession(terminal, async ({ client }) => {
    const host = await withProgress(terminal, 'Asking the broker', client.host(name));
    const nowMs = terminal.clock.nowMs();
    const { contact } = host;
    return {
      value: {
        ...hostJson(host),
        certificates: host.certificates.map(certificateJson),
        current: host.current,
      },
      lines: [
        { text: host.names[0] ?? host.id, tone: 'strong' },
        ...fieldLines(terminal.stdout, [
          ['id', host.id],
          ['state', host.state],
          ['why', host.conflict],
          ['group', host.group],
          ['names', host.names.join(', ')],
          ['addresses', host.addresses.join(', ')],
          ['fingerprint', host.fingerprint],
          ['host keys', host.hostKeys.join(' ')],
          ['platform', host.platform],
          ['sshd', contact?.sshd],
          ['bundle', `${bundleWords(host)}; the broker has ${host.current}`],
          ['sshd check', checkWords(host)],
          ['last contact', contact === undefined ? 'never' : formatWhen(contact.atMs, nowMs)],
          [
            'last login',
            contact?.lastLoginAtMs === undefined ? undefined : formatWhen(contact.lastLoginAtMs, nowMs),
          ],
        ]),
        ...certificateTable(terminal, host.certificates),
      ],
      notes:
        host.state === 'pending'
          ? [
              'note: compare the fingerprint with what the host itself shows, then:',
              `  sallyport host approve ${host.id} --fingerprint SHA256:…`,
            ]
          : [],
    };
  });
}

export interface ApproveOptions {
  readonly fingerprint: string;
  readonly group: string;
  readonly name?: readonly string[];
  readonly reason?: string;
}

/** Lets a host in that waits. */
export async function approveHost(
  name: string,
  options: ApproveOptions,
  terminal: Terminal,
): Promise<Result> {
  const { fingerprint, group, name: names, reason } = options;
  return withSession(terminal, async ({ client }) => {
    const asked = { host: name, fingerprint, group, names, reason };
    const changed = await withProgress(terminal, 'Asking the broker', client.approveHost(asked));
    return {
      value: changedJson(changed),
      lines: [
        { text: `${nameOf(changed)} is let in; it gets its certificates when it asks again.`, tone: 'good' },
      ],
    };
  });
}

export interface RetireOptions {
  readonly reason: string;
  readonly yes?: boolean;
}

/** Ends a host, or shows what that would hit: without `--yes` nothing changes. */
export async function retireHost(name: string, options: RetireOptions, terminal: Terminal): Promise<Result> {
  const apply = options.yes === true;
  return withSession(terminal, async ({ client }) => {
    const asked = { host: name, reason: options.reason, apply };
    const changed = await withProgress(terminal, 'Asking the broker', client.retireHost(asked));
    const hits = counted(changed.certificates.length, 'certificate', 'certificates');
    const value = changedJson(changed);
    if (!apply) {
      return {
        value,
        lines: [
          { text: `This would retire ${nameOf(changed)} and revoke ${hits}.`, tone: 'strong' },
          ...certificateTable(terminal, changed.certificates),
        ],
        notes: [{ text: 'Nothing was changed. Say it again with --yes to do it.', tone: 'warning' }],
      };
    }
    return {
      value,
      lines: [{ text: `Retired ${nameOf(changed)} and revoked ${hits}.`, tone: 'good' }],
      notes: ['note: sshd on it still trusts the bundle it has; `sallyport-host uninstall` there ends that.'],
    };
  });
}

export interface MoveOptions {
  readonly group: string;
  readonly reason: string;
}

/** A host goes over to another group. */
export async function moveHost(name: string, options: MoveOptions, terminal: Terminal): Promise<Result> {
  const { group, reason } = options;
  return withSession(terminal, async ({ client }) => {
    const moved = client.moveHost({ host: name, group, reason });
    const changed = await withProgress(terminal, 'Asking the broker', moved);
    return {
      value: changedJson(changed),
      lines: [
        {
          text: `${nameOf(changed)} is in the group ${group} now; its new bundle waits for it.`,
          tone: 'good',
        },
      ],
    };
  });
}

/** Of two machines that present one key, this one is right. */
export async function resolveHost(
  name: string,
  options: { readonly reason: string },
  terminal: Terminal,
): Promise<Result> {
  return withSession(terminal, async ({ client }) => {
    const asked = { host: name, reason: options.reason };
    const changed = await withProgress(terminal, 'Asking the broker', client.resolveHost(asked));
    const other = changed.retired === undefined ? '' : ` ${changed.retired} was retired.`;
    return {
      value: changedJson(changed),
      lines: [{ text: `${nameOf(changed)} goes on.${other}`, tone: 'good' }],
    };
  });
}

function bundleWords({ contact, behind, freshness }: Host): string {
  if (contact === undefined || freshness === 'never') return 'none';
  const lag = behind === undefined || behind === '0' ? '' : `, ${behind} behind`;
  return `${contact.installed}${lag}${freshness === 'stale' ? ', STALE' : ''}`;
}

function checkWords({ contact }: Host): string {
  return contact === undefined || contact.checks.length === 0 ? '' : contact.checks.join(' ');
}

function certificateTable(terminal: Terminal, certificates: readonly HostCertificate[]): readonly Line[] {
  if (certificates.length === 0) return [];
  return tableLines(
    terminal.stdout,
    ['SERIAL', 'KEY', 'NAMES', `UNTIL (${zoneOf(terminal.clock.nowMs())})`],
    certificates.map((one) => [
      one.serial,
      one.keyType,
      one.principals.join(','),
      formatShort(one.validBeforeMs),
    ]),
    { gives: 2 },
  );
}

function nameOf({ host, name }: ChangedHost): string {
  return name === undefined ? host : `${name} (${host})`;
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

function hostJson(host: Host | ShownHost): Record<string, unknown> {
  const { createdAtMs, contact, id, group, state, names, addresses, fingerprint, hostKeys } = host;
  const { platform, conflict, freshness, behind } = host;
  return {
    id,
    group,
    state,
    names,
    addresses,
    fingerprint,
    hostKeys,
    platform,
    conflict,
    freshness,
    behind,
    createdAt: toRfc3339(createdAtMs),
    ...(contact === undefined
      ? {}
      : {
          contact: {
            at: toRfc3339(contact.atMs),
            installed: contact.installed,
            installedSince: toRfc3339(contact.installedSinceMs),
            checks: contact.checks,
            sshd: contact.sshd,
            ...(contact.lastLoginAtMs === undefined ? {} : { lastLoginAt: toRfc3339(contact.lastLoginAtMs) }),
          },
        }),
  };
}

function certificateJson({ validBeforeMs, ...rest }: HostCertificate): Record<string, unknown> {
  return { ...rest, validBefore: toRfc3339(validBeforeMs) };
}

function changedJson({ certificates, ...rest }: ChangedHost): Record<string, unknown> {
  return { ...rest, certificates: certificates.map(certificateJson) };
}
