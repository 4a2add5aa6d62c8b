import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Ajv2020 } from 'ajv/dist/2020.js';

const file = new URL('../../docs/formats/log-entry.schema.json', import.meta.url);

/** The types that the documented schema has, in its order. */
export const documentedTypes: readonly string[] = (
  JSON.parse(readFileSync(file, 'utf8')) as { allOf: { title?: string }[] }
).allOf.flatMap(({ title }) => (title === undefined ? [] : [title]));

let validate: ReturnType<Ajv2020['compile']> | undefined;

/** What docs/formats/log-entry.schema.json has against an entry; empty when nothing. */
export function schemaFaults(entry: unknown): readonly string[] {
  validate ??= new Ajv2020({ allErrors: true, strictRequired: false }).compile(
    JSON.parse(readFileSync(file, 'utf8')) as object,
  );
  if (validate(entry)) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath} ${message ?? ''} ${JSON.stringify(params)}`,
  );
}

/** @throws Error when one of these entries, in the clear, is not what the documented schema describes */
export function refuseUndocumentedEntries(entries: Iterable<string>): void {
  for (const text of entries) {
    const faults = schemaFaults(JSON.parse(text));
    if (faults.length > 0) throw new Error(`undocumented entry ${text}:\n${faults.join('\n')}`);
  }
}

/** @throws Error when a broker in this folder wrote an entry that the documented schema does not describe. */
export function refuseUndocumented(folder: string): void {
  const path = join(folder, 'data', 'sallyport.db');
  if (!existsSync(path)) return;
  const database = new DatabaseSync(path);
  try {
    refuseUndocumentedEntries(entriesOf(database));
  } finally {
    database.close();
  }
}

function* entriesOf(database: DatabaseSync): Generator<string> {
  for (const { entry } of database.prepare('SELECT entry FROM log_entry').iterate())
    yield Buffer.from(entry as Uint8Array).toString('utf8');
}
