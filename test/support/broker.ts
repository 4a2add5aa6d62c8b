import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import {
  createBrokerClient,
  generateProofKey,
  type BrokerClient,
  type ProofKey,
} from '../../src/doors/client/index.ts';
import { addPerson } from '../../src/identity/index.ts';
import { systemClock, systemRandom, type Clock } from '../../src/kernel/index.ts';
import { startBroker, type RunningBroker } from '../../src/main/broker.ts';
import { loadConfig } from '../../src/main/config.ts';
import { copyOfInit } from './broker-template.ts';
import { freePort } from './free-port.ts';
import { handOut, hear, refuseLeaks } from './handed-out.ts';
import { refuseUndocumented } from './log-schema.ts';

export interface TestPerson {
  readonly login: string;
  readonly groups: readonly string[];
  readonly password: string;
}

export interface BrokerFolderOptions {
  /** Replaces the policy that `init` writes. */
  readonly policy?: string;
  readonly people?: readonly TestPerson[];
  /** YAML of further directories, indented as items of `directories:`. */
  readonly directories?: string;
  /** Further files for nobody else's eyes, by their path below the folder, e.g. the password of a service account. */
  readonly files?: Readonly<Record<string, string>>;
}

/** A folder made by the real `init`, with people, on a port that was free a moment ago. */
export interface BrokerFolder {
  readonly folder: string;
  readonly configFile: string;
  readonly caFile: string;
  readonly logKeyFile: string;
  readonly peopleFile: string;
  readonly policyFile: string;
  readonly userCaFile: string;
  readonly url: string;
  readonly port: number;
  /** @throws Error when a secret that the helpers handed out stands in a file of the folder, or in what was printed or logged */
  remove(): void;
}

/** Whoever a test logs in. Passwords look like nothing else, so that a canary scan can find them. */
export const boss: TestPerson = {
  login: 'boss',
  groups: ['admins', 'users'],
  password: 'canary-boss-7Qx1Zm',
};
export const alice: TestPerson = { login: 'alice', groups: ['users'], password: 'canary-alice-9Wk2Rt' };
export const bob: TestPerson = { login: 'bob', groups: ['users'], password: 'canary-bob-3Lp8Vn' };
export const auditor: TestPerson = {
  login: 'audrey',
  groups: ['auditors'],
  password: 'canary-audrey-5Hd4Yc',
};

// Cheap on purpose: the real cost is tested with the built-in directory.
const cost = { N: 2 ** 14, r: 8, p: 1 };

/** Makes a broker's folder without starting anything. */
export async function makeBrokerFolder(options: BrokerFolderOptions = {}): Promise<BrokerFolder> {
  const parent = mkdtempSync(join(tmpdir(), 'sallyport-broker-'));
  const folder = join(parent, 'broker');
  await copyOfInit(folder);
  const peopleFile = join(folder, 'people.json');
  for (const person of options.people ?? [boss, alice, bob, auditor]) {
    handOut(`password of ${person.login}`, person.password);
    await addPerson(peopleFile, person, { random: systemRandom, cost });
  }
  const port = await freePort();
  const configFile = join(folder, 'sallyport.yaml');
  const config = readFileSync(configFile, 'utf8').replaceAll(/:8443\b/g, `:${port}`);
  writeFileSync(configFile, `${config}\n${options.directories ?? ''}`);
  const policyFile = join(folder, 'policy.yaml');
  if (options.policy !== undefined) writeFileSync(policyFile, options.policy);
  for (const [path, content] of Object.entries(options.files ?? {}))
    writeFileSync(join(folder, path), content, { mode: 0o600 });
  handOutFiles(folder);
  return {
    folder,
    configFile,
    caFile: join(folder, 'tls', 'ca.pem'),
    logKeyFile: join(folder, 'accounting-log.vkey'),
    peopleFile,
    policyFile,
    userCaFile: join(folder, 'ssh-user-ca.pub'),
    url: `https://127.0.0.1:${port}`,
    port,
    remove() {
      try {
        if (existsSync(folder)) refuseLeaks(folder);
        refuseUndocumented(folder);
      } finally {
        rmSync(parent, { recursive: true, force: true });
      }
    },
  };
}

/** The passphrase of the keys and the passwords of service accounts, each with the file that is there to hold it. */
function handOutFiles(folder: string): void {
  for (const name of readdirSync(join(folder, 'secrets')))
    handOut(name, readFileSync(join(folder, 'secrets', name), 'utf8').trim(), [join('secrets', name)]);
}

/** Whom a test lets try, in the built-in directory or any other. */
export interface LoginAttempt {
  readonly login: string;
  readonly password: string;
  readonly directory?: string;
}

export interface TestBroker extends BrokerFolder {
  readonly running: RunningBroker;
  /** Everything that the broker logged, JSON lines. */
  log(): string;
  client(): BrokerClient;
  /** A client with a session of its own. */
  loggedIn(person: LoginAttempt): Promise<LoggedInClient>;
  stop(): Promise<void>;
}

export interface LoggedInClient extends BrokerClient {
  readonly token: string;
  readonly proofKey: ProofKey;
}

/** A real broker in this process, behind real HTTPS. */
export async function startTestBroker(
  options: BrokerFolderOptions & { readonly clock?: Clock } = {},
): Promise<TestBroker> {
  return startBrokerIn(await makeBrokerFolder(options), options);
}

/** The same in a folder that was made before, and changed since. */
export async function startBrokerIn(
  made: BrokerFolder,
  options: { readonly clock?: Clock } = {},
): Promise<TestBroker> {
  const lines: string[] = [];
  const config = loadConfig(made.configFile);
  const running = await startBroker({
    config,
    passphrase: readFileSync(join(made.folder, 'secrets', 'keys.passphrase'), 'utf8').trim(),
    log: pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) }),
    version: 'test',
    clock: options.clock ?? systemClock,
  });
  hear('log of the broker', () => lines.join(''));
  const clients: BrokerClient[] = [];
  const client = (session?: { token: string; proofKey: ProofKey }): BrokerClient => {
    const created = clientOf(made, options.clock ?? systemClock, session);
    clients.push(created);
    return created;
  };
  return {
    ...made,
    running,
    log: () => lines.join(''),
    client: () => client(),
    async loggedIn({ login, password, directory }) {
      const proofKey = generateProofKey();
      const asked = { login, password, ...(directory === undefined ? {} : { directory }) };
      const { token } = await client().login(asked, proofKey);
      return { ...client({ token, proofKey }), token, proofKey };
    },
    async stop() {
      for (const open of clients) open.close();
      try {
        // Now, while the write-ahead log is there; `remove` looks at what the end has written.
        refuseLeaks(made.folder);
      } finally {
        await running.stop();
        made.remove();
      }
    },
  };
}

/** The product's own client, as the CLI uses it; the secrets of its logins are looked for from then on. */
export function clientOf(
  broker: Pick<BrokerFolder, 'url' | 'caFile'>,
  clock: Clock = systemClock,
  session?: { readonly token: string; readonly proofKey: ProofKey },
): BrokerClient {
  const client = createBrokerClient({
    origin: broker.url,
    ca: readFileSync(broker.caFile, 'utf8'),
    clock,
    random: systemRandom,
    userAgent: 'sallyport-test',
    ...(session === undefined ? {} : { session }),
  });
  return {
    ...client,
    async newHostToken(asked) {
      const made = await client.newHostToken(asked);
      handOut(`secret of ${made.id}`, made.token);
      return made;
    },
    async login(asked, proofKey) {
      handOut(`password of ${asked.login}`, asked.password);
      const answer = await client.login(asked, proofKey);
      handOut(`token of ${asked.login}`, answer.token);
      const { d = '' } = proofKey.privateKey.export({ format: 'jwk' });
      handOut(`proof key of ${asked.login}`, Buffer.from(d, 'base64url'));
      return answer;
    },
  };
}
