export { createBuiltInDirectory } from './directory.ts';
export type { BuiltInDirectoryOptions } from './directory.ts';
export { defaultScrypt } from './password.ts';
export type { ScryptParameters } from './password.ts';
export { parsePeople } from './people-file.ts';
export {
  addPerson,
  listPeople,
  readPeopleMarks,
  removePerson,
  setDisabled,
  setGroups,
  setPassword,
} from './people.ts';
export type { BuiltInPerson, NewBuiltInPerson, PeopleDeps, PeopleMarks, PersonMark } from './people.ts';
