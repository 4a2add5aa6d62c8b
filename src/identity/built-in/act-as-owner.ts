import { lstat } from 'node:fs/promises';

let turn: Promise<unknown> = Promise.resolve();

/** One after the other within this process: for work that must not see another's rights or locks. */
export function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
  const result = turn.then(work);
  // Whoever waits next does not care how this one ended.
  turn = result.catch(() => undefined);
  return result;
}

/**
 * Does work in a folder as root, but with no more rights than the folder's owner: whoever may write there can put a link in the
 * place of any file, and root would follow it to a file that the owner could never touch. A link in the place of the folder
 * counts as its owner's. Everybody but root, and root in a folder of its own, simply does the work.
 * The rights are the whole process's, so this belongs inside `inTurn`, and in commands rather than in a busy broker.
 */
export async function asOwnerOf<Result>(folder: string, work: () => Promise<Result>): Promise<Result> {
  const { geteuid, getegid, getgroups, setgroups, setegid, seteuid } = process;
  if (!geteuid || !getegid || !getgroups || !setgroups || !setegid || !seteuid) return work();
  if (geteuid() !== 0) return work();
  const owner = await lstat(folder).catch(() => undefined);
  if (owner === undefined || owner.uid === 0) return work();
  const [group, groups] = [getegid(), getgroups()];
  setgroups([owner.gid]);
  setegid(owner.gid);
  seteuid(owner.uid);
  try {
    return await work();
  } finally {
    seteuid(0);
    setegid(group);
    setgroups(groups);
  }
}
