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
