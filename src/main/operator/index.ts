/** What `sallyport init`, `serve`, `config check`, `people`, `store` and `witness` do: the commands of whoever runs a broker. */
export { checkConfig } from './check.ts';
export { erasePerson } from './erase.ts';
export { init } from './init.ts';
export { people } from './people.ts';
export { serve } from './serve.ts';
export { copyStore, migrateStore } from './store.ts';
export { initWitness, serveWitness } from './witness.ts';
