const maxLoginChars = 256;
const maxPasswordBytes = 256;

/**
 * True for a login name that anybody may have: 1 to 256 characters, not all white space, none of them a control, format
 * (zero-width, bidirectional), line-separator, private or unassigned character or half of one.
 */
export function isPossibleLogin(typed: string): boolean {
  return typed.length <= maxLoginChars && typed.trim().length > 0 && !/[\p{C}\p{Zl}\p{Zp}]/u.test(typed);
}

/**
 * True for 1 to 256 bytes of UTF-8 without NUL. An empty password would be an “unauthenticated bind”, which directories answer
 * with success (RFC 4513 section 5.1.2), and one that starts with NUL is empty to servers written in C; lone surrogates would
 * reach different directories as different bytes.
 */
export function isPossiblePassword(typed: string): boolean {
  return (
    typed.length > 0 &&
    typed.length <= maxPasswordBytes &&
    Buffer.byteLength(typed, 'utf8') <= maxPasswordBytes &&
    !typed.includes('\0') &&
    typed.isWellFormed()
  );
}
