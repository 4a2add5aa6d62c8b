import type { Sink, StoredEntry } from '../../broker/index.ts';

/**
 * A sink that is given only entries of some types, e.g. `login.unexplained`, or `cred.*` for all that begin so. It has taken what it is
 * not given: its position moves over that.
 */
export function onlyTypes(sink: Sink, types: readonly string[]): Sink {
  const isWanted = (entry: StoredEntry): boolean => {
    const { type } = JSON.parse(entry.bytes.toString('utf8')) as { readonly type: string };
    return types.some((wanted) =>
      wanted.endsWith('.*') ? type.startsWith(wanted.slice(0, -1)) : type === wanted,
    );
  };
  return {
    ...sink,
    async deliver(entries, signal) {
      const wanted = entries.filter(isWanted);
      if (wanted.length > 0) await sink.deliver(wanted, signal);
    },
    close: () => sink.close(),
  };
}
