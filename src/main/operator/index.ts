/** What `sallyport init`, `serve`, `audit recover` and the others do: the commands of whoever runs a broker. */
export { backup } from './backup.ts';
export { checkConfig } from './check.ts';
export { erasePerson } from './erase.ts';
export { initHostCa } from './host-ca.ts';
export { init } from './init.ts';
export { recover } from './recover.ts';
export { people } from './people.ts';
export { restore } from './restore.ts';
export { serve } from './serve.ts';
export { copyStore, migrateStore, reindexStore } from './store.ts';
export { renewTlsAuthority, rotateTlsAuthority, signRootList } from './tls-ca.ts';
export { initTls } from './tls-init.ts';
export { initWitness, serveWitness } from './witness.ts';
