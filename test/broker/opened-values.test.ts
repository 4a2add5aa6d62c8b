import { describe, expect, it } from 'vitest';
import { openedValues, type StoredEntry } from '../../src/broker/index.ts';
import { createLine } from '../../src/doors/sinks/index.ts';
import { viewEntry } from '../../src/doors/http/views.ts';
import { context, issued, storedEntries, withoutOpenings } from '../doors/sinks/stored.ts';

const stored = (): StoredEntry => {
  const [entry] = storedEntries([issued]);
  if (entry === undefined) throw new Error('an entry was written');
  return entry;
};
const changed = (change: (openings: string) => string): StoredEntry => {
  const entry = stored();
  return { ...entry, openings: change(entry.openings ?? '') };
};
const others = (entry: StoredEntry): string[] => Object.keys(openedValues(entry).values).sort();

describe('the clear values beside an entry', () => {
  it('are shown as they were recorded, and as far as they are kept', () => {
    expect(openedValues(stored())).toEqual({ values: issued.personal, altered: [] });
    expect(openedValues(withoutOpenings(stored()))).toEqual({ values: {}, altered: [] });
    expect(others(withoutOpenings(stored(), 'reason'))).toEqual(['actor.name', 'src.ip', 'src.ua']);
  });

  it.each<[string, (openings: string) => string, string]>([
    ['another value', (text) => text.replace('192.0.2.7', '10.1.1.1'), 'src.ip'],
    ['another salt', (text) => text.replace(/("src\.ip":\{"salt":")./, '$1_'), 'src.ip'],
    ['no salt', (text) => text.replace(/("src\.ip":\{)"salt":"[^"]*",/, '$1'), 'src.ip'],
    ['a number', (text) => text.replace('"192.0.2.7"', '7'), 'src.ip'],
    ['a text as opening', (text) => text.replace(/"src\.ip":\{[^}]*\}/, '"src.ip":"192.0.2.7"'), 'src.ip'],
    ['a path that has no commitment', (text) => text.replace('"src.ip"', '"src.ipx"'), 'src.ipx'],
    [
      'a path that every object has',
      (text) => text.replace('"src.ip"', '"constructor.name"'),
      'constructor.name',
    ],
    [
      'the path of a field that is no commitment',
      (text) => text.replace('"src.ip"', '"cred.serial"'),
      'cred.serial',
    ],
  ])('are not shown where there is %s, and named', (_what, change, path) => {
    const entry = changed(change);
    expect(openedValues(entry).altered).toEqual([path]);
    expect(others(entry)).toEqual(['actor.name', 'reason', 'src.ua']);
  });

  it('go neither to a search nor to a sink when they are not those that were recorded', () => {
    const entry = changed((text) => text.replace('192.0.2.7', '10.1.1.1'));
    expect(viewEntry(entry)).toMatchObject({ altered: ['src.ip'] });
    expect(JSON.stringify(viewEntry(entry))).not.toContain('10.1.1.1');
    expect(viewEntry(stored())).not.toHaveProperty('altered');
    for (const format of ['rfc5424', 'cef', 'ocsf', 'json'] as const) {
      const line = createLine(format, context)(entry);
      expect(line).not.toContain('10.1.1.1');
      expect(line).toMatch(/altered/);
      expect(createLine(format, context)(stored())).not.toMatch(/altered/);
      expect(createLine(format, { ...context, personal: 'omit' })(entry)).not.toMatch(/10\.1\.1\.1|altered/);
    }
  });
});
