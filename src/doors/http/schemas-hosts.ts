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

const hostText = text(300);
const fingerprint = z.string().regex(/^SHA256:[A-Za-z0-9+/]{43}$/);
const group = text(32);
export const hostsQuery = z.strictObject({
  state: z.enum(['pending', 'enrolled', 'conflict', 'retired']).optional(),
  group: group.optional(),
  after: text(64).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(200),
});
export const hostQuery = z.strictObject({ host: hostText });
export const approveHostBody = z.strictObject({
  host: hostText,
  fingerprint,
  group: group.default('default'),
  names: z.array(name).min(1).max(32).optional(),
  reason,
});
export const retireHostBody = z.strictObject({
  host: hostText,
  reason: text(1000),
  apply: z.boolean().default(false),
});
export const moveHostBody = z.strictObject({ host: hostText, group, reason: text(1000) });
export const resolveHostBody = z.strictObject({ host: hostText, reason: text(1000) });

const decimal = z.string().regex(/^\d{1,20}$/);
const host = z.object({
  id: z.string(),
  group: z.string(),
  state: z.enum(['pending', 'enrolled', 'conflict', 'retired']),
  names: z.array(z.string()),
  addresses: z.array(z.string()),
  fingerprint: z.string(),
  hostKeys: z.array(z.string()),
  platform: z.string(),
  tokenId: z.string().optional(),
  createdAt: at,
  changedAt: at,
  conflict: z.string().optional(),
  conflictWith: z.string().optional(),
  freshness: z.enum(['fresh', 'stale', 'never']),
  behind: decimal.optional(),
  contact: z
    .object({
      at,
      installed: decimal,
      installedSince: at,
      checks: z.array(z.string()),
      sshd: z.string(),
      lastLoginAt: at.optional(),
    })
    .optional(),
});
const certificate = z.object({
  serial: decimal,
  keyId: z.string(),
  keyType: z.string(),
  keyFingerprint: z.string(),
  principals: z.array(z.string()),
  validAfter: at,
  validBefore: at,
});
export const hostsAnswer = z.object({
  hosts: z.array(host),
  current: decimal,
  next: z.string().optional(),
});
export const hostAnswer = z.object({ ...host.shape, certificates: z.array(certificate), current: decimal });
export const changedHostAnswer = z.object({
  host: z.string(),
  name: z.string().optional(),
  state: z.enum(['pending', 'enrolled', 'conflict', 'retired']),
  applied: z.boolean(),
  certificates: z.array(certificate),
  retired: z.string().optional(),
});

export const newHostTokenAnswer = z.object({ token: z.string(), ...hostToken.shape });
export const hostTokensAnswer = z.object({ tokens: z.array(hostToken) });
export const hostTokenAnswer = hostToken;
export const dropHostTokenBody = z.strictObject({ id: text(64), reason });
