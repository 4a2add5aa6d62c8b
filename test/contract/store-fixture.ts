import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import {
  createLogAppender,
  emptyLogHead,
  type EntryDraft,
  type LogSigner,
} from '../../src/accounting/index.ts';
import type { BeginsAnew, Credential, Store } from '../../src/broker/index.ts';
import type { Session } from '../../src/identity/index.ts';
import {
  isCodedError,
  parseKeyId,
  parsePersonId,
  parsePrincipal,
  systemRandom,
  type Principal,
  type Serial,
} from '../../src/kernel/index.ts';
import { createPostgresDatabase, openPostgresStore, openSqliteStore } from '../../src/store/index.ts';
import {
  addressOf,
  doneWith,
  grants,
  hasPostgres,
  newDatabase,
  owner,
  sharedPostgres,
} from '../support/postgres.ts';
import type { PostgresServer } from '../support/postgres.ts';

export const origin = 'store.test/accounting/1';

/** Somewhere a store can live, be closed, and be opened again. */
export interface Place {
  readonly signer: LogSigner;
  /** A folder, or whatever names it to another process. */
  readonly location: string;
  /** `over` replaces what opens it. */
  open(over?: { readonly origin?: string; readonly signer?: LogSigner }): Promise<Store>;
  /** What was made before, for whoever may begin its log anew. */
  openAsOwner(): Promise<Store & BeginsAnew>;
  /** SQL past the store, as somebody with the database's password could run it. */
  sql(text: string): void;
  /** The one number that a question past the store gives. */
  count(question: string): number;
  remove(): void;
}

export interface Implementation {
  readonly name: string;
  readonly newPlace: () => Place;
  /** Raises the version of the schema beyond what this program knows. */
  readonly newerSchema: string;
  /** Lifts what keeps the log append-only. */
  readonly unlockLog: string;
  /** A literal of bytes. */
  readonly bytes: (hex: string) => string;
  /** Puts another entry in the place of number 1. */
  readonly replaceEntry: string;
}

const postgres: Implementation = {
  name: 'PostgreSQL',
  newPlace: newPostgresPlace,
  newerSchema: "INSERT INTO schema_version VALUES (999, 'from the future')",
  unlockLog: 'DROP TRIGGER log_entry_never_changes ON log_entry',
  bytes: (hex) => `'\\x${hex}'::bytea`,
  replaceEntry:
    "INSERT INTO log_entry VALUES (1, '', '') ON CONFLICT (idx) DO UPDATE SET entry = excluded.entry",
};

/** Every backend of `Store`, as far as it can be had here. The next one joins this list and passes the same suite. */
export const implementations: readonly Implementation[] = [
  {
    name: 'SQLite',
    newPlace: newSqlitePlace,
    newerSchema: 'PRAGMA user_version = 999',
    unlockLog: 'DROP TRIGGER log_entry_never_goes; DROP TRIGGER log_entry_never_changes',
    bytes: (hex) => `x'${hex}'`,
    replaceEntry: "INSERT OR REPLACE INTO log_entry VALUES (1, x'00', x'00')",
  },
  ...(hasPostgres() ? [postgres] : []),
];

/** The log that a store appends to. */
export function logOf(
  signer: LogSigner,
  name = origin,
): {
  readonly appender: ReturnType<typeof createLogAppender>;
  readonly emptyHead: ReturnType<typeof emptyLogHead>;
} {
  return {
    appender: createLogAppender({ signer, origin: name, random: systemRandom }),
    emptyHead: emptyLogHead(name),
  };
}

function newSqlitePlace(): Place {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-store-'));
  const signer = newLogSigner();
  return {
    signer,
    location: folder,
    open: async (over = {}) => {
      return openSqliteStore({ folder, when: 'create', ...logOf(over.signer ?? signer, over.origin) });
    },
    openAsOwner: async () => openSqliteStore({ folder, when: 'open', ...logOf(signer) }),
    sql(text) {
      const database = new DatabaseSync(join(folder, 'sallyport.db'));
      try {
        database.exec(text);
      } finally {
        database.close();
      }
    },
    count(question) {
      const database = new DatabaseSync(join(folder, 'sallyport.db'), { readOnly: true });
      try {
        return Number(Object.values(database.prepare(question).get() ?? {})[0]);
      } finally {
        database.close();
      }
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The server that the places are on, one for the whole run. */
const server: PostgresServer | undefined = hasPostgres() ? await sharedPostgres() : undefined;

function newPostgresPlace(): Place {
  if (server === undefined) throw new Error('PostgreSQL is not here');
  const running = server;
  const database = newDatabase(running);
  const signer = newLogSigner();
  let made = false;
  return {
    signer,
    location: database,
    async open(over = {}) {
      const log = logOf(over.signer ?? signer, over.origin);
      if (!made) {
        await createPostgresDatabase({ address: addressOf(running, database, owner), ...log });
        running.sql(database, grants());
        made = true;
      }
      return openPostgresStore({ address: addressOf(running, database), ...log });
    },
    openAsOwner: () => openPostgresStore({ address: addressOf(running, database, owner), ...logOf(signer) }),
    sql: (text) => void running.sql(database, text),
    count: (question) => Number(running.sql(database, question)),
    remove: () => doneWith(database),
  };
}

export function newLogSigner(): LogSigner {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { publicKey, sign: (message) => sign(null, message, privateKey) };
}

export const ca = 'SHA256:the-first-ca';
export const otherCa = 'SHA256:the-second-ca';
export const start = Date.UTC(2026, 10, 23, 12);
export const anna = parsePersonId('corp:anna');
export const bert = parsePersonId('corp:bert');

export const entry = (over: Partial<EntryDraft> = {}): EntryDraft => ({
  type: 'log.heartbeat',
  outcome: 'success',
  timeMs: start,
  ...over,
});
export const entries = (count: number): EntryDraft[] =>
  Array.from({ length: count }, (_, at) => entry({ timeMs: start + at }));

export const principal = (text: string): Principal => parsePrincipal(text);
export const serial = (value: bigint | number): Serial => BigInt(value) as Serial;

export function credential(over: Partial<Credential> = {}): Credential {
  return {
    caFingerprint: ca,
    serial: serial(1),
    keyId: parseKeyId(`sp-${randomBytes(8).toString('hex')}`),
    personId: anna,
    login: 'anna',
    profile: 'users',
    keyType: 'ssh-ed25519',
    keyFingerprint: 'SHA256:key-of-anna',
    principals: ['anna'],
    validAfter: BigInt(start / 1000) - 60n,
    validBefore: BigInt(start / 1000) + 3600n,
    issuedMs: start,
    ...over,
  };
}

export function session(over: Partial<Session> = {}): Session {
  const tokenHash = randomBytes(32);
  return {
    tokenHash,
    id: `s-${tokenHash.toString('hex').slice(0, 16)}`,
    personId: anna,
    login: 'anna',
    directory: 'corp',
    keyThumbprint: 'thumbprint',
    createdMs: start,
    expiresMs: start + 3_600_000,
    ...over,
  };
}

export const seen = (personId = anna, login = 'anna') => ({
  personId,
  directory: 'corp',
  login,
  atMs: start,
});

/** The code that some work fails with, `done` when it does not. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
}

const sha256 = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** RFC 6962 section 2.1, as it stands there: MTH(D[n]) by splitting at the largest power of two below n. */
export function merkleTreeHash(leaves: readonly Uint8Array[]): Buffer {
  if (leaves.length === 0) return sha256();
  const [only] = leaves;
  if (leaves.length === 1 && only !== undefined) return sha256(Buffer.of(0), only);
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return sha256(Buffer.of(1), merkleTreeHash(leaves.slice(0, split)), merkleTreeHash(leaves.slice(split)));
}
