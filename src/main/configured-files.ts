import { statSync } from 'node:fs';
import { CodedError } from '../kernel/index.ts';
import type { Config, DirectoryConfig } from './config.ts';
import type { SinkConfig } from './config-sinks.ts';

/** A file that somebody else made and the broker reads: without it a copy of the configuration does not start. */
export interface ConfiguredFile {
  /** What names it, for people. */
  readonly field: string;
  /** Absolute. */
  readonly path: string;
  /** A backup has it only together with the keys. Not the TLS key: it is replaced every few weeks anyway. */
  readonly isSecret: boolean;
}

/**
 * Every file that the configuration names, but for those that the broker itself writes (database, checkpoint, file sinks) and those
 * in the folder of the keys.
 */
export function configuredFiles(config: Config): readonly ConfiguredFile[] {
  const { tls, policy, keys, log, hosts, database } = config;
  return [
    plain('policy', policy),
    plain('tls.certificate', tls.certificate),
    plain('tls.key', tls.key),
    secret('keys.passphrase.file', 'file' in keys.passphrase ? keys.passphrase.file : undefined),
    plain('database.ca-file', database?.['ca-file']),
    secret('database.password-file', database?.['password-file']),
    plain('log.witnesses', log.witnesses),
    plain('log.witness-ca-file', log['witness-ca-file']),
    plain('hosts.ca-file', hosts['ca-file']),
    plain('tls-authority.ldap-push.ca-file', config['tls-authority']?.['ldap-push']?.['ca-file']),
    secret(
      'tls-authority.ldap-push.password-file',
      config['tls-authority']?.['ldap-push']?.['password-file'],
    ),
    ...config.directories.map(filesOfDirectory),
    ...config.sinks.map(filesOfSink),
  ].flat();
}

/** @throws CodedError `main.missing_file` for the first that is not there, or is no file */
export function requireConfiguredFiles(files: readonly ConfiguredFile[]): void {
  for (const { field, path } of files) {
    if (statSync(path, { throwIfNoEntry: false })?.isFile() === true) continue;
    throw new CodedError('main.missing_file', `The configuration names ${path}, and there is no such file.`, {
      next: `Put it there, or change \`${field}\`.`,
    });
  }
}

function filesOfDirectory(directory: DirectoryConfig): readonly ConfiguredFile[] {
  const of = `directories.${directory.name}`;
  if (directory.kind === 'built-in') return plain(`${of}.file`, directory.file);
  return [
    ...plain(`${of}.ca-file`, directory['ca-file']),
    ...secret(`${of}.service.password-file`, directory.service?.['password-file']),
  ];
}

function filesOfSink(sink: SinkConfig): readonly ConfiguredFile[] {
  const of = `sinks.${sink.name}`;
  switch (sink.kind) {
    case 'file':
      return [];
    case 'syslog':
      return [
        ...plain(`${of}.ca-file`, sink['ca-file']),
        ...plain(`${of}.certificate`, sink.certificate),
        ...secret(`${of}.key`, sink.key),
      ];
    case 'webhook':
      return [
        ...plain(`${of}.ca-file`, sink['ca-file']),
        ...secret(`${of}.secret-file`, sink['secret-file']),
        ...secret(`${of}.authorization-file`, sink['authorization-file']),
      ];
    case 'mail':
      return [
        ...plain(`${of}.ca-file`, sink['ca-file']),
        ...secret(`${of}.login.password-file`, sink.login?.['password-file']),
      ];
  }
}

function plain(field: string, path: string | undefined): readonly ConfiguredFile[] {
  return path === undefined ? [] : [{ field, path, isSecret: false }];
}

function secret(field: string, path: string | undefined): readonly ConfiguredFile[] {
  return path === undefined ? [] : [{ field, path, isSecret: true }];
}
