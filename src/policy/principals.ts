import type { Person } from '../identity/index.ts';
import { isCodedError, parsePrincipal, printable } from '../kernel/index.ts';
import type { Principal } from '../kernel/index.ts';

export type Transform =
  | { readonly kind: 'strip-domain' }
  | { readonly kind: 'lower' }
  | { readonly kind: 'upper' }
  | { readonly kind: 'max-length'; readonly chars: number };

/** Account names made from a directory attribute. */
export interface Derivation {
  /** Lower case. */
  readonly attribute: string;
  readonly transforms: readonly Transform[];
  readonly line: number;
  /** `attribute samaccountname, lower, max-length 8`. */
  readonly described: string;
}

/** What came of one attribute value: a principal, or why it cannot be one. */
export type Derived =
  | { readonly outcome: 'principal'; readonly principal: Principal; readonly derivation: Derivation }
  | {
      readonly outcome: 'bad';
      readonly value: string;
      readonly why: string;
      readonly derivation: Derivation;
    };

// Checked before any transform: folding can turn letters outside ASCII into ASCII (U+212A KELVIN SIGN becomes `k`).
const rawGrammar = /^[A-Za-z0-9_$@.+\\-]{1,256}$/;

/** Every value of every derivation, in order, with duplicates. */
export function derivePrincipals(derivations: readonly Derivation[], person: Person): Derived[] {
  const derived: Derived[] = [];
  for (const derivation of derivations)
    for (const value of person.attributes.get(derivation.attribute) ?? [])
      derived.push(derive(derivation, value));
  return derived;
}

function derive(derivation: Derivation, value: string): Derived {
  const bad = (why: string): Derived => ({ outcome: 'bad', value: printable(value, 60), why, derivation });
  if (!rawGrammar.test(value))
    return bad(
      'holds something other than ASCII letters, digits and _ $ @ . + \\ -, or is empty or too long',
    );
  let name = value;
  for (const transform of derivation.transforms) {
    if (transform.kind === 'lower') name = name.toLowerCase();
    else if (transform.kind === 'upper') name = name.toUpperCase();
    else if (transform.kind === 'max-length') name = name.slice(0, transform.chars);
    else {
      const local = stripDomain(name);
      if (local === undefined) return bad('has more than one domain, or nothing beside it');
      name = local;
    }
  }
  try {
    return { outcome: 'principal', principal: parsePrincipal(name), derivation };
  } catch (error) {
    if (!isCodedError(error, 'kernel.bad_principal')) throw error;
    return bad('cannot be an account name');
  }
}

/** `alice` of `alice@corp.example` and of `CORP\alice`; undefined where it is not clear which part is the name. */
export function stripDomain(name: string): string | undefined {
  const separators = name.match(/[@\\]/g)?.length ?? 0;
  if (separators === 0) return name;
  if (separators > 1) return undefined;
  const backslash = name.indexOf('\\');
  const local = backslash >= 0 ? name.slice(backslash + 1) : name.slice(0, name.indexOf('@'));
  const domain = name.length - local.length - 1;
  return local.length > 0 && domain > 0 ? local : undefined;
}
