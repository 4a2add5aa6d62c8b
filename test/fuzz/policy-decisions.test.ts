import { expect, it } from 'vitest';
import { faultsOf } from './policy-faults.ts';
import { generatedDecisions, ownerOf } from './policy-models.ts';

const rounds = 120_000;

it(`grants nothing beyond the policy in ${rounds} generated requests`, () => {
  const outcomes = new Map<string, number>();
  let round = 0;
  for (const { models, asker, asked, decision } of generatedDecisions()) {
    if ((round += 1) > rounds) break;
    if (decision.outcome === 'granted') {
      const faults = faultsOf(decision.grant, { models, asker, asked, ownerOf });
      if (faults.length > 0)
        expect.fail(
          `${faults.join('; ')}\n${JSON.stringify([models, [...asker.attributes], asker.groups, asked])}`,
        );
      outcomes.set('granted', (outcomes.get('granted') ?? 0) + 1);
      continue;
    }
    if (decision.refusals.length === 0) expect.fail(`refused without reason: ${JSON.stringify(asked)}`);
    for (const { code, message } of decision.refusals) {
      outcomes.set(code, (outcomes.get(code) ?? 0) + 1);
      if (message.length < 20 || /[\p{Cc}\p{Cf}]/u.test(message))
        expect.fail(`${code}: ${JSON.stringify(message)}`);
    }
  }
  // The property says nothing unless every outcome was met.
  expect(outcomes.get('granted')).toBeGreaterThan(rounds / 20);
  expect([...outcomes.keys()].toSorted()).toEqual([
    'granted',
    'policy.bad_principal',
    'policy.extension_not_granted',
    'policy.key_too_small',
    'policy.key_type',
    'policy.no_principals',
    'policy.no_profile',
    'policy.not_a_member',
    'policy.outside_window',
    'policy.principal_not_granted',
    'policy.principal_protected',
    'policy.principal_shared',
    'policy.principal_taken',
    'policy.reason_required',
    'policy.security_key_required',
    'policy.source_not_allowed',
    'policy.ttl_too_short',
    'policy.unknown_profile',
  ]);
});
