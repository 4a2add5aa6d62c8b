import type { BrokerClient, ClientSettings, StoredSession } from '../client/index.ts';
import {
  createBrokerClient,
  loadSession,
  loadSettings,
  requireOrigin,
  requireSession,
} from '../client/index.ts';
import type { Line } from './output.ts';
import type { ExitCode } from './report.ts';
import type { Terminal } from './terminal.ts';

/** What a command has to say at its end, to a machine and to people. */
export interface Result {
  /** For `--json`. Undefined: this command has no machine form, its lines are the result. */
  readonly value?: unknown;
  readonly lines: readonly Line[];
  /** For people also where the result goes into a pipe: on standard error. */
  readonly notes?: readonly Line[];
  readonly exitCode?: ExitCode;
}

/** One command: options as commander parsed them, checked further inside. It prints nothing itself. */
export type Command<Options> = (options: Options, terminal: Terminal) => Promise<Result>;

/** What a command needs to talk to the broker. */
export interface Connection {
  readonly settings: ClientSettings;
  readonly origin: string;
  readonly client: BrokerClient;
}

/** Talks to the broker without a session, for what is public, and for login. */
export async function withBroker<Value>(
  terminal: Terminal,
  work: (connection: Connection) => Promise<Value>,
): Promise<Value> {
  const settings = loadSettings(terminal.env);
  return connect(terminal, settings, requireOrigin(settings), undefined, work);
}

/** Talks to the broker as the person who is logged in. @throws CodedError `client.not_logged_in` before any connection. */
export async function withSession<Value>(
  terminal: Terminal,
  work: (connection: Connection & { readonly session: StoredSession }) => Promise<Value>,
): Promise<Value> {
  const settings = loadSettings(terminal.env);
  // Without a session the broker's address is the smaller question: `login` asks it again.
  const origin = settings.origin ?? loadSession(settings.files)?.origin ?? '';
  const session = requireSession(settings.files, origin, terminal.clock.nowMs());
  return connect(terminal, settings, origin, session, (connection) => work({ ...connection, session }));
}

async function connect<Value>(
  terminal: Terminal,
  settings: ClientSettings,
  origin: string,
  session: StoredSession | undefined,
  work: (connection: Connection) => Promise<Value>,
): Promise<Value> {
  const client = openClient(terminal, settings, origin, session);
  try {
    return await work({ settings, origin, client });
  } finally {
    client.close();
  }
}

/** A client of the broker at `origin`; the caller closes it. */
export function openClient(
  terminal: Terminal,
  settings: ClientSettings,
  origin: string,
  session: StoredSession | undefined,
): BrokerClient {
  return createBrokerClient({
    origin,
    ca: settings.ca,
    clock: terminal.clock,
    random: terminal.random,
    userAgent: `sallyport/${terminal.version}`,
    ...(session === undefined ? {} : { session }),
  });
}
