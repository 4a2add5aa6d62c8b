import type { Answer } from './answer.ts';
import type { Asked } from './broker-client.ts';
import { readHostToken, type HostToken, type HostTokenRequest } from './contract-hosts.ts';

/** What an admin asks about hosts. */
export interface HostCalls {
  /** @returns with `token` the secret, which the broker says this once */
  newHostToken(asked: HostTokenRequest): Promise<HostToken & { readonly token: string }>;
  hostTokens(): Promise<readonly HostToken[]>;
  dropHostToken(asked: { readonly id: string; readonly reason?: string | undefined }): Promise<HostToken>;
}

const tokenGrammar = /^[A-Za-z0-9_-]{16,128}$/;

/** The calls about hosts over `json`, which sends one question and reads its answer. */
export function hostCalls(json: (asked: Asked, what: string) => Promise<Answer>): HostCalls {
  const tokens = '/v1/admin/hosts/tokens';
  return {
    newHostToken: async (asked) => {
      const answer = await json({ method: 'POST', path: tokens, body: asked }, 'token');
      return { ...readHostToken(answer), token: answer.token('token', tokenGrammar) };
    },
    hostTokens: async () => {
      const answer = await json({ method: 'GET', path: tokens }, 'list of tokens');
      return answer.objects('tokens', 1000).map(readHostToken);
    },
    dropHostToken: async (asked) =>
      readHostToken(await json({ method: 'POST', path: `${tokens}/drop`, body: asked }, 'token')),
  };
}
