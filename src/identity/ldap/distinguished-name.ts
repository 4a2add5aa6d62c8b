const plain = /^[A-Za-z0-9._@-]$/;

/**
 * One attribute value, ready to stand inside a DN. Everything but `A-Z a-z 0-9 . _ @ -` is written as `\XX` for each octet of
 * its UTF-8 form, in every position: servers differ in what they want escaped (Active Directory: `#` and `=` anywhere), and
 * all of them read the hex form.
 * @see RFC 4514 section 2.4
 */
export function escapeDnValue(value: string): string {
  let escaped = '';
  for (const character of value) {
    if (plain.test(character)) escaped += character;
    else
      for (const octet of Buffer.from(character, 'utf8'))
        escaped += `\\${octet.toString(16).padStart(2, '0')}`;
  }
  return escaped;
}

/** True for text of the shape `type=value[+type=value][,…]`; good enough to find mistakes, not a full RFC 4514 parser. */
export function isDistinguishedName(text: string): boolean {
  if (text.length > 4096 || /\p{Cc}/u.test(text)) return false;
  return text
    .split(/(?<!\\),/)
    .every((rdn) => /^\s*(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)\s*=\s*\S/.test(rdn));
}

/** True when the template is a DN with exactly one `{login}`, which is a whole value. */
export function isDnTemplate(template: string): boolean {
  return (
    template.split('{login}').length === 2 &&
    /=\{login\}(?:[,+]|$)/.test(template) &&
    isDistinguishedName(template.replace('{login}', 'x'))
  );
}

/** Puts a name into a checked template; a function replacement, because `$&` in a name must stay what it is. */
export function fillDnTemplate(template: string, login: string): string {
  return template.replace('{login}', () => escapeDnValue(login));
}

/**
 * True when `dn` lies at or below `base`. Compares text without case, which is how one server writes its own DNs; a
 * spelling that differs otherwise counts as outside, which refuses.
 */
export function isWithin(dn: string, base: string): boolean {
  const tight = (text: string, separator: string): string =>
    text
      .split(separator)
      .map((part) => part.trim())
      .join(separator);
  const normal = (text: string): string => tight(tight(text.toLowerCase(), ','), '=');
  return normal(dn) === normal(base) || normal(dn).endsWith(`,${normal(base)}`);
}
