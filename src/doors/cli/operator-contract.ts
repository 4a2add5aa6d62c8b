import type { JsonValue } from './output.ts';

/** What a command has to say when it is done: `value` for `--json`, `lines` for people. Nothing in it is a secret. */
export interface Outcome {
  readonly value: JsonValue;
  readonly lines: readonly string[];
}

/** What the operator's commands may do with the terminal while they run. */
export interface OperatorIo {
  /** One line about progress, on standard error. */
  note(line: string): void;
  /**
   * Asks without showing what is typed. @throws CodedError `cli.no_terminal` when nobody can answer.
   */
  askSecret(question: string): Promise<string>;
}

/** Kinds of key for the SSH CA, the usual one first. RSA and ECDSA are for hosts that take no Ed25519. */
export const caTypes = ['ed25519', 'ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521', 'rsa-3072', 'rsa-4096'] as const;
export type CaType = (typeof caTypes)[number];

export interface InitOptions {
  readonly folder: string;
  readonly caType: CaType;
  /** Names for the TLS certificate beside localhost and the loopback addresses. */
  readonly dnsNames: readonly string[];
  /** The first admin of the built-in directory. Undefined: none is made. */
  readonly admin: { readonly name: string; readonly password: string } | undefined;
  /** A PostgreSQL database instead of an SQLite file. */
  readonly database?: DatabaseArgument;
}

/** A PostgreSQL database as the command line names it: without a password. */
export interface DatabaseArgument {
  readonly url: string;
  /** PEM file of who may vouch for the server. */
  readonly caFile?: string;
}

export type PeopleAction = 'add' | 'passwd' | 'groups' | 'disable' | 'enable' | 'remove' | 'list';

export interface PeopleOptions {
  readonly configFile: string;
  /** Undefined for `list` only, where it means everybody. */
  readonly name: string | undefined;
  /** The groups that the person is in from now on, or for `list`, one of which they are in; undefined: not said. */
  readonly groups: readonly string[] | undefined;
  /** Set for `add` and `passwd` only. */
  readonly password: string | undefined;
  /** Do it although nobody would be left who may run the broker. */
  readonly yes: boolean;
}

export interface EraseOptions {
  readonly configFile: string;
  /** Person id, or a login that only one person has. */
  readonly person: string;
  readonly reason: string;
  /** Do it, instead of saying what it would do. */
  readonly yes: boolean;
}

export interface MigrateOptions {
  readonly configFile: string;
  /** Rehearse: do everything and take it back. */
  readonly dryRun: boolean;
  /** Another role than that of the broker: the one that owns the tables. */
  readonly database?: DatabaseArgument;
}

export interface ReindexOptions {
  readonly configFile: string;
  /** On PostgreSQL: the role that owns the tables. */
  readonly database?: DatabaseArgument;
}

export interface CopyOptions {
  /** Names the SQLite database as `data`. */
  readonly configFile: string;
  readonly to: DatabaseArgument;
}

export interface WitnessInitOptions {
  readonly folder: string;
  /** What its signature lines are to bear; undefined: a name that nobody else has. */
  readonly name: string | undefined;
  /** Verifier keys of the logs that it is to witness. */
  readonly logs: readonly string[];
}

export interface RecoverOptions {
  readonly configFile: string;
  readonly reason: string;
  /** Go on with the same log: the operator vouches that the database is the last one. */
  readonly asItStands: boolean;
  /** Leave certificates for TLS of servers as the copy knows them. */
  readonly keepServers?: boolean;
  /** Do it, instead of saying what it would do. */
  readonly yes: boolean;
}

export interface BackupOptions {
  readonly configFile: string;
  readonly out: string;
  /** Undefined: asked for. */
  readonly passphraseFile: string | undefined;
  /** The CA keys and the secrets that the configuration names, too. */
  readonly withKeys: boolean;
}

export interface RestoreOptions {
  readonly file: string;
  /** An empty folder, or one that does not exist. */
  readonly out: string;
  readonly passphraseFile: string | undefined;
}

/** Kinds of key for TLS authorities, the usual one first. */
export const tlsCaTypes = ['rsa-3072', 'ecdsa-p256', 'ecdsa-p384'] as const;
export type TlsCaType = (typeof tlsCaTypes)[number];

export interface TlsInitOptions {
  readonly configFile: string;
  readonly algorithm: TlsCaType;
  /** Begins the names of the authorities: `NAME Root CA`. */
  readonly name: string;
  readonly organization?: string;
  /** `http://…` without a path: where lists and OCSP will be. It stands in every certificate. */
  readonly address: string;
  /** The file that the key of the root goes into, to be taken away. */
  readonly rootKey: string;
  /** Undefined: asked for. */
  readonly rootPassphraseFile: string | undefined;
  /** Domains and networks that the issuing authority is bound to; none: any. */
  readonly permitDns: readonly string[];
  readonly permitNetworks: readonly string[];
  /** How long the list of the root is good. */
  readonly rootCrlDays: number;
  /** Also an authority for Windows logons. */
  readonly logon: boolean;
}

/** What every command with the key of the root takes. */
export interface TlsCaOptions {
  readonly configFile: string;
  readonly rootKey: string;
  /** Undefined: asked for. */
  readonly rootPassphraseFile: string | undefined;
}

export interface TlsRenewCaOptions extends TlsCaOptions {
  /** `issuing-1`. */
  readonly name: string;
}

export interface TlsRotateOptions extends TlsCaOptions {
  /** `issuing` or `logon`. */
  readonly kind: string;
}

export const tlsRevokeCodes = ['superseded', 'cessationOfOperation', 'keyCompromise'] as const;

export interface TlsRootListOptions extends TlsCaOptions {
  readonly days: number;
  /** Authorities that are no longer good. */
  readonly revoke: readonly string[];
  readonly code: (typeof tlsRevokeCodes)[number];
}

/**
 * The commands of whoever runs a broker; main implements them, because only main constructs things. Each throws CodedError
 * with cause and next step, and prints nothing itself.
 */
export interface OperatorCommands {
  /** Writes configuration, policy, CA keys, TLS certificate and directory below `folder`, or nothing. */
  init(options: InitOptions, io: OperatorIo): Promise<Outcome>;
  /** Makes the key of the host CA where it is missing, and changes nothing else. @throws CodedError `keys.exists` */
  initHostCa(
    options: { readonly configFile: string; readonly caType: CaType },
    io: OperatorIo,
  ): Promise<Outcome>;
  /** Reads everything that `serve` would read. @throws CodedError naming file and line of the first fault. */
  checkConfig(file: string, io: OperatorIo): Promise<Outcome>;
  /** Runs the broker until SIGINT or SIGTERM, and resolves when it has stopped cleanly. It writes its own log. */
  serve(options: { readonly configFile: string }, io: OperatorIo): Promise<void>;
  /**
   * Shows or changes the people of the built-in directory. A running broker knows within a second.
   * @throws CodedError `identity.unknown_person`, also for `list`; `main.last_admin`
   */
  people(action: PeopleAction, options: PeopleOptions, io: OperatorIo): Promise<Outcome>;
  /**
   * Erases a person's name, addresses and words, and what was written about them; entries and proofs stay. The broker must be
   * stopped. @throws CodedError `store.in_use`, `revocation.unknown_target`, `main.person_has_access`
   */
  erasePerson(options: EraseOptions, io: OperatorIo): Promise<Outcome>;
  /** Brings the schema of a PostgreSQL database to this version. @throws CodedError `store.newer_schema`, `main.not_postgres` */
  migrateStore(options: MigrateOptions): Promise<Outcome>;
  /** Empties the search of the log, to be built anew from it. @throws CodedError `store.in_use`, `store.unavailable` */
  reindexStore(options: ReindexOptions): Promise<Outcome>;
  /**
   * Copies the SQLite database of a stopped broker into an empty PostgreSQL database, with the same root of the log.
   * @throws CodedError `store.in_use`, `store.not_empty`
   */
  copyStore(options: CopyOptions, io: OperatorIo): Promise<Outcome>;
  /**
   * Makes a root and what signs under it, or nothing. @throws CodedError `main.tls_authority_exists`, `main.cannot_write`, `keys.exists`,
   * `keys.weak_passphrase`
   */
  initTls(options: TlsInitOptions, io: OperatorIo): Promise<Outcome>;
  /** A new certificate for an authority that is there, for the same key. */
  renewTlsAuthority(options: TlsRenewCaOptions, io: OperatorIo): Promise<Outcome>;
  /** The next authority of a kind, with a key of its own. */
  rotateTlsAuthority(options: TlsRotateOptions, io: OperatorIo): Promise<Outcome>;
  /** The list of the root, signed anew. */
  signRootList(options: TlsRootListOptions, io: OperatorIo): Promise<Outcome>;
  /** Makes the folder of a witness, or nothing. @throws CodedError `main.folder_not_empty`, `main.cannot_write` */
  initWitness(options: WitnessInitOptions): Promise<Outcome>;
  /** Runs a witness until SIGINT or SIGTERM. It writes its own log. */
  serveWitness(options: { readonly configFile: string }, io: OperatorIo): Promise<void>;
  /**
   * Begins a new log in a database that is not the last one, or goes on with the old one as it stands. The broker must be stopped.
   * @throws CodedError `store.in_use`, `store.not_owner`, `main.nothing_to_recover`, `main.same_origin`, `main.other_origin`,
   * `accounting.unverified_archive`, with `asItStands` what a start would be refused with
   */
  recover(options: RecoverOptions, io: OperatorIo): Promise<Outcome>;
  /**
   * Writes everything that a broker is into one sealed file; it may run meanwhile. @throws CodedError `main.backup_exists`,
   * `store.no_pg_dump`, `store.dump_failed`, `keys.weak_passphrase`
   */
  backup(options: BackupOptions, io: OperatorIo): Promise<Outcome>;
  /**
   * Opens a backup into an empty folder, or leaves nothing. @throws CodedError `main.not_empty`, `main.bad_backup`, `main.log_differs`,
   * and as `openSealedStream`
   */
  restore(options: RestoreOptions, io: OperatorIo): Promise<Outcome>;
}
