import { basename } from 'node:path';
import { isScalar } from 'yaml';
import type { Node } from 'yaml';
import { isCodedError, parsePrincipal, printable } from '../kernel/index.ts';
import type { Principal } from '../kernel/index.ts';
import { didYouMean } from './did-you-mean.ts';
import type { DecisionStep } from './grant.ts';
import type { Networks } from './networks.ts';
import type { ExplicitPrincipal, Profile } from './policy.ts';
import { readDerivation, readNetworks, readWindow, formatDuration, parseDuration } from './read-settings.ts';
import { readWho } from './read-who.ts';
import type { ReadContext } from './read-who.ts';
import type { Fields } from './yaml-reader.ts';

const shortestSeconds = 5 * 60;
const longestSeconds = 24 * 3600;
const usualSeconds = 8 * 3600;
const maxSourceAddressChars = 4096;

/** Extensions that sshd knows (sshd(8), PROTOCOL.certkeys); any other costs a log line per login. */
const knownExtensions = [
  'no-touch-required',
  'permit-X11-forwarding',
  'permit-agent-forwarding',
  'permit-port-forwarding',
  'permit-pty',
  'permit-user-rc',
] as const;

const securityKeyTypes = ['sk-ssh-ed25519@openssh.com', 'sk-ecdsa-sha2-nistp256@openssh.com'] as const;
const keyTypes = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
  ...securityKeyTypes,
] as const;

const profileKeys = [
  'who',
  'principals',
  'lifetime',
  'extensions',
  'critical-options',
  'keys',
  'sources',
  'bind-source-address',
  'windows',
  'outlive-window',
  'reason',
  'require-witness',
];

/** Reads one profile; faults are reported, and what is returned then is never used. */
export function readProfile(context: ReadContext, name: string, keyNode: Node, node: Node): Profile {
  const { yaml, fileName } = context;
  if (!/^[a-z0-9][a-z0-9._-]{0,63}$/.test(name))
    yaml.problem(
      keyNode,
      `“${printable(name, 60)}” cannot be the name of a profile: use lower-case letters, digits, . _ and -`,
    );
  const fields = yaml.fields(node, `profiles.${printable(name, 60)}`, profileKeys);
  const line = yaml.lineOf(keyNode);
  const who = readWho(context, fields.require('who'), 'who', `profile ${name}`);
  const { explicit, derivations } = readPrincipals(context, fields.require('principals'));
  const options = readCriticalOptions(context, fields.get('critical-options'));
  const extensions = readExtensions(context, fields.get('extensions'));
  const windows = yaml
    .list(fields.get('windows'), 'windows')
    .flatMap((item) => readWindow(context, item) ?? []);
  const requireWitness = yaml.flag(fields.get('require-witness'), 'require-witness', false);
  const always: DecisionStep[] = [
    {
      part: 'extensions',
      outcome: extensions.size === 0 ? 'skipped' : 'given',
      because: extensions.size === 0 ? 'the profile gives none' : [...extensions.keys()].join(', '),
      line: lineOf(context, fields, 'extensions', line),
    },
    ...(requireWitness
      ? [
          {
            part: 'witness',
            outcome: 'given',
            because: 'handed out only when a quorum of witnesses has cosigned its entry',
            line: lineOf(context, fields, 'require-witness', line),
          } as const,
        ]
      : []),
    ...[...options.values].map(([option, value]): DecisionStep => ({
      part: `critical option ${option}`,
      outcome: 'given',
      because: value === '' ? 'always set by the profile' : `always set by the profile to ${value}`,
      line: lineOf(context, fields, 'critical-options', line),
    })),
  ];
  return {
    name,
    rule: `profiles.${name} (${basename(fileName)}:${line})`,
    line,
    who,
    explicit,
    explicitFolded: new Set(explicit.map(({ principal }) => principal.toLowerCase())),
    derivations,
    lifetime: readLifetime(context, fields, line),
    keys: readKeys(context, fields, line, options.values.has('verify-required')),
    sources: readNetworks(context, fields.get('sources'), 'sources'),
    sourceAddress: options.sourceAddress,
    bindSourceAddress: yaml.flag(fields.get('bind-source-address'), 'bind-source-address', false),
    windows,
    outliveWindow: yaml.flag(fields.get('outlive-window'), 'outlive-window', false),
    reasonRequired: yaml.oneOf(fields.get('reason'), 'reason', ['required', 'optional']) === 'required',
    reasonLine: lineOf(context, fields, 'reason', line),
    requireWitness,
    criticalOptions: options.values,
    extensions,
    always,
    notMember: {
      part: `profile ${name}`,
      outcome: 'skipped',
      because: 'this person is not among those it is for',
      line: yaml.lineOf(fields.get('who') ?? keyNode),
    },
  };
}

function lineOf(context: ReadContext, fields: Fields, key: string, otherwise: number): number {
  const node = fields.get(key);
  return node === undefined ? otherwise : context.yaml.lineOf(node);
}

function readPrincipals(
  context: ReadContext,
  node: Node | undefined,
): Pick<Profile, 'explicit' | 'derivations'> {
  if (node === undefined) return { explicit: [], derivations: [] };
  const { yaml } = context;
  const fields = yaml.fields(node, 'principals', ['explicit', 'from']);
  if (fields.isMapping && fields.get('explicit') === undefined && fields.get('from') === undefined)
    yaml.problem(node, 'principals names nothing: give “explicit” names, “from” attributes, or both');
  const explicit: ExplicitPrincipal[] = [];
  for (const item of yaml.list(fields.get('explicit'), 'explicit')) {
    const principal = readPrincipal(context, item);
    if (principal === undefined) continue;
    if (explicit.some((other) => other.principal === principal))
      yaml.problem(item, `“${principal}” is given twice`);
    const given = {
      part: `principal ${principal}`,
      outcome: 'given',
      because: 'named by the profile',
      line: yaml.lineOf(item),
    } as const;
    explicit.push({ principal, given });
  }
  if (explicit.length > 256) yaml.problem(node, 'a certificate carries at most 256 principals');
  const derivations = yaml
    .list(fields.get('from'), 'from')
    .flatMap((item) => readDerivation(context, item) ?? []);
  return { explicit, derivations };
}

/** Reads a name that must be a principal as it stands. */
export function readPrincipal({ yaml }: ReadContext, node: Node): Principal | undefined {
  const text = yaml.text(node, 'a principal');
  if (text === undefined) return undefined;
  try {
    return parsePrincipal(text);
  } catch (error) {
    if (!isCodedError(error, 'kernel.bad_principal')) throw error;
    return yaml.problem(node, `${error.message} ${error.next ?? ''}`);
  }
}

function readLifetime(context: ReadContext, profile: Fields, profileLine: number): Profile['lifetime'] {
  const { yaml } = context;
  const node = profile.get('lifetime');
  const fields = node === undefined ? undefined : yaml.fields(node, 'lifetime', ['default', 'max', 'min']);
  const read = (key: string): number | undefined => {
    const at = fields?.get(key);
    const text = yaml.text(at, `lifetime.${key}`);
    if (at === undefined || text === undefined) return undefined;
    const seconds = parseDuration(text);
    if (seconds === undefined)
      return yaml.problem(at, `“${printable(text, 20)}” is not a duration: write 8h, 30m or 1h30m`);
    if (seconds >= shortestSeconds && seconds <= longestSeconds) return seconds;
    return yaml.problem(
      at,
      `lifetime.${key} must be between ${formatDuration(shortestSeconds)} and ${formatDuration(longestSeconds)}`,
    );
  };
  const min = read('min');
  const max = read('max');
  const usual = read('default');
  const minSeconds = min ?? shortestSeconds;
  const defaultSeconds = usual ?? Math.min(Math.max(usualSeconds, minSeconds), max ?? longestSeconds);
  const maxSeconds = max ?? defaultSeconds;
  if (node !== undefined && defaultSeconds > maxSeconds)
    yaml.problem(node, 'lifetime.default is longer than lifetime.max');
  if (node !== undefined && minSeconds > defaultSeconds)
    yaml.problem(node, 'lifetime.min is longer than what is given by default');
  const line = node === undefined ? profileLine : yaml.lineOf(node);
  const because = `${formatDuration(defaultSeconds)} by default, at most ${formatDuration(maxSeconds)}`;
  return {
    minSeconds,
    defaultSeconds,
    maxSeconds,
    line,
    byDefault: { part: 'lifetime', outcome: 'given', because, line },
  };
}

function readKeys(
  context: ReadContext,
  profile: Fields,
  profileLine: number,
  verifyRequired: boolean,
): Profile['keys'] {
  const { yaml } = context;
  const node = profile.get('keys');
  const fields =
    node === undefined
      ? undefined
      : yaml.fields(node, 'keys', ['types', 'rsa-min-bits', 'require-security-key']);
  const listed = yaml
    .list(fields?.get('types'), 'types')
    .flatMap((item) => yaml.oneOf(item, 'a key type', keyTypes) ?? []);
  const asked = yaml.flag(fields?.get('require-security-key'), 'require-security-key', false);
  // sshd checks verify-required for sk keys only (auth2-pubkey.c): on a plain key it would promise what nobody enforces.
  const securityKeyRequired = asked || verifyRequired;
  const allowed: readonly string[] = fields?.get('types') === undefined ? keyTypes : listed;
  const types = new Set(
    securityKeyRequired ? allowed.filter((type) => securityKeyTypes.some((sk) => sk === type)) : allowed,
  );
  if (node !== undefined && types.size === 0 && listed.length > 0)
    yaml.problem(
      node,
      `keys.types holds no security key type (${securityKeyTypes.join(', ')}), yet the profile requires one`,
    );
  const bitsNode = fields?.get('rsa-min-bits');
  let rsaMinBits = 2048;
  if (bitsNode !== undefined) {
    const bits = isScalar(bitsNode) ? bitsNode.value : undefined;
    if (typeof bits === 'number' && Number.isInteger(bits) && bits >= 2048 && bits <= 16_384)
      rsaMinBits = bits;
    else yaml.problem(bitsNode, 'rsa-min-bits must be a number of bits between 2048 and 16384');
  }
  const line = node === undefined ? profileLine : yaml.lineOf(node);
  const given = new Map(
    [...types].map((type) => [
      type,
      { part: 'key', outcome: 'given', because: `${type} is allowed`, line } as const,
    ]),
  );
  return { types, rsaMinBits, securityKeyRequired, line, given };
}

function readExtensions(context: ReadContext, node: Node | undefined): ReadonlyMap<string, string> {
  const { yaml } = context;
  const extensions = new Map<string, string>();
  for (const item of yaml.list(node, 'extensions', true)) {
    const text = yaml.text(item, 'an extension');
    if (text === undefined) continue;
    if (!knownExtensions.some((known) => known === text))
      yaml.problem(
        item,
        `sshd knows no extension “${printable(text, 60)}”${didYouMean(text, knownExtensions) || `; it knows ${knownExtensions.join(', ')}`}`,
      );
    else if (extensions.has(text)) yaml.problem(item, `“${text}” is given twice`);
    else extensions.set(text, '');
  }
  return extensions;
}

function readCriticalOptions(
  context: ReadContext,
  node: Node | undefined,
): { readonly values: ReadonlyMap<string, string>; readonly sourceAddress: Networks | undefined } {
  const values = new Map<string, string>();
  if (node === undefined) return { values, sourceAddress: undefined };
  const { yaml } = context;
  const fields = yaml.fields(node, 'critical-options', [
    'force-command',
    'source-address',
    'verify-required',
  ]);
  const commandNode = fields.get('force-command');
  const command = yaml.text(commandNode, 'force-command');
  if (commandNode !== undefined && command !== undefined) {
    if (/\p{Cc}/u.test(command) || Buffer.byteLength(command) > 4096)
      yaml.problem(
        commandNode,
        'force-command must be one line of at most 4096 bytes, without control characters',
      );
    else values.set('force-command', command);
  }
  const sourceAddress = readNetworks(context, fields.get('source-address'), 'source-address');
  const addresses = sourceAddress?.list.map(({ text }) => text).join(',') ?? '';
  if (addresses.length > maxSourceAddressChars)
    yaml.problem(
      node,
      `source-address is longer than ${maxSourceAddressChars} characters; name fewer, larger networks`,
    );
  if (sourceAddress !== undefined) values.set('source-address', addresses);
  if (yaml.flag(fields.get('verify-required'), 'verify-required', false)) values.set('verify-required', '');
  return { values, sourceAddress };
}
