import { isPossibleLogin } from '../typed.ts';

/**
 * True for a name that is worth asking an LDAP directory about. Besides what nobody may be called, refused are names that begin
 * or end with white space, and names that Unicode compatibility normalisation (NFKC) would change: full-width forms, ligatures
 * and decomposed letters. So two spellings never reach the directory that a person would read as one. What remains (letter case,
 * inner spaces) is compared by the directory's own rules, and the login that counts comes from the entry.
 */
export function isLdapLogin(typed: string): boolean {
  return isPossibleLogin(typed) && !/^\p{Z}|\p{Z}$/u.test(typed) && typed.normalize('NFKC') === typed;
}
