import { createBuiltInDirectory, listPeople, type Person } from '../../identity/index.ts';
import { isCodedError, systemClock } from '../../kernel/index.ts';
import { rolesOf, type Policy } from '../../policy/index.ts';
import type { Config } from '../config.ts';
import { loadPolicy } from '../load.ts';

/** What happens to a built-in person: they are gone or shut out, or their groups are these. */
export interface Loss {
  readonly login: string;
  readonly groups: readonly string[] | undefined;
}

/**
 * Whether a loss would leave a built-in directory without anybody whom the policy makes an admin, where it has somebody now.
 * Who else may be one, in another directory, cannot be listed.
 */
export async function takesLastAdmin(
  config: Config,
  directory: { readonly name: string; readonly file: string },
  { login, groups }: Loss,
): Promise<boolean> {
  const policy = readablePolicy(config);
  if (policy === undefined) return false;
  const builtIn = createBuiltInDirectory({ ...directory, clock: systemClock });
  try {
    // Somebody who is disabled comes without a person.
    const find = async (name: string): Promise<Person | undefined> => (await builtIn.find(name))?.person;
    const isAdmin = (person: Person | undefined): boolean =>
      person !== undefined && rolesOf(policy, person).has('admin');
    const lost = await find(login);
    if (lost === undefined || !isAdmin(lost)) return false;
    if (groups !== undefined && isAdmin({ ...lost, groups: groups.map((name) => ({ name })) })) return false;
    for (const other of await listPeople(directory.file))
      if (other.login !== lost.login && isAdmin(await find(other.login))) return false;
    return true;
  } finally {
    await builtIn.close();
  }
}

/** A policy that cannot be read makes nobody an admin, and must not keep anybody from shutting a person out. */
export function readablePolicy(config: Config): Policy | undefined {
  try {
    return loadPolicy(config);
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}
