import type { Person } from '../../src/identity/index.ts';
import type { OwnerOf, UserCertificateRequest, UserGrant } from '../../src/policy/index.ts';
import { types, type ProfileModel } from './policy-models.ts';

function transform(text: string, names: readonly string[]): string {
  let name = text;
  for (const kind of names) {
    if (kind === 'lower') name = name.toLowerCase();
    else if (kind === 'upper') name = name.toUpperCase();
    else if (kind === 'strip-domain') name = name.replace(/^.*\\/, '').replace(/@.*$/, '');
    else name = name.slice(0, Number(/\d+/.exec(kind)?.[0]));
  }
  return name;
}

export interface Asked {
  readonly models: readonly ProfileModel[];
  readonly asker: Person;
  readonly asked: UserCertificateRequest;
  readonly ownerOf: OwnerOf;
}

/** Everything that must hold of a grant, read from the model and not from the compiled policy. @returns what does not hold. */
export function faultsOf(grant: UserGrant, { models, asker, asked, ownerOf }: Asked): string[] {
  const model = models[Number(grant.profile.slice(1))];
  if (model === undefined) return ['no such profile'];
  const nowSeconds = BigInt(Math.floor(asked.atMs / 1000));
  const ttlSeconds = Number(grant.validBefore - nowSeconds);
  const derived = model.from.flatMap(({ attribute, transforms: names }) =>
    (asker.attributes.get(attribute) ?? []).map((text) => transform(text, names)),
  );
  const shared = new Set(models.flatMap(({ explicit }) => explicit.map((name) => name.toLowerCase())));
  const named = new Set(model.explicit.map((name) => name.toLowerCase()));
  const { key } = asked;
  const source = grant.criticalOptions.get('source-address');
  const expectedOptions = [
    ...(model.forceCommand === undefined ? [] : ['force-command']),
    ...(model.sourceAddress || model.bind ? ['source-address'] : []),
    ...(model.verifyRequired ? ['verify-required'] : []),
  ];
  const weekday = new Date(asked.atMs).getUTCDay();
  const hour = new Date(asked.atMs).getUTCHours();
  const closesSeconds = Date.UTC(2027, 0, new Date(asked.atMs).getUTCDate(), 20) / 1000;
  const holds: Readonly<Record<string, boolean>> = {
    'the person is a member': asker.groups.some(({ name }) => model.groups.includes(name ?? '')),
    'the profile is the one asked for': asked.profile === undefined || asked.profile === grant.profile,
    'one principal at least': grant.principals.length > 0,
    'no principal twice': new Set(grant.principals).size === grant.principals.length,
    'principals of the grammar': grant.principals.every((name) =>
      /^[A-Za-z0-9_$@.+\\][A-Za-z0-9_$@.+\\-]{0,127}$/.test(name),
    ),
    'no principal beyond the profile': grant.principals.every(
      (name) => model.explicit.includes(name) || derived.includes(name),
    ),
    'no principal beyond the request': grant.principals.every(
      (name) => asked.principals?.includes(name) ?? true,
    ),
    'every principal asked for':
      asked.principals?.every((name) => grant.principals.some((given) => given === name)) ?? true,
    'personal principals are among them': grant.personalPrincipals.every((name) =>
      grant.principals.includes(name),
    ),
    'no personal principal is shared': grant.personalPrincipals.every(
      (name) => !shared.has(name.toLowerCase()),
    ),
    'no protected principal unnamed': grant.principals.every((name) => {
      const folded = name.toLowerCase();
      return named.has(folded) || !/(?:^|\\)(?:root|www)(?:@|$)/.test(folded);
    }),
    'nothing that belongs to another': grant.principals.every((name) =>
      [undefined, asker.id].includes(ownerOf(name)),
    ),
    'a minute back': grant.validAfter === nowSeconds - 60n,
    'five minutes at least': ttlSeconds >= 300,
    'no longer than the profile': ttlSeconds <= model.lifetime.max,
    'no longer than asked':
      asked.ttlSeconds === undefined ? ttlSeconds <= model.lifetime.default : ttlSeconds <= asked.ttlSeconds,
    'within the window':
      !model.window ||
      (weekday >= 1 && weekday <= 5 && hour >= 8 && hour < 20 && Number(grant.validBefore) <= closesSeconds),
    'all critical options and no other':
      [...grant.criticalOptions.keys()].toSorted().join() === expectedOptions.join(),
    'the forced command': grant.criticalOptions.get('force-command') === model.forceCommand,
    'a source address that narrows':
      source === undefined || (model.bind ? /^[0-9a-f.:]+$/ : /^10\.0\.0\.0\/8,2001:db8::\/32$/).test(source),
    'a bound address within the mandatory list':
      !(model.bind && model.sourceAddress) || /^(?:10\.|2001:db8:)/.test(source ?? ''),
    'extensions no wider': [...grant.extensions.keys()].every(
      (name) => model.extensions.includes(name) && (asked.extensions?.includes(name) ?? true),
    ),
    'a key type that is allowed': model.verifyRequired
      ? key.type.startsWith('sk-')
      : (model.types ?? types).includes(key.type),
    'a key that is long enough': key.type !== 'ssh-rsa' || key.bits >= model.rsaMinBits,
    'a source that is allowed':
      !model.sources || /^(?:::ffff:)?(?:10\.|192\.0\.2\.)/.test(asked.sourceAddress),
    'a reason': !model.reason || asked.reason === 'INC-7',
  };
  return Object.entries(holds).flatMap(([rule, isSo]) => (isSo ? [] : [rule]));
}
