import type { Answer } from './answer.ts';

export interface HostTokenRequest {
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  readonly group: string;
  readonly maxUses: number;
  readonly lifeSeconds: number;
  readonly reason?: string | undefined;
}

export interface HostToken {
  readonly id: string;
  readonly group: string;
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  readonly maxUses: number;
  readonly used: number;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly createdBy: string;
  readonly state: 'good' | 'used_up' | 'expired' | 'dropped';
}

/** @throws CodedError `client.bad_answer` */
export function readHostToken(answer: Answer): HostToken {
  return {
    id: answer.text('id', 64),
    group: answer.text('group', 64),
    names: answer.texts('names', 16, 253),
    addresses: answer.texts('addresses', 16, 64),
    maxUses: answer.count('maxUses'),
    used: answer.count('used'),
    createdAtMs: answer.time('createdAt'),
    expiresAtMs: answer.time('expiresAt'),
    createdBy: answer.text('createdBy', 400),
    state: answer.word('state', ['good', 'used_up', 'expired', 'dropped']),
  };
}

export type HostState = 'pending' | 'enrolled' | 'conflict' | 'retired';
const states = ['pending', 'enrolled', 'conflict', 'retired'] as const;

export interface Host {
  readonly id: string;
  readonly group: string;
  readonly state: HostState;
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  readonly fingerprint: string;
  readonly hostKeys: readonly string[];
  readonly platform: string;
  readonly conflict: string | undefined;
  readonly createdAtMs: number;
  readonly freshness: 'fresh' | 'stale' | 'never';
  /** How many bundles it is behind. */
  readonly behind: string | undefined;
  readonly contact:
    | {
        readonly atMs: number;
        readonly installed: string;
        readonly installedSinceMs: number;
        readonly checks: readonly string[];
        readonly sshd: string;
        readonly lastLoginAtMs: number | undefined;
      }
    | undefined;
}

const decimal = /^\d{1,20}$/;

/** @throws CodedError `client.bad_answer` */
export function readHost(answer: Answer): Host {
  const contact = answer.has('contact') ? answer.object('contact') : undefined;
  return {
    id: answer.text('id', 64),
    group: answer.text('group', 64),
    state: answer.word('state', states),
    names: answer.texts('names', 64, 253),
    addresses: answer.texts('addresses', 64, 64),
    fingerprint: answer.text('fingerprint', 64),
    hostKeys: answer.texts('hostKeys', 16, 64),
    platform: answer.text('platform', 32),
    conflict: answer.optionalText('conflict', 1000),
    createdAtMs: answer.time('createdAt'),
    freshness: answer.word('freshness', ['fresh', 'stale', 'never']),
    behind: answer.has('behind') ? answer.token('behind', decimal) : undefined,
    contact: contact && {
      atMs: contact.time('at'),
      installed: contact.token('installed', decimal),
      installedSinceMs: contact.time('installedSince'),
      checks: contact.texts('checks', 64, 64),
      sshd: contact.text('sshd', 200),
      lastLoginAtMs: contact.optionalTime('lastLoginAt'),
    },
  };
}

export interface HostCertificate {
  readonly serial: string;
  readonly keyType: string;
  readonly keyFingerprint: string;
  readonly principals: readonly string[];
  readonly validBeforeMs: number;
}

/** @throws CodedError `client.bad_answer` */
export function readHostCertificate(answer: Answer): HostCertificate {
  return {
    serial: answer.token('serial', decimal),
    keyType: answer.text('keyType', 100),
    keyFingerprint: answer.text('keyFingerprint', 64),
    principals: answer.texts('principals', 256, 253),
    validBeforeMs: answer.time('validBefore'),
  };
}

export interface ShownHost extends Host {
  readonly certificates: readonly HostCertificate[];
  /** Version of the bundle in force at the broker. */
  readonly current: string;
}

/** @throws CodedError `client.bad_answer` */
export function readShownHost(answer: Answer): ShownHost {
  return {
    ...readHost(answer),
    certificates: answer.objects('certificates', 1000).map(readHostCertificate),
    current: answer.token('current', decimal),
  };
}

export interface ChangedHost {
  readonly host: string;
  readonly name: string | undefined;
  readonly state: HostState;
  readonly applied: boolean;
  readonly certificates: readonly HostCertificate[];
  readonly retired: string | undefined;
}

/** @throws CodedError `client.bad_answer` */
export function readChangedHost(answer: Answer): ChangedHost {
  return {
    host: answer.text('host', 64),
    name: answer.optionalText('name', 253),
    state: answer.word('state', states),
    applied: answer.flag('applied'),
    certificates: answer.objects('certificates', 1000).map(readHostCertificate),
    retired: answer.optionalText('retired', 64),
  };
}
