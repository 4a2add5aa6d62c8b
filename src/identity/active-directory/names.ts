/** One of the three ways to write who you are in a domain. */
export type DomainLogin =
  | { readonly form: 'account'; readonly account: string }
  | {
      readonly form: 'principal';
      readonly principal: string;
      readonly account: string;
      readonly suffix: string;
    };

export interface DomainNames {
  /** Lower case. */
  readonly domain: string;
  /** Lower case. */
  readonly netbiosName: string | undefined;
  /** Lower case, `domain` included. */
  readonly suffixes: ReadonlySet<string>;
}

/**
 * Reads `alice`, `alice@suffix` or `DOMAIN\alice` (`domain.dns.name\alice` as well).
 * @returns undefined when the name belongs to another domain, or has more than one backslash or an empty part.
 */
export function parseDomainLogin(login: string, names: DomainNames): DomainLogin | undefined {
  const [first = '', account, ...more] = login.split('\\');
  if (more.length > 0) return undefined;
  if (account !== undefined) {
    const ours = [names.domain, names.netbiosName].includes(first.toLowerCase());
    return ours && isAccount(account) && !account.includes('@') ? { form: 'account', account } : undefined;
  }
  const at = login.lastIndexOf('@');
  if (at < 0) return isAccount(login) ? { form: 'account', account: login } : undefined;
  const suffix = login.slice(at + 1).toLowerCase();
  if (!isAccount(login.slice(0, at)) || !names.suffixes.has(suffix)) return undefined;
  return { form: 'principal', principal: login, account: login.slice(0, at), suffix };
}

/** Spaces around a whole login are gone by now (`createIdentity`); inside `DOMAIN\\ name` they make a name that nobody has. */
function isAccount(text: string): boolean {
  return text !== '' && text.trim() === text;
}
