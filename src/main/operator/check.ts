import { verifierKey } from '../../accounting/index.ts';
import type { OperatorIo, Outcome } from '../../doors/cli/index.ts';
import { createDpopVerifier, createIdentity, listPeople, type Directory } from '../../identity/index.ts';
import { systemClock } from '../../kernel/index.ts';
import { attributesUsed } from '../../policy/index.ts';
import { loadDatabaseFile } from '../../store/index.ts';
import { loadPolicy, loadTls, openKeys } from '../load.ts';
import { checkTrustedFolder } from '../../keys/index.ts';
import { checkpointFile } from '../checkpoint-file.ts';
import { loadConfig, originsHint } from '../config.ts';
import { configuredFiles, requireConfiguredFiles } from '../configured-files.ts';
import { placeOf } from '../database.ts';
import { createDirectory } from '../directories.ts';
import { readPassphrase } from '../passphrase.ts';
import { createSinks } from '../sinks.ts';
import { openWitnesses } from '../witnesses.ts';

/** Reads everything that `serve` would read, opens no port and changes nothing. */
export async function checkConfig(file: string, io: OperatorIo): Promise<Outcome> {
  const config = loadConfig(file);
  const policy = loadPolicy(config);
  loadTls(config);
  const place = placeOf(config);
  if (place.kind === 'sqlite') {
    loadDatabaseFile(place.folder);
    checkTrustedFolder(place.folder);
  }
  checkpointFile(config.log.checkpoint).read();
  createSinks(config, { version: '', clock: systemClock });
  createDpopVerifier({ origins: config.origins, clock: systemClock });
  for (const directory of config.directories) {
    if (directory.kind === 'built-in') await listPeople(directory.file);
  }
  const directories: Directory[] = config.directories.map((directory) =>
    createDirectory(directory, {
      clock: systemClock,
      policyAttributes: [...attributesUsed(policy)],
      observe: () => undefined,
    }),
  );
  const identity = createIdentity({ directories });
  // At once, with no wait between: a directory that lives on begins to look for its servers.
  await identity.close();
  const keys = await openKeys(
    config,
    await readPassphrase(config.keys.passphrase, process.env, (question) => io.askSecret(question)),
  );
  openWitnesses(config, verifierKey(config.log.origin, keys.log.publicKey));
  requireConfiguredFiles(configuredFiles(config));
  const hint = originsHint(config);
  const profiles = policy.profiles.map(({ name }) => name);
  const tlsProfiles = [...policy.tlsProfiles.keys()];
  return {
    value: {
      valid: true,
      ...(hint === undefined ? {} : { hint }),
      directories: [...identity.directories],
      profiles,
      tlsProfiles,
      policyVersion: policy.policyVersion,
    },
    lines: [
      `${file} is valid`,
      `  directories  ${identity.directories.join(', ')}`,
      `  profiles     ${profiles.join(', ')}`,
      ...(tlsProfiles.length === 0 ? [] : [`  for TLS      ${tlsProfiles.join(', ')}`]),
      `  policy       ${policy.policyVersion.slice(0, 16)}…`,
      ...(hint === undefined ? [] : [hint]),
    ],
  };
}
