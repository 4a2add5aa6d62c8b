export { createListDirectory, type ListDirectory, type ListDirectoryOptions } from './list-directory.ts';
export { parseServerUrl } from './server-address.ts';
export { createLdapDirectory } from './rfc4519-directory.ts';
export type { DirectoryDeps } from './rfc4519-directory.ts';
export type { ConnectionConfig, GroupStyle, LdapDirectoryConfig } from './config.ts';
