import { z } from 'zod';

const text = (max: number): z.ZodString => z.string().min(1).max(max);
const name = text(253);
const at = z.iso.datetime();
const reason = text(1000).optional();

export const hostTokenBody = z.strictObject({
  names: z.array(name).min(1).max(16),
  addresses: z.array(text(60)).max(16).default([]),
  group: text(32).default('default'),
  maxUses: z.number().int().min(1).max(100_000).default(1),
  lifeSeconds: z
    .number()
    .int()
    .min(60)
    .max(366 * 86_400)
    .default(86_400),
  reason,
});

const hostToken = z.object({
  id: z.string(),
  group: z.string(),
  names: z.array(z.string()),
  addresses: z.array(z.string()),
  maxUses: z.number().int(),
  used: z.number().int(),
  createdAt: at,
  expiresAt: at,
  createdBy: z.string(),
  state: z.enum(['good', 'used_up', 'expired', 'dropped']),
});

export const newHostTokenAnswer = z.object({ token: z.string(), ...hostToken.shape });
export const hostTokensAnswer = z.object({ tokens: z.array(hostToken) });
export const hostTokenAnswer = hostToken;
export const dropHostTokenBody = z.strictObject({ id: text(64), reason });
