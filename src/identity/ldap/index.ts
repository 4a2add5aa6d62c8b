export { createLdapDirectory } from './rfc4519-directory.ts';
export type { DirectoryDeps } from './rfc4519-directory.ts';
export type { ConnectionConfig, GroupStyle, LdapDirectoryConfig } from './config.ts';
