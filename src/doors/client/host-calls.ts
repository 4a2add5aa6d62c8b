import type { Answer } from './answer.ts';
import type { Asked } from './broker-client.ts';
import * as read from './contract-hosts.ts';
import type { ChangedHost, Host, HostToken, HostTokenRequest, ShownHost } from './contract-hosts.ts';

/** What an admin asks about hosts. */
export interface HostCalls {
  /** @returns with `token` the secret, which the broker says this once */
  newHostToken(asked: HostTokenRequest): Promise<HostToken & { readonly token: string }>;
  hostTokens(): Promise<readonly HostToken[]>;
  dropHostToken(asked: { readonly id: string; readonly reason?: string | undefined }): Promise<HostToken>;
  hosts(query: Readonly<Record<string, string | undefined>>): Promise<{
    readonly items: readonly Host[];
    readonly next: string | undefined;
  }>;
  host(host: string): Promise<ShownHost>;
  approveHost(asked: {
    readonly host: string;
    readonly fingerprint: string;
    readonly group: string;
    readonly names?: readonly string[] | undefined;
    readonly reason?: string | undefined;
  }): Promise<ChangedHost>;
  retireHost(asked: {
    readonly host: string;
    readonly reason: string;
    readonly apply: boolean;
  }): Promise<ChangedHost>;
  moveHost(asked: {
    readonly host: string;
    readonly group: string;
    readonly reason: string;
  }): Promise<ChangedHost>;
  resolveHost(asked: { readonly host: string; readonly reason: string }): Promise<ChangedHost>;
}

const tokenGrammar = /^[A-Za-z0-9_-]{16,128}$/;

/** The calls about hosts over `json`, which sends one question and reads its answer. */
export function hostCalls(json: (asked: Asked, what: string) => Promise<Answer>): HostCalls {
  const base = '/v1/admin/hosts';
  const tokens = `${base}/tokens`;
  const change = async (what: string, body: object): Promise<ChangedHost> =>
    read.readChangedHost(await json({ method: 'POST', path: `${base}/${what}`, body }, 'host'));
  return {
    newHostToken: async (asked) => {
      const answer = await json({ method: 'POST', path: tokens, body: asked }, 'token');
      return { ...read.readHostToken(answer), token: answer.token('token', tokenGrammar) };
    },
    hostTokens: async () => {
      const answer = await json({ method: 'GET', path: tokens }, 'list of tokens');
      return answer.objects('tokens', 1000).map(read.readHostToken);
    },
    dropHostToken: async (asked) =>
      read.readHostToken(await json({ method: 'POST', path: `${tokens}/drop`, body: asked }, 'token')),
    hosts: async (query) => {
      const answer = await json({ method: 'GET', path: base, query }, 'list of hosts');
      return {
        items: answer.objects('hosts', 1000).map(read.readHost),
        next: answer.optionalText('next', 64),
      };
    },
    host: async (host) =>
      read.readShownHost(await json({ method: 'GET', path: `${base}/one`, query: { host } }, 'host')),
    approveHost: (asked) => change('approve', asked),
    retireHost: (asked) => change('retire', asked),
    moveHost: (asked) => change('move', asked),
    resolveHost: (asked) => change('resolve', asked),
  };
}
