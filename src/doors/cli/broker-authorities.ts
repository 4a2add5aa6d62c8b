import { X509Certificate } from 'node:crypto';
import { withBroker } from './command.ts';
import { withProgress } from './progress.ts';
import type { Terminal } from './terminal.ts';

/** The authorities by which the broker's certificates for servers are trusted, the root first. It needs no session. */
export async function brokerAuthorities(terminal: Terminal): Promise<readonly X509Certificate[]> {
  const { root, authorities } = await withBroker(terminal, ({ client }) =>
    withProgress(terminal, 'Asking the broker', client.tlsAuthorities()),
  );
  const issuing = authorities.filter(({ kind }) => kind === 'issuing');
  return [root, ...issuing.map(({ certificate }) => certificate)].map((pem) => new X509Certificate(pem));
}
