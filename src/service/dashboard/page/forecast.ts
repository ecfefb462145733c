import { ApiError, get } from './api.js';
import { measuredAndForecast, type MbpsBands } from './charts.js';
import { h, table } from './elements.js';
import * as format from './format.js';

interface SampledLink {
  cluster: string;
  link: string;
  samples: number;
  last_sample_at: string;
  age_seconds: number;
}

interface Forecast {
  link: string;
  cluster: string;
  evidence: 'traffic' | 'moves';
  class: string;
  model: string;
  capacity_mbps: number | null;
  samples: number;
  last_sample_at: string;
  age_seconds: number;
  recent: { at: string; mbps: number }[];
  forecasts: { at: string; throughput_mbps: MbpsBands | null; available_mbps: MbpsBands | null }[];
}

/** Time between two points of the curve, and rows of the table in points: an hour. */
const STEP_SECONDS = 900;
const POINTS_A_ROW = 4;
/** Samples older than this are remarked upon. */
const OLD_SECONDS = 3_600;
/** Older than this, they get a chart of their own: between them and the forecast would be more nothing than either. */
const APART_SECONDS = 86_400;

/** A link's next 24 hours beside its last day. */
export async function forecastPage(query: URLSearchParams): Promise<HTMLElement> {
  const { links } = await get<{ links: SampledLink[] }>('/v1/links');
  const head = h(
    'div',
    { class: 'headline' },
    h('h1', {}, 'Forecast'),
    h(
      'p',
      { class: 'lead' },
      'What a link is likely to carry over the next 24 hours, and what it leaves for moves.',
    ),
  );
  if (links.length === 0) return h('div', {}, head, emptyState());

  const clusterInput = h(
    'select',
    { id: 'forecast-cluster' },
    ...[...new Set(links.map(({ cluster }) => cluster))].map((name) => h('option', { value: name }, name)),
  );
  const linkInput = h('select', { id: 'forecast-link' });
  const place = h('div', { 'aria-live': 'polite' });
  const offer = (): void => {
    linkInput.replaceChildren(
      ...links
        .filter(({ cluster }) => cluster === clusterInput.value)
        .map(({ link }) => h('option', { value: link }, linkText(link))),
    );
  };
  const first =
    links.find(({ cluster, link }) => cluster === query.get('cluster') && link === query.get('link')) ??
    links.reduce((a, b) =>
      b.age_seconds < a.age_seconds || (b.age_seconds === a.age_seconds && b.samples > a.samples) ? b : a,
    );
  clusterInput.value = first.cluster;
  offer();
  linkInput.value = first.link;

  let asked = 0;
  const draw = async (): Promise<void> => {
    asked += 1;
    const mine = asked;
    const [cluster, link] = [clusterInput.value, linkInput.value];
    try {
      const forecast = await get<Forecast>(`/v1/links/${encodeURIComponent(link)}/forecast`, {
        cluster,
        step_seconds: String(STEP_SECONDS),
      });
      if (mine === asked) place.replaceChildren(...shown(forecast));
    } catch (error) {
      if (error instanceof ApiError && (error.status === 401 || error.status === 403)) throw error;
      if (mine === asked)
        place.replaceChildren(h('p', { class: 'notice bad', role: 'alert' }, (error as Error).message));
    }
  };
  const choose = (): void => {
    const chosen = new URLSearchParams({ cluster: clusterInput.value, link: linkInput.value });
    history.replaceState(null, '', `#/forecast?${chosen}`);
    void draw();
  };
  clusterInput.addEventListener('change', () => {
    offer();
    choose();
  });
  linkInput.addEventListener('change', choose);
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
        h('label', { class: 'field', for: 'forecast-cluster' }, 'Cluster', clusterInput),
        h('label', { class: 'field', for: 'forecast-link' }, 'Link', linkInput),
      ),
      place,
    ),
  );
}

const emptyState = (): HTMLElement =>
  h(
    'div',
    { class: 'empty' },
    h('p', {}, 'No link has been sampled yet, so there is nothing to forecast from.'),
    h('p', {}, 'Read what your monitoring has measured, or send samples as they are taken:'),
    h(
      'pre',
      {},
      'npx movecast collect link-samples links.csv   # at,link,throughput_mbps,capacity_mbps\ncurl -X POST /v1/samples                      # see the HTTP interface',
    ),
    h(
      'p',
      { class: 'muted' },
      'A link is a pair of nodes, node1>node2, or the port of a node, node1:egress.',
    ),
  );

/** `a>b` → `a → b`, `a:egress` → `a, all that leaves it`. */
function linkText(link: string): string {
  const port = /^(.*):egress$/.exec(link);
  return port === null ? link.replace('>', ' → ') : `${port[1]}, all that leaves it`;
}

function shown(forecast: Forecast): HTMLElement[] {
  const { evidence, capacity_mbps: capacity, recent, forecasts, age_seconds: age } = forecast;
  const isTraffic = evidence === 'traffic';
  const ahead = forecasts.flatMap(({ at, throughput_mbps: traffic, available_mbps: left }) => {
    const bands = isTraffic ? traffic : left;
    return bands === null ? [] : [{ at, bands }];
  });
  const what = isTraffic ? 'Traffic' : 'What moves got';
  const name = linkText(forecast.link);
  const isApart = age > APART_SECONDS;
  return [
    ...(age > OLD_SECONDS ? [oldNotice(forecast)] : []),
    h('h2', { class: 'spaced' }, `${what} of ${name}, Mbit/s`),
    h('p', { class: 'muted small' }, sourceText(forecast)),
    ...(isApart && recent.length > 0
      ? [
          h(
            'h3',
            { class: 'spaced' },
            `The last day that was measured, up to ${format.when(forecast.last_sample_at)}`,
          ),
          measuredAndForecast(name, recent, []),
          h('h3', { class: 'spaced' }, 'The next 24 hours'),
        ]
      : []),
    measuredAndForecast(name, isApart ? [] : recent, ahead),
    h('h3', { class: 'spaced' }, 'Hour by hour'),
    table(
      `Forecast of ${name} for the next 24 hours, in Mbit/s`,
      [
        { title: 'Time' },
        ...(isTraffic
          ? [
              { title: 'Traffic', numeric: true },
              { title: '80 % interval', numeric: true },
            ]
          : []),
        ...(isTraffic && capacity === null
          ? []
          : [
              { title: 'Left for a move', numeric: true },
              { title: '80 % interval', numeric: true },
            ]),
      ],
      forecasts
        .filter((_, i) => i % POINTS_A_ROW === POINTS_A_ROW - 1)
        .map(({ at, throughput_mbps: traffic, available_mbps: left }) => [
          format.when(at),
          ...[traffic, left].flatMap((bands) =>
            bands === null
              ? []
              : [
                  format.mbps(bands.p50),
                  h('span', { class: 'muted' }, `${format.mbps(bands.p10)} to ${format.mbps(bands.p90)}`),
                ],
          ),
        ]),
    ),
  ];
}

const oldNotice = ({ age_seconds: age, last_sample_at: last }: Forecast): HTMLElement =>
  h(
    'div',
    { class: 'notice', role: 'status' },
    h('strong', {}, `The newest sample is ${format.age(age)} old (${format.when(last)}).`),
    h(
      'span',
      {},
      'The forecast takes it that the link has gone on as it did until then. Newer samples make it sharper: movecast collect link-samples, or POST /v1/samples.',
    ),
  );

function sourceText({ samples, evidence, capacity_mbps: capacity, class: kind, model }: Forecast): string {
  const from = `From ${format.plural(samples, 'sample')}${evidence === 'moves' ? ' by finished moves' : ''}; a ${kind} series, forecast by ${model}.`;
  return capacity === null
    ? `${from} The samples do not tell its capacity, so what it leaves for moves is not known.`
    : `${from} Capacity ${format.mbps(capacity)} Mbit/s.`;
}
