/** One LDAP server and how the connection to it is protected. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly security: 'ldaps' | 'starttls' | 'clear-text';
}

/** `ldaps://host:port`, for logs and people. */
export function nameOf(address: ServerAddress): string {
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${address.security === 'ldaps' ? 'ldaps' : 'ldap'}://${host}:${address.port}`;
}

/**
 * Reads `ldaps://host[:port]` or `ldap://host[:port]`: no path, user, query or anything else.
 * @returns undefined when the text is none of these; `scheme` says which it was.
 */
export function parseServerUrl(
  text: string,
): { readonly scheme: 'ldap' | 'ldaps'; readonly host: string; readonly port: number } | undefined {
  const match =
    /^(?<scheme>ldaps?):\/\/(?<host>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?<port>\d{1,5}))?\/?$/.exec(
      text,
    );
  const { scheme, host, port } = match?.groups ?? {};
  if (host === undefined || (scheme !== 'ldap' && scheme !== 'ldaps')) return undefined;
  const number = port === undefined ? (scheme === 'ldaps' ? 636 : 389) : Number(port);
  if (number < 1 || number > 65_535) return undefined;
  return { scheme, host: host.replaceAll(/[[\]]/g, ''), port: number };
}
