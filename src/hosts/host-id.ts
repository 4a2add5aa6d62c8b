import { parseHostId, type HostId, type RandomBytes } from '../kernel/index.ts';

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/** A fresh id: 130 random bits, so that no host can guess or choose one. */
export function newHostId(random: RandomBytes): HostId {
  return parseHostId(`h-${[...random(26)].map((byte) => alphabet[byte & 31]).join('')}`);
}
