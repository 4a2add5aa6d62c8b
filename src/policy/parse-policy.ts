import { CodedError, sha256 } from '../kernel/index.ts';
import type { DirectoryKind } from '../identity/index.ts';
import type { Policy, Profile } from './policy.ts';
import { readHostGroups } from './read-host-group.ts';
import { readPrincipal, readProfile } from './read-profile.ts';
import { readTlsProfile } from './read-tls-profile.ts';
import { readWho } from './read-who.ts';
import type { ReadContext } from './read-who.ts';
import { YamlReader } from './yaml-reader.ts';

const alwaysProtected = ['root', 'QSECOFR', 'Administrator'];

export interface ParsePolicyOptions {
  /**
   * Kinds of the configured directories by name. With it, names of directories that do not exist are refused. Without it,
   * only the directory named `builtin` has groups without a DN or SID.
   */
  readonly directories?: ReadonlyMap<string, DirectoryKind>;
}

/**
 * Reads a policy file whole, or refuses it whole. `source` is the text or, better, the bytes of the file (UTF-8, at most
 * 1 MiB); `fileName` is what messages call it.
 * @throws CodedError `policy.invalid`: every problem at once, a line each, as `file:line:col: …`.
 */
export function parsePolicy(
  source: string | Uint8Array,
  fileName: string,
  options: ParsePolicyOptions = {},
): Policy {
  const yaml = new YamlReader(fileName);
  const context: ReadContext = { yaml, fileName, directories: options.directories, attributes: new Set() };
  const root = yaml.parse(typeof source === 'string' ? source : decodeText(source, fileName));
  const policy = root === undefined ? undefined : readPolicy(context, root, sha256(source).toString('hex'));
  yaml.finish();
  if (policy === undefined) throw new CodedError('policy.invalid', `${fileName} could not be read.`);
  return policy;
}

function readPolicy(
  context: ReadContext,
  root: Parameters<YamlReader['fields']>[0],
  policyVersion: string,
): Policy {
  const { yaml, fileName } = context;
  const fields = yaml.fields(root, 'the policy', [
    'version',
    'roles',
    'protected-principals',
    'profiles',
    'host-groups',
    'tls-profiles',
  ]);
  const version = fields.require('version');
  if (version !== undefined && yaml.text(version, 'version') !== '1')
    yaml.problem(version, 'this version of the file is not known: write version: 1');
  const rolesNode = fields.get('roles');
  const roles = rolesNode === undefined ? undefined : yaml.fields(rolesNode, 'roles', ['admin', 'auditor']);
  const protectedPrincipals = new Set(alwaysProtected.map((name) => name.toLowerCase()));
  for (const item of yaml.list(fields.get('protected-principals'), 'protected-principals', true)) {
    const principal = readPrincipal(context, item);
    if (principal !== undefined) protectedPrincipals.add(principal.toLowerCase());
  }
  const profilesNode = fields.require('profiles');
  const profiles: Profile[] = [];
  for (const { key, keyNode, value } of profilesNode === undefined
    ? []
    : yaml.entries(profilesNode, 'profiles'))
    profiles.push(readProfile(context, key, keyNode, value));
  const tlsNode = fields.get('tls-profiles');
  const tlsProfiles = (tlsNode === undefined ? [] : yaml.entries(tlsNode, 'tls-profiles')).map(
    ({ key, keyNode, value }) => readTlsProfile(context, key, keyNode, value),
  );
  const sharedPrincipals = new Map<string, Profile[]>();
  for (const profile of profiles)
    for (const name of profile.explicitFolded)
      sharedPrincipals.set(name, [...(sharedPrincipals.get(name) ?? []), profile]);
  return {
    fileName,
    policyVersion,
    admin: readWho(context, roles?.get('admin'), 'roles.admin', 'role admin'),
    auditor: readWho(context, roles?.get('auditor'), 'roles.auditor', 'role auditor'),
    protectedPrincipals,
    profiles,
    profileByName: new Map(profiles.map((profile) => [profile.name, profile])),
    tlsProfiles: new Map(tlsProfiles.map((profile) => [profile.name, profile])),
    sharedPrincipals,
    hostGroups: readHostGroups(context, fields.get('host-groups')),
    attributes: context.attributes,
  };
}

function decodeText(bytes: Uint8Array, fileName: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new CodedError(
      'policy.invalid',
      `The policy is not valid:\n${fileName}:1:1: the file is not UTF-8 text`,
      {
        next: 'Save the file as UTF-8; the policy in force stays as it was.',
        cause: error,
      },
    );
  }
}
