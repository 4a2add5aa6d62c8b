import { describe, expect, it } from 'vitest';
import { limitPassed } from '../../src/broker/departure-breaker.ts';
import { KnownGroups } from '../../src/broker/known-groups.ts';
import type { ChangedObject } from '../../src/identity/index.ts';
import { parsePersonId } from '../../src/kernel/index.ts';
import { makePerson } from '../policy/support.ts';

const limits = { mostPeople: 20, mostPercent: 20, windowMs: 600_000 };

describe('the limit of departures at once', () => {
  it.each([
    [{ recent: 0, found: 0, atLarge: 0 }, undefined],
    [{ recent: 30, found: 0, atLarge: 100 }, undefined],
    [{ recent: 0, found: 20, atLarge: 1000 }, undefined],
    [{ recent: 0, found: 21, atLarge: 1000 }, 'people'],
    [{ recent: 20, found: 1, atLarge: 1000 }, 'people'],
    // In a small house one person is many per cent.
    [{ recent: 0, found: 2, atLarge: 2 }, undefined],
    [{ recent: 0, found: 3, atLarge: 15 }, undefined],
    [{ recent: 0, found: 3, atLarge: 14 }, 'percent'],
    [{ recent: 2, found: 1, atLarge: 4 }, 'percent'],
  ])('%j: %s', (seen, expected) => {
    expect(limitPassed(limits, seen)).toBe(expected);
  });

  it('of nought lets nobody go without an admin', () => {
    expect(limitPassed({ ...limits, mostPeople: 0 }, { recent: 0, found: 1, atLarge: 100 })).toBe('people');
  });
});

describe('the groups that people had', () => {
  const [anna, bert, carl] = ['anna', 'bert', 'carl'].map((name) => parsePersonId(`corp:${name}`));
  if (anna === undefined || bert === undefined || carl === undefined) throw new Error('three people');
  const people = new Set([anna, bert, carl]);
  const object = (over: Partial<ChangedObject>): ChangedObject => ({
    id: 'g',
    dns: [],
    attributes: [],
    isGone: false,
    ...over,
  });
  const known = new KnownGroups();
  known.remember({
    ...makePerson({ directory: 'corp' }),
    id: anna,
    groups: [{ dn: 'CN=Ops,DC=x', sid: 'S-1-5-21-1-1001' }],
  });
  known.remember({ ...makePerson({ directory: 'corp' }), id: bert, groups: [{ dn: 'CN=Dev,DC=x' }] });
  const touched = (over: Partial<ChangedObject>): string[] =>
    [...known.touchedBy([object(over)], people).keys()].sort();

  it.each([
    ['a person by id', { id: 'bert' }, [bert]],
    ['a group by its name, in any case, and who is not known yet', { dns: ['cn=ops,dc=X'] }, [anna, carl]],
    ['a group by its SID', { sid: 's-1-5-21-1-1001' }, [anna, carl]],
    ['a group that moved, by its old name', { dns: ['CN=New,DC=x', 'CN=Dev,DC=x'] }, [bert, carl]],
    ['a group that nobody is known to have', { dns: ['CN=Other,DC=x'] }, [carl]],
    ['something gone without a name: everybody', { isGone: true }, [anna, bert, carl]],
    ['something without a name that is there', {}, [carl]],
  ])('%s', (_, over, expected) => {
    expect(touched(over)).toEqual(expected);
  });

  it('names every change that touched somebody', () => {
    const changes = [object({ id: 'bert' }), object({ id: 'g2', dns: ['CN=Dev,DC=x'] })];
    expect(
      known
        .touchedBy(changes, people)
        .get(bert)
        ?.map(({ id }) => id),
    ).toEqual(['bert', 'g2']);
  });
});
