import {
  createActiveDirectory,
  createBuiltInDirectory,
  createLdapDirectory,
  type ConnectionConfig,
  type Directory,
} from '../identity/index.ts';
import { isCodedError, type Clock } from '../kernel/index.ts';
import { readPrivateLine } from '../keys/index.ts';
import type { DirectoryConfig } from './config.ts';
import { readConfigured } from './read-configured.ts';

/** Told after each answer of a directory. */
export type ObserveDirectory = (
  directory: string,
  operation: string,
  outcome: string,
  seconds: number,
) => void;

/**
 * Makes one configured directory, asked for the attributes that policy reads besides its own.
 * @throws CodedError `identity.bad_directory_config`, as `readConfigured` for its CA file, `keys.…` for its password file
 */
export function createDirectory(
  config: DirectoryConfig,
  options: {
    readonly clock: Clock;
    readonly policyAttributes: readonly string[];
    readonly observe: ObserveDirectory;
  },
): Directory {
  return observed(construct(config, options), options.observe);
}

function construct(
  config: DirectoryConfig,
  options: { clock: Clock; policyAttributes: readonly string[] },
): Directory {
  const { clock, policyAttributes } = options;
  switch (config.kind) {
    case 'built-in':
      return createBuiltInDirectory({ name: config.name, file: config.file, clock });
    case 'ldap':
      return createLdapDirectory(
        defined({
          ...connectionOf(config),
          name: config.name,
          servers: config.servers,
          peopleBaseDns: config.people,
          groupBaseDns: config.groups,
          loginAttribute: config['login-attribute'],
          loginForm: config['login-form'],
          idAttribute: config['id-attribute'],
          displayNameAttribute: config['display-name-attribute'],
          dnTemplate: config['dn-template'],
          groupStyles: config['group-styles'],
          groupFilter: config['group-filter'],
          nestedGroups: config['nested-groups'],
          maxGroupDepth: config['max-group-depth'],
          maxGroups: config['max-groups'],
          passwordPolicyDn: config['password-policy-dn'],
          userFilter: config['user-filter'],
          attributes: union(config.attributes, policyAttributes),
        }),
        { clock },
      );
    case 'active-directory':
      return createActiveDirectory(
        defined({
          ...connectionOf(config),
          name: config.name,
          domain: config.domain,
          netbiosName: config['netbios-name'],
          upnSuffixes: config['upn-suffixes'],
          servers: config.servers,
          dnsServers: config['dns-servers'],
          peopleBaseDns: config.people,
          userFilter: config['user-filter'],
          attributes: union(config.attributes, policyAttributes),
        }),
        { clock },
      );
  }
}

function connectionOf(config: Exclude<DirectoryConfig, { kind: 'built-in' }>): ConnectionConfig {
  const { service } = config;
  return defined({
    tls: config.tls,
    caPem:
      config['ca-file'] === undefined
        ? undefined
        : readConfigured(config['ca-file'], 'The CA file', '`ca-file` of the directory').toString('utf8'),
    service: service && {
      dn: service.dn,
      password: readPrivateLine(service['password-file'], 'The password file'),
    },
    connectTimeoutMs: config['connect-timeout-ms'],
    requestTimeoutMs: config['request-timeout-ms'],
    maxConnections: config['max-connections'],
    maxWaiting: config['max-waiting'],
  });
}

function union(own: readonly string[] | undefined, more: readonly string[]): readonly string[] {
  const names = new Map([...(own ?? []), ...more].map((attribute) => [attribute.toLowerCase(), attribute]));
  return [...names.values()];
}

type Defined<T> = { [Key in keyof T]: Exclude<T[Key], undefined> };

function defined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Defined<T>;
}

/** The same directory, with every answer timed. */
function observed(directory: Directory, observe: ObserveDirectory): Directory {
  const timed = async <Result>(
    operation: string,
    work: () => Promise<Result>,
    outcomeOf: (result: Result) => string,
  ): Promise<Result> => {
    const startedMs = performance.now();
    const tell = (outcome: string): void =>
      observe(directory.name, operation, outcome, (performance.now() - startedMs) / 1000);
    try {
      const result = await work();
      tell(outcomeOf(result));
      return result;
    } catch (error) {
      tell(isCodedError(error) ? error.code : 'fault');
      throw error;
    }
  };
  return {
    name: directory.name,
    kind: directory.kind,
    recognises: (login) => directory.recognises(login),
    authenticate: (...asked) =>
      timed(
        'authenticate',
        () => directory.authenticate(...asked),
        ({ outcome }) => outcome,
      ),
    recheck(id) {
      const recheck = (): ReturnType<Directory['recheck']> => directory.recheck(id);
      // A built-in directory answers from memory, for every certificate: timing it would cost more than it takes.
      return directory.kind === 'built-in' ? recheck() : timed('recheck', recheck, ({ outcome }) => outcome);
    },
    standing(id) {
      const standing = (): ReturnType<Directory['standing']> => directory.standing(id);
      return directory.kind === 'built-in'
        ? standing()
        : timed('standing', standing, ({ outcome }) => outcome);
    },
    watch: (method) => directory.watch(method),
    find: (...asked) =>
      timed(
        'find',
        () => directory.find(...asked),
        (found) => (found === undefined ? 'unknown' : 'found'),
      ),
    health: () => directory.health(),
    close: () => directory.close(),
  };
}
