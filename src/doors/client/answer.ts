import type { Serial } from '../../kernel/index.ts';
import { CodedError, parseRfc3339, parseSerial, printable } from '../../kernel/index.ts';

/**
 * Reads one JSON object of a broker's answer, field by field. Fields that nobody asks for are ignored, so that a newer
 * broker may say more; a field that is asked for must be there, of its kind and within its bound.
 * @throws CodedError `client.bad_answer` from every method.
 */
export class Answer {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #what: string;

  /** @param what names the object in errors, e.g. `session`. */
  constructor(value: unknown, what: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw badAnswer(`the ${what} is not an object`);
    this.#fields = value as Readonly<Record<string, unknown>>;
    this.#what = what;
  }

  has(name: string): boolean {
    return this.#field(name) !== undefined;
  }

  /** Text of 1 to `maxChars` characters; may hold anything, so print it through `printable`. */
  text(name: string, maxChars = 1000): string {
    const value = this.#field(name);
    if (typeof value !== 'string' || value.length === 0 || value.length > maxChars)
      throw this.#bad(name, `text of 1 to ${maxChars} characters`);
    return value;
  }

  optionalText(name: string, maxChars = 1000): string | undefined {
    return this.has(name) && this.#fields[name] !== '' ? this.text(name, maxChars) : undefined;
  }

  /** Text that must match the whole pattern. */
  token(name: string, pattern: RegExp, maxChars = 4096): string {
    const value = this.text(name, maxChars);
    if (!pattern.test(value)) throw this.#bad(name, 'in its grammar');
    return value;
  }

  /** One of the given words. */
  word<Word extends string>(name: string, words: readonly Word[]): Word {
    const value = this.text(name, 100);
    const found = words.find((word) => word === value);
    if (found === undefined) throw this.#bad(name, `one of ${words.join(', ')}`);
    return found;
  }

  /** Milliseconds since the epoch, from an RFC 3339 text. */
  time(name: string): number {
    const timeMs = parseRfc3339(this.text(name, 40));
    if (timeMs === undefined) throw this.#bad(name, 'an RFC 3339 time');
    return timeMs;
  }

  optionalTime(name: string): number | undefined {
    return this.has(name) ? this.time(name) : undefined;
  }

  /** A serial written as a decimal string. */
  serial(name: string): Serial {
    const value = this.token(name, /^\d{1,20}$/);
    try {
      return parseSerial(value);
    } catch {
      // The same fault as any other field out of its grammar.
      throw this.#bad(name, 'a serial');
    }
  }

  /** A whole number from 0 to 2^53-1. */
  count(name: string): number {
    const value = this.#field(name);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
      throw this.#bad(name, 'a whole number');
    return value;
  }

  flag(name: string): boolean {
    const value = this.#field(name);
    if (typeof value !== 'boolean') throw this.#bad(name, 'true or false');
    return value;
  }

  object(name: string): Answer {
    return new Answer(this.#field(name), `${this.#what}'s ${name}`);
  }

  optionalObject(name: string): Answer | undefined {
    return this.has(name) ? this.object(name) : undefined;
  }

  objects(name: string, maxItems = 10_000): readonly Answer[] {
    return this.#list(name, maxItems).map((value) => new Answer(value, `${this.#what}'s ${name}`));
  }

  texts(name: string, maxItems = 1000, maxChars = 1000): readonly string[] {
    return this.#list(name, maxItems).map((value) => {
      if (typeof value !== 'string' || value.length > maxChars) throw this.#bad(name, 'a list of texts');
      return value;
    });
  }

  /** An object whose values are all texts; flags of a certificate have the empty text. */
  textMap(name: string, maxItems = 100): ReadonlyMap<string, string> {
    const inner = this.object(name);
    const names = Object.keys(inner.#fields);
    if (names.length > maxItems) throw this.#bad(name, `an object of at most ${maxItems} fields`);
    return new Map(
      names.map((key) => {
        const value = inner.#fields[key];
        if (typeof value !== 'string' || value.length > 10_000) throw this.#bad(name, 'an object of texts');
        return [key, value];
      }),
    );
  }

  /** The object as it came, for output to a machine. */
  get raw(): Readonly<Record<string, unknown>> {
    return this.#fields;
  }

  #field(name: string): unknown {
    return Object.hasOwn(this.#fields, name) ? (this.#fields[name] ?? undefined) : undefined;
  }

  #list(name: string, maxItems: number): readonly unknown[] {
    const value = this.#field(name);
    if (!Array.isArray(value) || value.length > maxItems)
      throw this.#bad(name, `a list of at most ${maxItems} items`);
    return value;
  }

  #bad(name: string, wanted: string): CodedError {
    return badAnswer(`the ${this.#what}'s “${printable(name, 40)}” is not ${wanted}`);
  }
}

/** @param why goes on after “…this version cannot use: ”. */
export function badAnswer(why: string, cause?: unknown): CodedError {
  return new CodedError('client.bad_answer', `The broker gave an answer that cannot be used: ${why}.`, {
    next: 'Check that SALLYPORT_URL names a Sallyport broker, and that client and broker are of versions that fit.',
    cause,
  });
}

/**
 * Parses JSON that is expected to hold one object.
 * @throws CodedError `client.bad_answer`
 */
export function parseAnswer(text: string, what: string): Answer {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw badAnswer(`the ${what} is not JSON`, error);
  }
  return new Answer(value, what);
}
