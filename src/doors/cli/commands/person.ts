import type { PersonPage, Today } from '../../client/index.ts';
import type { Result } from '../command.ts';
import { withSession } from '../command.ts';
import type { Line } from '../output.ts';
import { fieldLines, tableLines } from '../output.ts';
import { withProgress } from '../progress.ts';
import type { Terminal } from '../terminal.ts';
import { formatDuration, formatShort, formatWhen, zoneOf } from '../times.ts';

/** One page: everything that a person can still use, and what would end it. */
export async function showPerson(person: string, terminal: Terminal): Promise<Result> {
  return withSession(terminal, async ({ client }) => {
    const page = await withProgress(terminal, 'Asking the broker', client.person(person));
    return { value: page.raw, lines: describe(terminal, page), notes: endings(page) };
  });
}

function describe(terminal: Terminal, page: PersonPage): readonly Line[] {
  const nowMs = terminal.clock.nowMs();
  const { person, lock, sessions, certificates, tlsCertificates, names, roles, profiles } = page;
  const zone = zoneOf(nowMs);
  return [
    { text: `${person.login} (${person.id})`, tone: 'strong' },
    ...fieldLines(terminal.stdout, [
      ['directory', `${person.directory}: ${directoryWords(page)}`],
      ['lock', lock && `locked at this broker since ${formatWhen(lock.sinceMs, nowMs)}: ${lock.reason}`],
      ['roles', roles.join(', ')],
      ['account names', names.length === 0 ? undefined : `${names.join(', ')} (nobody else gets them)`],
      ['policy gives', profiles.length === 0 ? 'nothing now' : profiles.map(profileWords).join('; ')],
    ]),
    '',
    ...(certificates.length === 0
      ? ['No live SSH certificates.']
      : tableLines(
          terminal.stdout,
          ['SERIAL', 'PROFILE', 'OPENS', `UNTIL (${zone})`, 'TODAY'],
          certificates.map(({ credential, today }) => [
            credential.serial.toString(),
            credential.profile,
            credential.principals.join(','),
            formatShort(credential.validBeforeMs),
            todayWords[today],
          ]),
          { gives: 2 },
        )),
    '',
    ...(tlsCertificates.length === 0
      ? ['No live TLS certificates.']
      : tableLines(
          terminal.stdout,
          ['FOR', 'PROFILE', `UNTIL (${zone})`, 'TODAY', 'TLS SERIAL'],
          tlsCertificates.map(({ credential, today }) => [
            credential.commonName,
            credential.profile,
            formatShort(credential.notAfterMs),
            todayWords[today],
            credential.serial,
          ]),
          { gives: 0 },
        )),
    '',
    ...(sessions.length === 0
      ? ['No sessions.']
      : tableLines(
          terminal.stdout,
          ['SESSION', `SINCE (${zone})`, 'UNTIL'],
          sessions.map(({ id, createdAtMs, expiresAtMs }) => [
            id,
            formatShort(createdAtMs),
            formatShort(expiresAtMs),
          ]),
        )),
  ];
}

function directoryWords({ directory }: PersonPage): string {
  const { outcome, reason = '', doubt = '', groups = 0 } = directory;
  switch (outcome) {
    case 'here':
      return `lets them in now, ${groups} ${groups === 1 ? 'group' : 'groups'}`;
    case 'gone':
      return `does not let them in: ${reason.replaceAll('_', ' ')}`;
    case 'paused':
      return `does not let them in at the moment: ${reason.replaceAll('_', ' ')}`;
    case 'doubtful':
      return `seems not to let them in (${reason.replaceAll('_', ' ')}), which is not believed: ${doubt}`;
    case 'unavailable':
      return 'does not answer';
  }
}

function profileWords({ profile, principals, ttlSeconds }: PersonPage['profiles'][number]): string {
  return `${profile} for ${principals.join(',')}, ${formatDuration(ttlSeconds)}`;
}

const todayWords: Readonly<Record<Today, string>> = {
  granted: 'would be given',
  lost: 'would not be given',
  unclear: 'cannot be told',
  unknown: 'directory does not answer',
};

/** What would end each of it, without being asked. */
function endings({ person, certificates, tlsCertificates, sessions, lock }: PersonPage): readonly Line[] {
  if (certificates.length + tlsCertificates.length + sessions.length === 0)
    return [{ text: 'Nothing is left to end.', tone: 'dim' }];
  return [
    'What would end it:',
    '  expiry: each at the time above, by itself',
    `  now and here: sallyport admin revoke --person ${person.id} --reason "…"${lock === undefined ? ' --lock' : ''} --yes`,
    '  at the directory: disable or delete the account, or take it out of the group; the broker follows within seconds',
  ];
}
