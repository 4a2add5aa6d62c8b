/** What `sallyport init`, `serve`, `config check` and `people` do: the commands of whoever runs a broker. */
export { checkConfig } from './check.ts';
export { erasePerson } from './erase.ts';
export { init } from './init.ts';
export { people } from './people.ts';
export { serve } from './serve.ts';
