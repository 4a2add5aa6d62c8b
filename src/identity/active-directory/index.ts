export { createActiveDirectory } from './active-directory.ts';
export type { ActiveDirectoryDeps } from './active-directory.ts';
export type { ActiveDirectoryConfig } from './config.ts';
export type { NameResolver, SrvRecord } from './discovery.ts';
