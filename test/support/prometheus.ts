/** One family of the Prometheus text format, version 0.0.4. */
export interface Family {
  readonly type: string;
  readonly help: string;
  /** Value by series, written `name{label="value",…}` with the labels in alphabetical order. */
  readonly series: ReadonlyMap<string, number>;
}

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: -?\d+)?$/;
const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\n"])*)"(,|$)/y;
const suffixes: Readonly<Record<string, readonly string[]>> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

/**
 * Reads a scrape as strictly as `promtool check metrics`: help and type before the samples, each family in one piece, no series
 * twice, counters that end in `_total`, whole and cumulative histograms.
 * @throws Error naming the line or the family
 */
export function parseMetrics(text: string): ReadonlyMap<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, { type: string; help: string; series: Map<string, number> }>();
  let current: { name: string; type: string; help: string; series: Map<string, number> } | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '') continue;
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (comment !== null) {
      const [, keyword, name = '', rest = ''] = comment;
      if (keyword === 'HELP') {
        if (!metricName.test(name) || families.has(name)) throw new Error(`a second or bad family: ${line}`);
        current = { name, type: '', help: rest, series: new Map() };
        families.set(name, current);
      } else {
        if (current?.name !== name || current.type !== '' || current.series.size > 0)
          throw new Error(`a type out of place: ${line}`);
        current.type = rest;
      }
      continue;
    }
    const [, name = '', labels = '', value = ''] = sample.exec(line) ?? [];
    if (
      current === undefined ||
      !(suffixes[current.type] ?? ['']).some((end) => current?.name + end === name)
    )
      throw new Error(`a sample out of place: ${line}`);
    const series = seriesOf(name, labels);
    if (current.series.has(series)) throw new Error(`a series twice: ${line}`);
    current.series.set(series, floatOf(value));
  }
  for (const [name, family] of families) checkFamily(name, family);
  return families;
}

function seriesOf(name: string, labels: string): string {
  const found: string[] = [];
  label.lastIndex = 0;
  while (label.lastIndex < labels.length) {
    const match = label.exec(labels);
    if (match === null) throw new Error(`bad labels: ${name}{${labels}}`);
    found.push(`${match[1]}="${match[2]}"`);
  }
  if (new Set(found.map((pair) => pair.split('=')[0])).size !== found.length)
    throw new Error(`a label twice: ${name}{${labels}}`);
  return found.length === 0 ? name : `${name}{${found.sort().join(',')}}`;
}

function floatOf(text: string): number {
  // Prometheus reads with Go's ParseFloat, which takes it in any case.
  if (/^nan$/i.test(text)) return Number.NaN;
  const value = Number(text.replace(/Inf$/, 'Infinity'));
  if (Number.isNaN(value)) throw new Error(`not a number: ${text}`);
  return value;
}

function checkFamily(name: string, { type, help, series }: Family): void {
  if (!['counter', 'gauge', 'histogram', 'summary'].includes(type) || help.trim() === '')
    throw new Error(`${name} has type “${type}” and help “${help}”`);
  if (type === 'counter' && !name.endsWith('_total'))
    throw new Error(`${name} is a counter and does not end in _total`);
  if (type === 'counter' && [...series.values()].some((value) => !(value >= 0)))
    throw new Error(`${name} counts backwards`);
  if (type === 'histogram') checkHistogram(name, series);
}

function checkHistogram(name: string, series: ReadonlyMap<string, number>): void {
  const buckets = new Map<string, [le: number, count: number][]>();
  for (const [text, count] of series) {
    const le = /\ble="([^"]*)"/.exec(text);
    if (!text.startsWith(`${name}_bucket`)) continue;
    if (le === null) throw new Error(`a bucket without bound: ${text}`);
    const rest = text
      .slice(`${name}_bucket`.length)
      .replace(/,?\ble="[^"]*"/, '')
      .replace('{,', '{')
      .replace('{}', '');
    buckets.set(rest, [...(buckets.get(rest) ?? []), [floatOf(le[1] ?? ''), count]]);
  }
  const counts = [...series.keys()].filter((text) => text.startsWith(`${name}_count`));
  if (counts.length !== buckets.size) throw new Error(`${name} has counts without buckets`);
  for (const [rest, bounds] of buckets) {
    const rises = bounds.every(
      ([le, count], at) =>
        at === 0 || (le > (bounds[at - 1]?.[0] ?? 0) && count >= (bounds[at - 1]?.[1] ?? 0)),
    );
    const [lastBound, lastCount] = bounds.at(-1) ?? [];
    const whole =
      lastBound === Number.POSITIVE_INFINITY &&
      lastCount === series.get(`${name}_count${rest}`) &&
      series.has(`${name}_sum${rest}`);
    if (!rises || !whole) throw new Error(`${name}${rest} is no histogram`);
  }
}
