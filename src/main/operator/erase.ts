import {
  erasePerson as eraseFromLog,
  keepCheckpoint,
  refuseRollback,
  type Store,
} from '../../broker/index.ts';
import type { EraseOptions, OperatorIo, Outcome } from '../../doors/cli/index.ts';
import { CodedError, printable, systemClock, type PersonId } from '../../kernel/index.ts';
import { checkpointFile } from '../checkpoint-file.ts';
import { loadConfig } from '../config.ts';
import { placeOf } from '../database.ts';
import { logSignerOf, openKey, openStore } from '../load.ts';
import { readPassphrase } from '../passphrase.ts';

/** Finds the person in the database alone: directories may not know them any more. */
export async function erasePerson(options: EraseOptions, io: OperatorIo): Promise<Outcome> {
  const config = loadConfig(options.configFile);
  const passphrase = await readPassphrase(config.keys.passphrase, process.env, (question) =>
    io.askSecret(question),
  );
  const logSigner = logSignerOf(await openKey(config, 'accounting-log', passphrase));
  const store = await openStore(placeOf(config), { origin: config.log.origin, logSigner });
  try {
    const parts = {
      store,
      clock: systemClock,
      logSigner,
      checkpointKeep: checkpointFile(config.log.checkpoint),
    };
    await refuseRollback(parts);
    const person = await findSeen(store, options.person);
    const nowMs = systemClock.nowMs();
    const live = await store.liveCredentials({ kind: 'person', personId: person.personId }, nowMs);
    const tls = await store.liveTls({ kind: 'person', personId: person.personId }, nowMs);
    const sessions = await store.sessionsOf(person.personId, nowMs);
    if (live.length + tls.length > 0 || sessions > 0) {
      throw new CodedError(
        'main.person_has_access',
        `${printable(person.login, 64)} has ${live.length + tls.length} live certificates and ${sessions} sessions: nobody who may still log in is forgotten.`,
        { next: 'Start the broker, `sallyport admin revoke --person`, stop it, and say this again.' },
      );
    }
    const named = `${printable(person.login, 64)} (${person.personId})`;
    if (!options.yes) {
      return {
        value: { person: { id: person.personId, login: person.login }, applied: false },
        lines: [
          `This would erase the name, addresses and words of ${named} from the log’s side table and from all rows.`,
          'Entries, proofs and account names in certificates stay. It cannot be undone. Say it again with --yes.',
        ],
      };
    }
    io.note('Erasing, and writing the database anew…');
    const { entries, scrub } = await eraseFromLog(parts, person.personId, options.reason);
    await keepCheckpoint(parts);
    return {
      value: { person: { id: person.personId }, applied: true, entries, files: scrub },
      lines: [
        `Erased what ${entries} entries held of ${named}. The log says so; its proofs verify as before.`,
        ...(scrub === 'scrubbed'
          ? []
          : [
              'The dead rows are still in the files of PostgreSQL: only the owner of the tables may write them anew. Say it again with a configuration that names that role, and the id of the person.',
            ]),
        'Backups, exports and what sinks were sent still hold it: see docs/operations/retention.md.',
      ],
    };
  } finally {
    await store.close();
  }
}

async function findSeen(store: Store, text: string): Promise<{ personId: PersonId; login: string }> {
  const byId = await store.person(text as PersonId);
  const found = byId === undefined ? await store.personsByLogin(text) : [byId];
  const [only, ...others] = found;
  if (only !== undefined && others.length === 0) return only;
  if (only === undefined) {
    throw new CodedError('revocation.unknown_target', `Nobody here was seen as “${printable(text, 80)}”.`, {
      next: 'Give the login name or the person id that `sallyport admin issued` prints.',
    });
  }
  throw new CodedError(
    'revocation.ambiguous_person',
    `${found.length} people were seen as “${printable(text, 80)}”: ${found.map(({ personId }) => personId).join(', ')}.`,
    { next: 'Give one of these person ids instead of the name.' },
  );
}
