import { get, type Accuracy } from './api.js';
import { h, table } from './elements.js';
import * as format from './format.js';

type Figures = NonNullable<Accuracy['overall']>;

interface Measure {
  key: string;
  title: string;
  /** What a cell shows and how strong its colour is; undefined where there is nothing to show. */
  value: (figures: Figures) => number | undefined;
  text: (value: number) => string;
  explain: string;
}

const measures: readonly Measure[] = [
  {
    key: 'error',
    title: 'Error',
    value: (figures) => figures.median_ape_percent,
    text: format.percent,
    explain: 'Median absolute error of the forecast in percent of the actual duration. Darker is worse.',
  },
  {
    key: 'speed',
    title: 'Speed',
    value: (figures) => figures.median_speed_mib_s ?? undefined,
    text: (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)}`,
    explain:
      'Median of the RAM and disk that a move had to copy over its duration, in MiB/s. Darker is faster.',
  },
  {
    key: 'duration',
    title: 'Duration',
    value: (figures) => figures.median_seconds,
    text: format.seconds,
    explain: 'Median duration of a move. Darker is longer.',
  },
  {
    key: 'moves',
    title: 'Moves',
    value: (figures) => figures.moves,
    text: format.count,
    explain: 'How many finished moves have a forecast to compare with.',
  },
];

/** Nodes shown in the map; beyond, the busiest. */
const MOST_NODES = 40;
const STRONGEST = 0.55;

/** Source × target: where forecasts are good, where moves are fast. */
export async function linksPage(): Promise<HTMLElement> {
  const clusters = Object.values(
    (await get<Accuracy>('/v1/accuracy', { window: 'all', by: 'cluster' })).groups,
  ).map(({ key }) => key);
  const place = h('div', {});
  const measureInput = h(
    'select',
    { id: 'measure' },
    ...measures.map(({ key, title }) => h('option', { value: key }, title)),
  );
  const clusterInput = h(
    'select',
    { id: 'cluster' },
    ...clusters.map((name) => h('option', { value: name }, name)),
  );
  const draw = async (): Promise<void> => {
    const accuracy = await get<Accuracy>('/v1/accuracy', {
      window: 'all',
      by: 'link',
      cluster: clusterInput.value,
    });
    place.replaceChildren(
      heatMap(
        accuracy,
        measures.find(({ key }) => key === measureInput.value)!,
      ),
    );
  };
  measureInput.addEventListener('change', () => void draw());
  clusterInput.addEventListener('change', () => void draw());
  const head = h(
    'div',
    { class: 'headline' },
    h('h1', {}, 'Links'),
    h(
      'p',
      { class: 'lead' },
      'How fast moves went between each pair of nodes, and how well their durations were predicted.',
    ),
  );
  if (clusters.length === 0)
    return h(
      'div',
      {},
      head,
      h(
        'p',
        { class: 'empty' },
        'No move has been compared with its forecast yet. As moves are collected or reported, their links appear here.',
      ),
    );
  await draw();
  return h(
    'div',
    {},
    head,
    h(
      'section',
      { class: 'panel' },
      h(
        'div',
        { class: 'fields filters' },
        h('label', { class: 'field', for: 'cluster' }, 'Cluster', clusterInput),
        h('label', { class: 'field', for: 'measure' }, 'Show', measureInput),
      ),
      place,
    ),
  );
}

function heatMap({ groups }: Accuracy, measure: Measure): HTMLElement {
  const links = groups.map(({ key, figures }) => {
    const at = key.indexOf('>');
    return { source: key.slice(0, at), target: key.slice(at + 1), figures };
  });
  const traffic = new Map<string, number>();
  for (const { source, target, figures } of links)
    for (const node of [source, target]) traffic.set(node, (traffic.get(node) ?? 0) + figures.moves);
  const nodes = [...traffic]
    .sort((a, b) => b[1] - a[1])
    .slice(0, MOST_NODES)
    .map(([node]) => node)
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const cells = new Map(links.map(({ source, target, figures }) => [`${source}>${target}`, figures]));
  const values = links.flatMap(({ figures }) => measure.value(figures) ?? []);
  const most = Math.max(...values);
  const cell = (source: string, target: string): HTMLElement => {
    const figures = cells.get(`${source}>${target}`);
    const value = figures === undefined ? undefined : measure.value(figures);
    if (figures === undefined || value === undefined)
      return h('td', { class: source === target ? 'same' : 'none' }, '');
    const td = h(
      'td',
      {
        class: 'heat',
        title: `${source} → ${target}: ${format.plural(figures.moves, 'move')}, median ${format.seconds(figures.median_seconds)}, error ${format.percent(figures.median_ape_percent)}`,
      },
      h(
        'a',
        {
          href: `#/moves?source_node=${encodeURIComponent(source)}&target_node=${encodeURIComponent(target)}`,
        },
        measure.text(value),
      ),
    );
    td.style.setProperty('--strength', `${Math.round((100 * STRONGEST * value) / most)}%`);
    return td;
  };
  return h(
    'div',
    {},
    h('p', { class: 'muted small' }, measure.explain),
    h(
      'div',
      { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `${measure.title} by source and target` },
      h(
        'table',
        { class: 'map' },
        h(
          'caption',
          {},
          `From the node on the left to the node above${traffic.size > MOST_NODES ? `; the ${MOST_NODES} busiest of ${traffic.size} nodes` : ''}`,
        ),
        h('thead', {}, h('tr', {}, h('td', {}), ...nodes.map((node) => h('th', { scope: 'col' }, node)))),
        h(
          'tbody',
          {},
          ...nodes.map((source) =>
            h('tr', {}, h('th', { scope: 'row' }, source), ...nodes.map((target) => cell(source, target))),
          ),
        ),
      ),
    ),
    h('h2', { class: 'spaced' }, 'Links with the largest error'),
    table(
      'Links with the largest median error',
      [
        { title: 'Link' },
        { title: 'Moves', numeric: true },
        { title: 'Median duration', numeric: true },
        { title: 'Median error', numeric: true },
        { title: 'Bias', numeric: true },
        { title: 'In 90 %', numeric: true },
      ],
      links
        .toSorted((a, b) => b.figures.median_ape_percent - a.figures.median_ape_percent)
        .slice(0, 10)
        .map(({ source, target, figures }) => [
          `${source} → ${target}`,
          format.count(figures.moves),
          format.seconds(figures.median_seconds),
          format.percent(figures.median_ape_percent),
          format.signedPercent(figures.bias_percent),
          format.share(figures.coverage[1]!.share),
        ]),
    ),
  );
}
