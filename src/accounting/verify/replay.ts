import { type Entry, isRecord, type Json } from './entry.ts';
import { type Epoch, isAuthorityName, readEpoch, readSerial } from './epoch.ts';
import { Listed } from './listed.ts';
import { SerialRuns } from './serials.ts';
import type { Finding } from './verdict.ts';

/** Clocks of several brokers differ, and flows commit out of order: that far back is no sign of anything. */
export const clockToleranceMs = 5 * 60 * 1000;
/** Serials reserved by requests or brokers that ran side by side may be missing for that long, at the end of a log. */
export const serialGraceMs = 15 * 60 * 1000;
const defaultHeartbeatMs = 10 * 60 * 1000;
// Authorities are made by hand, and brokers leave few holes: more than these are an attack on the verifier's memory.
const maxAuthorities = 10_000;
const maxRuns = 100_000;

interface Authority {
  readonly accounted: SerialRuns;
  readonly voids: SerialRuns;
  /** The first serial that this log must account for. */
  readonly first: bigint;
  lastIndex: bigint;
}

/** Plays the entries through and finds what is missing or contradicts what came before. The first finding of each state stays. */
export class Replay {
  readonly #authorities = new Map<string, Authority>();
  readonly #found: Finding[] = [];
  readonly #fromStart: boolean;
  readonly #listed = new Listed();
  #epoch: Epoch | undefined;
  #listVersion = 0n;
  #latestMs = 0;
  #previousMs = 0;
  #heartbeatMs: number | undefined;
  #heartbeats = false;

  /** `fromStart`: entry 0 is the first one given, so that nothing can have come before. */
  constructor(fromStart: boolean) {
    this.#fromStart = fromStart;
  }

  entry(index: bigint, entry: Entry): void {
    this.#checkTime(index, entry);
    // The first contradiction decides, so that nothing more need be remembered.
    if (this.#found.some((finding) => finding.state === 'failed')) return;
    if (entry.type === 'cred.void') this.#void(index, entry);
    if (entry.outcome !== 'success') return;
    if (entry.type === 'log.epoch') this.#begin(index, entry);
    if (entry.type === 'cred.issue') this.#issue(index, entry);
    else if (entry.type === 'cred.revoke') this.#revoke(index, entry);
    else if (entry.type === 'krl.publish') this.#publish(index, entry);
  }

  /** The log that this one goes on from, when its first entry said so. */
  get epoch(): Epoch | undefined {
    return this.#epoch;
  }

  /** `part`: what to say when nothing is wrong with what was given, but that was not every entry of the tree. */
  finish(part?: Finding): Finding {
    for (const [name, { accounted, lastIndex, first }] of this.#authorities) {
      const hole = accounted.firstHole(this.#latestMs - serialGraceMs, first);
      if (part !== undefined || hole === undefined) continue;
      const detail = `Serial ${hole} of the authority ${name} was neither issued nor declared void.`;
      this.#tell('incomplete', lastIndex, detail);
    }
    const first = this.#found.find((finding) => finding.state === 'failed') ?? this.#found[0];
    if (first !== undefined) return first;
    if (part !== undefined) return part;
    const silence = !this.#heartbeats
      ? ' There are no heartbeats, so a silent time and a time without logging look the same.'
      : '';
    const full = this.#listed.isFull
      ? ' More was revoked than can be remembered here: later lists were not compared with it.'
      : '';
    return {
      state: 'verified',
      detail: `Every serial is accounted for, lists rise and hold what was revoked, revocations meet issued certificates, times run forward.${silence}${full}${this.#epochWords()}`,
    };
  }

  #epochWords(): string {
    if (this.#epoch === undefined) return '';
    const { origin, size } = this.#epoch;
    return ` This log goes on from the log ${origin} of ${size} entries, which was not the last state of that log: serials are counted from what entry 0 says, and what was issued before is not in here.`;
  }

  #begin(index: bigint, entry: Entry): void {
    this.#epoch = index === 0n ? readEpoch(entry) : undefined;
    if (this.#epoch === undefined)
      return this.#tell(
        'failed',
        index,
        `Entry ${index} begins a log where none can begin, or without saying from which serials on.`,
      );
    this.#listVersion = this.#epoch.listVersion;
  }

  #tell(state: 'failed' | 'incomplete', index: bigint, detail: string): void {
    if (!this.#found.some((finding) => finding.state === state)) this.#found.push({ state, index, detail });
  }

  #checkTime(index: bigint, { time, timeMs, type, fields }: Entry): void {
    if (timeMs < this.#latestMs - clockToleranceMs) {
      this.#tell(
        'incomplete',
        index,
        `The time of entry ${index}, ${time}, lies far before that of an earlier entry.`,
      );
    }
    this.#latestMs = Math.max(this.#latestMs, timeMs);
    const silenceMs = timeMs - this.#previousMs;
    // A start or stop makes a silence honest: the broker was off, and the log says so.
    if (type === 'system.start') this.#heartbeatMs = undefined;
    else if (this.#heartbeatMs !== undefined && silenceMs > 2 * this.#heartbeatMs + 60_000) {
      const minutes = Math.floor(silenceMs / 60_000);
      this.#tell(
        'incomplete',
        index,
        `The log is silent for ${minutes} minutes before entry ${index}, without a heartbeat.`,
      );
    }
    if (type === 'log.heartbeat') {
      this.#heartbeats = true;
      this.#heartbeatMs = heartbeatMs(fields['heartbeat']);
    }
    if (type === 'system.stop') this.#heartbeatMs = undefined;
    this.#previousMs = timeMs;
  }

  #issue(index: bigint, entry: Entry): void {
    const cred = entry.fields['cred'];
    // X.509 serials are random: only SSH serials are counted.
    if (isRecord(cred) && typeof cred['kind'] === 'string' && !cred['kind'].startsWith('ssh-')) return;
    const authority = this.#authority(index, cred);
    const serial = readSerial(isRecord(cred) ? cred['serial'] : undefined);
    if (authority === undefined || serial === undefined)
      return this.#tell(
        'failed',
        index,
        `Entry ${index} issues a certificate without a serial or authority.`,
      );
    authority.lastIndex = index;
    if (serial < authority.first) return this.#tellOld(index, serial);
    if (!authority.accounted.add(serial, serial, entry.timeMs))
      this.#tell('failed', index, `Entry ${index} issues serial ${serial} a second time.`);
    this.#bound(index, authority);
  }

  #void(index: bigint, entry: Entry): void {
    const cred = entry.fields['cred'];
    const authority = this.#authority(index, cred);
    const first = readSerial(isRecord(cred) ? cred['serial_first'] : undefined);
    const last = readSerial(isRecord(cred) ? cred['serial_last'] : undefined);
    if (authority === undefined || first === undefined || last === undefined || last < first)
      return this.#tell('failed', index, `Entry ${index} declares serials void without saying which.`);
    authority.lastIndex = index;
    if (first < authority.first) return this.#tellOld(index, first);
    if (!authority.accounted.add(first, last, entry.timeMs))
      this.#tell(
        'failed',
        index,
        `Entry ${index} declares serials ${first} to ${last} void, but not all were free.`,
      );
    authority.voids.add(first, last, entry.timeMs);
    this.#bound(index, authority);
  }

  #tellOld(index: bigint, serial: bigint): void {
    const detail = `Entry ${index} takes serial ${serial}, which belongs to the log before this one.`;
    this.#tell('failed', index, detail);
  }

  #revoke(index: bigint, entry: Entry): void {
    const cred = entry.fields['cred'];
    // Revocations by person, key or time name no serial; X.509 serials are not counted.
    if (!isRecord(cred) || cred['serial'] === undefined || cred['ca_fp'] === undefined)
      return this.#listed.act(index, entry.fields['target']);
    if (typeof cred['kind'] === 'string' && !cred['kind'].startsWith('ssh-')) return;
    const serial = readSerial(cred['serial']);
    if (serial === undefined)
      return this.#tell('failed', index, `Entry ${index} revokes something that is no serial.`);
    const name = typeof cred['ca_fp'] === 'string' ? cred['ca_fp'] : '';
    this.#listed.revoke(index, name, serial, cred['not_after']);
    // Issued by the log before, if at all.
    if (serial < (this.#epoch?.firstSerials.get(name) ?? 1n)) return;
    const authority = this.#authorities.get(name);
    const issued = authority?.accounted.has(serial) === true && !authority.voids.has(serial);
    if (this.#fromStart && !issued)
      this.#tell('failed', index, `Entry ${index} revokes serial ${serial}, which was never issued.`);
  }

  #publish(index: bigint, entry: Entry): void {
    const artifact = entry.fields['artifact'];
    const version = readSerial(isRecord(artifact) ? artifact['version'] : undefined);
    if (version === undefined || version <= this.#listVersion)
      return this.#tell(
        'failed',
        index,
        `Entry ${index} publishes a revocation list whose version does not rise.`,
      );
    this.#listVersion = version;
    const wrong = this.#listed.check(index, entry, this.#fromStart && this.#epoch === undefined);
    if (wrong !== undefined)
      this.#tell('failed', index, `Entry ${index} publishes a revocation list ${wrong}.`);
  }

  #authority(index: bigint, cred: Json | undefined): Authority | undefined {
    const name = isRecord(cred) ? cred['ca_fp'] : undefined;
    if (!isAuthorityName(name)) return undefined;
    const known = this.#authorities.get(name);
    if (known !== undefined) return known;
    const first = this.#epoch?.firstSerials.get(name) ?? 1n;
    const fresh = { accounted: new SerialRuns(), voids: new SerialRuns(), first, lastIndex: index };
    if (this.#authorities.size >= maxAuthorities)
      this.#tell('failed', index, `Entry ${index} names one authority more than ${maxAuthorities}.`);
    else this.#authorities.set(name, fresh);
    return fresh;
  }

  #bound(index: bigint, { accounted, voids }: Authority): void {
    if (accounted.count <= maxRuns && voids.count <= maxRuns) return;
    this.#tell('failed', index, `The serials have more than ${maxRuns} holes by entry ${index}.`);
  }
}

/** The promise that a heartbeat makes: the next entry comes within that time. */
function heartbeatMs(heartbeat: Json | undefined): number {
  const seconds = isRecord(heartbeat) ? heartbeat['interval_seconds'] : undefined;
  return typeof seconds === 'number' && seconds > 0 && seconds <= 86_400
    ? seconds * 1000
    : defaultHeartbeatMs;
}
