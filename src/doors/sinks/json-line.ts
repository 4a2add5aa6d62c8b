import type { LineContext, OpenedEntry } from './opened-entry.ts';

/**
 * One JSON object in one line: `index` (decimal string), `log` (its origin), `leaf_hash` (hex), `entry` (the very bytes that were
 * hashed), and, where personal values may leave, `personal` (path to clear value) and `erased` (paths whose value is gone); `altered` (paths of which
 * something else is kept than what was recorded), where there are any.
 * SHA-256(0x00 || entry) is `leaf_hash`: a reader can check the line against the log.
 */
export function jsonLine(entry: OpenedEntry, { origin, personal }: LineContext): string {
  const head = `{"index":"${entry.index}","log":${JSON.stringify(origin)},"leaf_hash":"${entry.leafHash}","entry":${entry.json}`;
  if (personal === 'omit') return `${head}}`;
  const altered = entry.altered.length === 0 ? '' : `,"altered":${JSON.stringify(entry.altered)}`;
  return `${head},"personal":${JSON.stringify(entry.personalValues)},"erased":${JSON.stringify(entry.erased)}${altered}}`;
}
