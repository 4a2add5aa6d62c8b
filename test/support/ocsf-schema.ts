import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/*
 * Holds events against the published OCSF schema, in the form in which schema.ocsf.io exports it: `test/vectors/ocsf-1.8.0.json`
 * is a part of that file, and says which. What is not in it (an object that no event used so far) is a fault here.
 */
interface Attribute {
  readonly type: string;
  readonly requirement: 'required' | 'recommended' | 'optional';
  readonly is_array?: boolean;
  readonly object_type?: string;
  readonly profiles?: readonly string[] | null;
  readonly enum?: Readonly<Record<string, { readonly caption: string }>>;
  readonly sibling?: string;
}
interface Thing {
  readonly name: string;
  readonly uid?: number;
  readonly category_uid?: number;
  readonly constraints?: { readonly at_least_one?: readonly string[]; readonly just_one?: readonly string[] };
  readonly attributes: Readonly<Record<string, Attribute>>;
}
interface SimpleType {
  readonly type?: string;
  readonly regex?: string;
  readonly range?: readonly [number, number];
  readonly max_len?: number;
  readonly values?: readonly unknown[];
}
export interface OcsfSchema {
  readonly version: string;
  readonly classes: Readonly<Record<string, Thing>>;
  readonly objects: Readonly<Record<string, Thing>>;
  readonly dictionary: { readonly types: { readonly attributes: Readonly<Record<string, SimpleType>> } };
}

const vector = join(import.meta.dirname, '..', 'vectors', 'ocsf-1.8.0.json');

export function loadOcsfSchema(file = vector): OcsfSchema {
  return JSON.parse(readFileSync(file, 'utf8')) as OcsfSchema;
}

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** @returns what is wrong with an event, as `path: why`; nothing when it is as the schema says. */
export function ocsfFaults(schema: OcsfSchema, event: unknown): readonly string[] {
  if (!isFields(event)) return ['event: is no object'];
  const found = Object.values(schema.classes).find(({ uid }) => uid === event['class_uid']);
  if (found === undefined) return [`class_uid: there is no class ${String(event['class_uid'])}`];
  const metadata = isFields(event['metadata']) ? event['metadata'] : {};
  const profiles = Array.isArray(metadata['profiles']) ? (metadata['profiles'] as unknown[]) : [];
  const faults = new Checker(schema, profiles).thing('', found, event);
  const expect = (path: string, is: unknown, should: unknown): void => {
    if (is !== should) faults.push(`${path}: is ${String(is)} and should be ${String(should)}`);
  };
  expect('metadata.version', metadata['version'], schema.version);
  expect('category_uid', event['category_uid'], found.category_uid);
  expect('type_uid', event['type_uid'], Number(event['class_uid']) * 100 + Number(event['activity_id']));
  return faults;
}

class Checker {
  readonly #schema: OcsfSchema;
  readonly #profiles: readonly unknown[];

  constructor(schema: OcsfSchema, profiles: readonly unknown[]) {
    this.#schema = schema;
    this.#profiles = profiles;
  }

  thing(path: string, { name, attributes, constraints }: Thing, value: Fields): string[] {
    // `object` stands for any object at all.
    if (name === 'object') return [];
    const faults: string[] = [];
    const has = (key: string): boolean => Object.hasOwn(value, key);
    for (const [key, field] of Object.entries(value)) {
      const attribute = Object.hasOwn(attributes, key) ? attributes[key] : undefined;
      const where = path === '' ? key : `${path}.${key}`;
      if (attribute === undefined) faults.push(`${where}: ${name} has no such attribute`);
      else if (!this.#applies(attribute)) faults.push(`${where}: belongs to a profile that is not named`);
      else faults.push(...this.#attribute(where, attribute, field, value));
    }
    for (const [key, attribute] of Object.entries(attributes))
      if (attribute.requirement === 'required' && this.#applies(attribute) && !has(key))
        faults.push(`${path}.${key}: is required`);
    if (constraints?.at_least_one?.some(has) === false)
      faults.push(`${path}: has none of ${constraints.at_least_one.join(', ')}`);
    if (constraints?.just_one !== undefined && constraints.just_one.filter(has).length !== 1)
      faults.push(`${path}: has not just one of ${constraints.just_one.join(', ')}`);
    return faults;
  }

  #applies({ profiles }: Attribute): boolean {
    return (
      profiles == null || profiles.length === 0 || profiles.some((name) => this.#profiles.includes(name))
    );
  }

  #attribute(path: string, attribute: Attribute, value: unknown, parent: Fields): string[] {
    if (attribute.is_array === true) {
      if (!Array.isArray(value)) return [`${path}: is no list`];
      const one = { ...attribute, is_array: false };
      return value.flatMap((item, nth) => this.#attribute(`${path}[${nth}]`, one, item, parent));
    }
    if (attribute.type === 'object_t') {
      const object = this.#schema.objects[attribute.object_type ?? ''];
      if (object === undefined) return [`${path}: the vector has no object ${attribute.object_type}`];
      return isFields(value) ? this.thing(path, object, value) : [`${path}: is no object`];
    }
    return [...this.#simple(path, attribute.type, value), ...enumFaults(path, attribute, value, parent)];
  }

  #simple(path: string, type: string, value: unknown): string[] {
    if (type === 'json_t') return value === undefined ? [`${path}: is nothing`] : [];
    if (type === 'string_t') return typeof value === 'string' ? [] : [`${path}: is no text`];
    if (type === 'integer_t' || type === 'long_t')
      return Number.isSafeInteger(value) ? [] : [`${path}: is no whole number`];
    if (type === 'boolean_t') return typeof value === 'boolean' ? [] : [`${path}: is neither true nor false`];
    const known = this.#schema.dictionary.types.attributes[type];
    if (known?.type === undefined) return [`${path}: has the type ${type}, which is not known`];
    const faults = this.#simple(path, known.type, value);
    if (known.regex !== undefined && !new RegExp(known.regex).test(String(value)))
      faults.push(`${path}: is not of the form of ${type}`);
    if (known.max_len !== undefined && String(value).length > known.max_len)
      faults.push(`${path}: is longer than ${known.max_len}`);
    return faults;
  }
}

function enumFaults(
  path: string,
  { enum: values, sibling }: Attribute,
  value: unknown,
  parent: Fields,
): string[] {
  if (values === undefined) return [];
  const known = values[String(value)];
  if (known === undefined) return [`${path}: ${String(value)} is none of the values`];
  const label = sibling === undefined ? undefined : parent[sibling];
  // "See the activity_name attribute": a value that is not mapped is told in words.
  if (String(value) === '99' && sibling !== undefined && sibling !== 'type_name' && label === undefined)
    return [`${path}: is 99, and there is no ${sibling}`];
  if (String(value) !== '99' && label !== undefined && label !== known.caption)
    return [`${path}: is ${known.caption}, and ${String(sibling)} says otherwise`];
  return [];
}
