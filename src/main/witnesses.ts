import type { Logger } from 'pino';
import { asksForWitness, meetsQuorum, parseWitnessPolicy, type WitnessPolicy } from '../accounting/index.ts';
import { Cosigning, type Store } from '../broker/index.ts';
import { createWitnessClient, type HttpWitness } from '../doors/witness-client/index.ts';
import { CodedError, type Clock, type Stopwatch } from '../kernel/index.ts';
import type { Policy } from '../policy/index.ts';
import type { Config } from './config.ts';
import { readConfigured } from './read-configured.ts';

/** A note has at most 32 signature lines, and one is the log's own. */
const mostWitnesses = 31;

/** The policy file that `log.witnesses` names. @throws CodedError `accounting.bad_witness_policy`, as `readConfigured` */
export function loadWitnessPolicy({ log: { witnesses: file } }: Config): WitnessPolicy | undefined {
  if (file === undefined) return undefined;
  return parseWitnessPolicy(readConfigured(file, 'The witness policy', '`log.witnesses`'), file);
}

/** A policy must not promise witnesses that there are none of. @throws CodedError `main.no_witness` */
export function refuseUnwitnessed({ profiles }: Policy, config: Config): void {
  const wanting = profiles.find(({ requireWitness }) => requireWitness);
  if (wanting === undefined) return;
  const witnesses = loadWitnessPolicy(config);
  if (witnesses !== undefined && asksForWitness(witnesses)) return;
  throw new CodedError(
    'main.no_witness',
    `The profile ${wanting.name} has require-witness, and no witness is configured: it could never issue.`,
    {
      next: 'Name a policy file with a quorum at `log.witnesses` in the configuration, or take require-witness out.',
    },
  );
}

export interface Witnesses {
  readonly cosigning: Cosigning;
  close(): Promise<void>;
}

/** The policy, and a client for each witness of which it says how to reach it. */
export interface OpenedWitnesses {
  readonly policy: WitnessPolicy;
  /** By the names in the policy. */
  readonly clients: ReadonlyMap<string, HttpWitness>;
}

/**
 * Reads what is configured, and connects to nobody.
 * @param verifierKey of this log. @throws CodedError `main.foreign_witness_policy`, `main.no_quorum`, `witness.bad_url`, `accounting.bad_witness_policy`
 */
export function openWitnesses(config: Config, verifierKey: string): OpenedWitnesses | undefined {
  const policy = loadWitnessPolicy(config);
  if (policy === undefined) return undefined;
  if (policy.logs.length > 0 && !policy.logs.includes(verifierKey)) {
    throw new CodedError(
      'main.foreign_witness_policy',
      'The witness policy is for other logs: none of its log lines has the key of this one.',
      { next: `Add the line: log ${verifierKey}` },
    );
  }
  const caFile = config.log['witness-ca-file'];
  const ca = caFile && readConfigured(caFile, 'The file of authorities', '`log.witness-ca-file`').toString();
  const clients = new Map<string, HttpWitness>();
  for (const { name, url } of policy.witnesses)
    if (url !== undefined) clients.set(name, createWitnessClient({ url, ca }));
  if (clients.size > mostWitnesses || !meetsQuorum(policy, new Set(clients.keys()))) {
    throw new CodedError(
      'main.no_quorum',
      `The witness policy gives the addresses of ${clients.size} witnesses: they are more than ${mostWitnesses}, or too few for its quorum.`,
      { next: 'Give each witness its URL behind its key.' },
    );
  }
  return { policy, clients };
}

/** What asks the witnesses, where any are configured. @throws CodedError as `openWitnesses` */
export function createWitnesses(
  config: Config,
  verifierKey: string,
  parts: {
    readonly store: Store;
    readonly clock: Clock;
    readonly stopwatch: Stopwatch;
    readonly log: Logger;
  },
): Witnesses | undefined {
  const opened = openWitnesses(config, verifierKey);
  if (opened === undefined) return undefined;
  const { store, clock, stopwatch, log } = parts;
  const observe = (what: string, error: unknown): void => log.error({ err: error }, what);
  const cosigning = new Cosigning({ store, clock, stopwatch, ...opened, observe });
  return {
    cosigning,
    async close() {
      await cosigning.close();
      for (const client of opened.clients.values()) client.close();
    },
  };
}
