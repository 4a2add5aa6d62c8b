import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { everyFileBelow, spellingsOf, type Canary } from './canaries.ts';

interface HandedOut extends Canary {
  readonly spellings: readonly Buffer[];
}

interface Heard {
  readonly place: string;
  readonly text: () => string;
  /** What comes before was looked at already. */
  from: number;
}

/** All that the helpers know in this test file, which has a process of its own. */
const secrets = new Map<string, HandedOut>();
const heard: Heard[] = [];
const longestSpelling = 512;

/**
 * A secret that a test works with: from now on `refuseLeaks` looks for it. Words that may stand anywhere (`wrong`) are none.
 * @param kept paths below a broker's folder that exist to hold it
 */
export function handOut(what: string, secret: string | Buffer, kept: readonly string[] = []): void {
  const isWord = typeof secret === 'string' && /^[A-Za-z]*$/.test(secret);
  if (isWord || secret.length < 6 || secret.length > longestSpelling / 4) return;
  const name = secret.toString('latin1');
  const known = secrets.get(name);
  const places = [...new Set([...(known?.kept ?? []), ...kept])];
  const spellings = known?.spellings ?? spellingsOf(secret);
  secrets.set(name, { what: known?.what ?? what, secret, kept: places, spellings });
}

/** What the command line is told in secret, and what it keeps of its session. */
export function handOutCommand(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  input: string,
): { ended(): void } {
  if (args.includes('--password-stdin')) handOut(`password for ${args[0]}`, input.trim());
  const sessionFile = join(env['SALLYPORT_HOME'] ?? '', 'session.json');
  return {
    ended() {
      if (env['SALLYPORT_HOME'] === undefined || !existsSync(sessionFile)) return;
      const text = readFileSync(sessionFile, 'utf8');
      // Not as JSON: tests of the client leave broken files there.
      const [, token = ''] = /"token": ?"([^"]+)"/.exec(text) ?? [];
      const [, d = ''] = /"d": ?"([^"]+)"/.exec(text) ?? [];
      handOut(`token that ${args[0]} left`, token);
      handOut(`proof key that ${args[0]} left`, Buffer.from(d, 'base64url'));
    },
  };
}

/** What a process prints or a broker logs: `text` gives all of it so far. */
export function hear(place: string, text: () => string): void {
  heard.push({ place, text, from: 0 });
}

/**
 * Looks for every secret in every file of a broker's folder, and in what was heard since the last look. Quick: plain searches.
 * @throws Error that names the secrets that were found and the places, never a secret itself
 */
export function refuseLeaks(folder: string): void {
  const found = [...everyFileBelow(folder, 'broker')].flatMap(([place, bytes]) => leaksIn(place, bytes));
  for (const one of heard) {
    const text = one.text();
    const leaks = leaksIn(one.place, Buffer.from(text.slice(one.from)));
    // The beginning of a secret may be the end of what was said so far.
    one.from = leaks.length > 0 ? text.length : Math.max(0, text.length - longestSpelling);
    found.push(...leaks);
  }
  if (found.length > 0) throw new Error(`secrets were left behind: ${found.join('; ')}`);
}

function leaksIn(place: string, bytes: Buffer): readonly string[] {
  return [...secrets.values()]
    .filter(({ kept = [] }) => !kept.some((path) => place === `broker/${path}`))
    .filter(({ spellings }) => spellings.some((spelt) => bytes.includes(spelt)))
    .map(({ what }) => `${what} in ${place}`);
}
