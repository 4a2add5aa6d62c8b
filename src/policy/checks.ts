import { formatAddress, formatUtc, parsePeerAddress, printable } from '../kernel/index.ts';
import type { Attempt } from './attempt.ts';
import type { KeyFacts } from './grant.ts';
import { isWithin } from './networks.ts';
import type { Profile } from './policy.ts';
import type { Question, UserCertificateQuestion } from './question.ts';
import { formatDuration } from './read-settings.ts';
import { openUntilMs } from './windows.ts';

const maxReasonChars = 1000;
const longestLifetimeMs = 24 * 3600 * 1000;

/** Type allowed, RSA long enough, security key where the profile wants one. */
export function checkKey(attempt: Attempt, { keys, name }: Profile, key: KeyFacts | undefined): void {
  if (key === undefined) {
    attempt.skip('key', `none was given; ${[...keys.types].join(', ')} would do`, keys.line);
    return;
  }
  const given = keys.given.get(key.type);
  const type = printable(key.type, 64);
  if (given === undefined) {
    const isPlain = keys.securityKeyRequired && !key.type.startsWith('sk-');
    attempt.refuse({
      part: 'key',
      code: isPlain ? 'policy.security_key_required' : 'policy.key_type',
      message: isPlain
        ? `The profile “${name}” takes security keys only (ssh-keygen -t ed25519-sk), not ${type}.`
        : `The profile “${name}” does not take keys of type ${type}. Use one of ${[...keys.types].join(', ')}.`,
      line: keys.line,
    });
  } else if (key.type === 'ssh-rsa' && !(key.bits >= keys.rsaMinBits)) {
    attempt.refuse({
      part: 'key',
      code: 'policy.key_too_small',
      message: `This RSA key has ${key.bits} bits; the profile “${name}” takes ${keys.rsaMinBits} and more. Make a new key: ssh-keygen -t ed25519`,
      line: keys.line,
    });
  } else attempt.steps.push(given);
}

/** @returns the address to bind the certificate to, or undefined when the profile does not bind it. */
export function checkSource(
  attempt: Attempt,
  profile: Profile,
  asked: string | undefined,
): string | undefined {
  const { sources, sourceAddress: mandatory, bindSourceAddress, name } = profile;
  const line = sources?.line ?? profile.line;
  if (sources === undefined && !bindSourceAddress) {
    attempt.steps.push(anywhere);
    return undefined;
  }
  if (asked === undefined) {
    const from = sources === undefined ? 'any address' : sources.list.map(({ text }) => text).join(', ');
    attempt.skip('source', `none was given; ${from} would do`, line);
    return bindSourceAddress ? '(the address of the request)' : undefined;
  }
  const address = parsePeerAddress(asked);
  const shown = printable(asked, 64);
  const refuse = (message: string, line: number): undefined => {
    const next = 'Ask from a network that it allows, or ask your administrator.';
    attempt.refuse({
      part: 'source',
      code: 'policy.source_not_allowed',
      message: `${message} ${next}`,
      line,
    });
  };
  if (address === undefined) return refuse(`“${shown}” is not an address.`, line);
  if (sources !== undefined && !isWithin(address, sources))
    return refuse(`The profile “${name}” is not open to requests from ${shown}.`, line);
  if (!bindSourceAddress) {
    attempt.give('source', `${shown} is in an allowed network`, line);
    return undefined;
  }
  // A bound address replaces the mandatory list, so it must lie within it. A zone means nothing on another host.
  if (asked.includes('%') || (mandatory !== undefined && !isWithin(address, mandatory)))
    return refuse(
      `The profile “${name}” gives no certificate for use from ${shown}.`,
      mandatory?.line ?? profile.line,
    );
  const bound = formatAddress(address);
  attempt.give('source', `the certificate is good from ${bound} only`, profile.line);
  return bound;
}

const anywhere = { part: 'source', outcome: 'given', because: 'requests may come from anywhere' } as const;
const anytime = { part: 'window', outcome: 'given', because: 'open at all times' } as const;

/** @returns when the open window closes (ms), as far as certificates must not outlive it; undefined when nothing ends them. */
export function checkWindow(attempt: Attempt, profile: Profile, atMs: number): number | undefined {
  const { windows, name } = profile;
  const first = windows[0];
  if (first === undefined) {
    attempt.steps.push(anytime);
    return undefined;
  }
  const horizonMs = atMs + longestLifetimeMs;
  const untilMs = openUntilMs(windows, atMs, horizonMs);
  if (untilMs === undefined) {
    attempt.refuse({
      part: 'window',
      code: 'policy.outside_window',
      message: `The profile “${name}” is open at ${windows.map(({ text }) => text).join('; ')}, and it is now ${formatUtc(atMs)}. Ask again when it is open.`,
      line: first.line,
    });
    return undefined;
  }
  attempt.give('window', untilMs === horizonMs ? 'open' : `open until ${formatUtc(untilMs)}`, first.line);
  return profile.outliveWindow ? undefined : untilMs;
}

/** A reason where the profile wants one, never longer than the log keeps. */
export function checkReason(
  attempt: Attempt,
  { profile, request, reasonIsOpen }: Pick<Question, 'profile' | 'request' | 'reasonIsOpen'>,
): void {
  const { reasonRequired, reasonLine, name } = profile;
  const { reason } = request;
  const isGiven = reason !== undefined && /[\p{L}\p{N}]/u.test(reason);
  if (reason !== undefined && reason.length > maxReasonChars) {
    attempt.refuse({
      part: 'reason',
      code: 'policy.reason_too_long',
      message: `The reason has more than ${maxReasonChars} characters. Give a shorter one.`,
      line: reasonLine,
    });
  } else if (reasonRequired && reasonIsOpen) {
    attempt.skip('reason', 'none was given; the request must give one', reasonLine);
  } else if (reasonRequired && !isGiven) {
    attempt.refuse({
      part: 'reason',
      code: 'policy.reason_required',
      message: `The profile “${name}” needs a reason. Say in a few words what the access is for.`,
      line: reasonLine,
    });
  } else attempt.steps.push(isGiven ? reasonGiven : reasonNotNeeded);
}

const reasonGiven = { part: 'reason', outcome: 'given', because: 'a reason was given' } as const;
const reasonNotNeeded = { part: 'reason', outcome: 'given', because: 'none is needed' } as const;

/** @returns seconds from now: what was asked, never more than the profile's maximum nor past the window; undefined when refused. */
export function chooseLifetime(
  attempt: Attempt,
  { lifetime, name }: Profile,
  request: Pick<UserCertificateQuestion, 'ttlSeconds' | 'atMs'>,
  closesMs: number | undefined,
): number | undefined {
  const { minSeconds, defaultSeconds, maxSeconds, line } = lifetime;
  const asked = request.ttlSeconds;
  const tooShort = (message: string): undefined => {
    attempt.refuse({ part: 'lifetime', code: 'policy.ttl_too_short', message, line });
  };
  if (asked !== undefined && !(Number.isSafeInteger(asked) && asked >= minSeconds))
    return tooShort(
      `The profile “${name}” gives certificates for ${formatDuration(minSeconds)} or longer. Ask for at least that, or for nothing to get ${formatDuration(defaultSeconds)}.`,
    );
  let ttlSeconds = Math.min(asked ?? defaultSeconds, maxSeconds);
  if (asked === undefined) attempt.steps.push(lifetime.byDefault);
  else if (asked > maxSeconds)
    attempt.give(
      'lifetime',
      `${formatDuration(asked)} was asked; shortened to the maximum, ${formatDuration(maxSeconds)}`,
      line,
    );
  else attempt.give('lifetime', `${formatDuration(asked)}, as asked`, line);
  if (closesMs === undefined) return ttlSeconds;
  const leftSeconds = Math.floor(closesMs / 1000) - Math.floor(request.atMs / 1000);
  if (leftSeconds >= ttlSeconds) return ttlSeconds;
  ttlSeconds = leftSeconds;
  if (ttlSeconds < minSeconds)
    return tooShort(
      `The profile “${name}” closes in ${formatDuration(Math.max(0, leftSeconds))}, which is too short for a certificate. Ask again when it opens next.`,
    );
  attempt.give(
    'lifetime',
    `shortened to ${formatDuration(ttlSeconds)}: a certificate ends with its window`,
    line,
  );
  return ttlSeconds;
}

/** The profile's extensions, or those of them that were asked for. */
export function chooseExtensions(
  attempt: Attempt,
  profile: Profile,
  asked: readonly string[] | undefined,
): ReadonlyMap<string, string> {
  if (asked === undefined) return profile.extensions;
  for (const extension of asked) {
    if (profile.extensions.has(extension)) continue;
    attempt.refuse({
      part: `extension ${printable(extension, 64)}`,
      code: 'policy.extension_not_granted',
      message: `The profile “${profile.name}” does not give the extension “${printable(extension, 64)}”. Ask without it.`,
      line: profile.line,
    });
  }
  return new Map([...profile.extensions].filter(([extension]) => asked.includes(extension)));
}
