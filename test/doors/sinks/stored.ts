import { createLogAppender, emptyLogHead, type EntryDraft } from '../../../src/accounting/index.ts';
import type { StoredEntry } from '../../../src/broker/index.ts';
import { systemRandom } from '../../../src/kernel/index.ts';
import { exampleEnterpriseNumber, type LineContext } from '../../../src/doors/sinks/index.ts';
import { newLogSigner, origin, start } from '../../contract/store-fixture.ts';

export { origin, start };

export const context: LineContext = {
  origin,
  hostname: 'broker1.example.com',
  version: '0.1.0',
  enterpriseNumber: exampleEnterpriseNumber,
  personal: 'include',
};

/** Entries as the log keeps them, from index 0 on. */
export function storedEntries(drafts: readonly EntryDraft[]): readonly StoredEntry[] {
  const appender = createLogAppender({ signer: newLogSigner(), origin, random: systemRandom });
  return appender.append(emptyLogHead(origin), drafts).entries;
}

/** The same entry after retention erased some of its clear values, or all. */
export function withoutOpenings(entry: StoredEntry, ...paths: readonly string[]): StoredEntry {
  const held = Object.entries(JSON.parse(entry.openings ?? '{}') as Record<string, unknown>);
  const left = paths.length === 0 ? [] : held.filter(([path]) => !paths.includes(path));
  return { ...entry, openings: left.length === 0 ? undefined : JSON.stringify(Object.fromEntries(left)) };
}

/** A certificate that was issued, with every field that such an entry can have. */
export const issued: EntryDraft = {
  type: 'cred.issue',
  outcome: 'success',
  timeMs: start,
  actor: { uid: 'corp:5f0c', kind: 'person', auth: 'session', session: 's-1' },
  subject: { uid: 'corp:5f0c' },
  fields: {
    cred: {
      kind: 'ssh-user',
      serial: '18446744073709551615',
      ca_fp: 'SHA256:the-ca',
      key_fp: 'SHA256:the-key',
      key_type: 'ssh-ed25519',
      key_id: 'sp-1',
      principals: ['alice', 'deploy'],
      not_before: '2026-11-23T11:59:00.000Z',
      not_after: '2026-11-23T20:00:00.000Z',
      profile: 'users',
    },
    decision: { version: 'a'.repeat(64), rule: 'profiles.users' },
    corr: { request: 'r-1' },
  },
  personal: {
    'actor.name': 'alice',
    'src.ip': '192.0.2.7',
    'src.ua': 'sallyport/0.1.0',
    reason: 'ticket 17: “disk=full”\nsecond line',
  },
};
