import type { DecidedAnswer, DeparturesAnswer, FollowedDirectory, Review } from '../../client/index.ts';
import type { Result } from '../command.ts';
import { withSession } from '../command.ts';
import type { Line } from '../output.ts';
import { tableLines } from '../output.ts';
import { withProgress } from '../progress.ts';
import type { Terminal } from '../terminal.ts';
import { formatWhen } from '../times.ts';

export interface DeparturesOptions {
  readonly approve?: string;
  readonly reject?: string;
  readonly reason: string;
}

/** Shows how the directories are followed and what waits; with `--approve` or `--reject`, decides. */
export async function departures(options: DeparturesOptions, terminal: Terminal): Promise<Result> {
  const { approve, reject, reason } = options;
  const review = approve ?? reject;
  return withSession(terminal, async ({ client }) => {
    if (review === undefined)
      return describeList(terminal, await withProgress(terminal, 'Asking the broker', client.departures()));
    const decision = approve === undefined ? 'reject' : 'approve';
    const asked = client.decideDepartures({ review, decision, reason });
    return describeDecision(await withProgress(terminal, 'Asking about each of them', asked));
  });
}

function describeList(terminal: Terminal, { followers, reviews, raw }: DeparturesAnswer): Result {
  const nowMs = terminal.clock.nowMs();
  const waiting = reviews.filter(({ state }) => state === 'waiting');
  const past = reviews.filter(({ state }) => state !== 'waiting');
  const doubtful = followers.flatMap((follower) => follower.doubtful);
  return {
    value: raw,
    lines: [
      ...tableLines(
        terminal.stdout,
        ['DIRECTORY', 'STATE', 'SEEN BY', 'LAST LOOK', 'EVERYBODY ASKED', 'IN DOUBT'],
        followers.map((follower) => [
          follower.directory,
          stateWords[follower.state],
          follower.method ?? '-',
          follower.lookedAtMs === undefined ? 'never' : formatWhen(follower.lookedAtMs, nowMs),
          follower.sweptAtMs === undefined ? 'not yet' : formatWhen(follower.sweptAtMs, nowMs),
          String(follower.doubtful.length),
        ]),
      ),
      ...(doubtful.length === 0 ? [] : doubtLines(terminal, doubtful)),
      ...waiting.flatMap((review) => waitingLines(terminal, review, nowMs)),
      ...(past.length === 0 ? [] : pastLines(terminal, past, nowMs)),
    ],
    notes:
      waiting.length === 0
        ? [{ text: 'No departures wait for you.', tone: 'dim' }]
        : [
            {
              text: 'Nobody in a waiting list was cut off. Approve it if they have left; mend the directory or its filter, or reject it, if not.',
              tone: 'warning',
            },
          ],
  };
}

const stateWords = {
  following: 'followed',
  standby: 'by another broker',
  failing: 'does not answer',
  unknown: 'not asked yet',
} as const;

function doubtLines(terminal: Terminal, doubtful: FollowedDirectory['doubtful']): readonly Line[] {
  return [
    '',
    {
      text: 'Who seems to have left, for reasons that a fault would have as well; nothing was done:',
      tone: 'warning',
    },
    ...tableLines(
      terminal.stdout,
      ['PERSON', 'ID', 'WHY IT IS NOT BELIEVED'],
      doubtful.map(({ id, login = '', doubt }) => [login, id, doubt]),
      { wrapLast: true },
    ),
  ];
}

function waitingLines(terminal: Terminal, review: Review, nowMs: number): readonly Line[] {
  const { id, directory, people, atLarge, openedAtMs } = review;
  return [
    '',
    {
      text: `${id}: ${people.length} of ${atLarge} people of ${directory} would lose something at once, since ${formatWhen(openedAtMs, nowMs)}.`,
      tone: 'bad',
    },
    ...tableLines(
      terminal.stdout,
      ['PERSON', 'ID', 'CERTIFICATES', 'REASON'],
      people.map((person) => [person.login ?? '', person.id, String(person.certificates), person.reasonCode]),
    ),
  ];
}

function pastLines(terminal: Terminal, past: readonly Review[], nowMs: number): readonly Line[] {
  return [
    '',
    ...tableLines(
      terminal.stdout,
      ['DECIDED', 'DIRECTORY', 'PEOPLE', 'STATE', 'WHEN'],
      past.map(({ id, directory, people, state, decidedAtMs, openedAtMs }) => [
        id,
        directory,
        String(people.length),
        state,
        formatWhen(decidedAtMs ?? openedAtMs, nowMs),
      ]),
    ),
  ];
}

function describeDecision({ review, credentials, tlsCredentials, kept, raw }: DecidedAnswer): Result {
  if (review.state === 'rejected') {
    const count = review.people.length;
    const text = `${review.id} is rejected: the certificates of ${count} ${count === 1 ? 'person' : 'people'} live until they expire.`;
    return { value: raw, lines: [{ text, tone: 'good' }] };
  }
  const gone = review.people.length - kept.length;
  const revoked = credentials.length + tlsCredentials.length;
  const many = revoked === 1 ? 'certificate' : 'certificates';
  return {
    value: raw,
    lines: [
      {
        text: `${review.id} is approved: ${gone} ${gone === 1 ? 'person' : 'people'} cut off, ${revoked} ${many} revoked.`,
        tone: 'good',
      },
    ],
    notes:
      kept.length === 0
        ? []
        : [
            {
              text: `${kept.length} of them keep what they have: asked once more, they have lost nothing, or it cannot be told.`,
              tone: 'warning',
            },
          ],
  };
}
