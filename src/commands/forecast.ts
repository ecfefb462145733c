import { Command, InvalidArgumentError, Option } from 'commander';
import { UserError } from '../domain/errors.js';
import { QUANTILE_NAMES } from '../domain/prediction.js';
import type { LinkSample } from '../domain/samples.js';
import { MS_PER_DAY, MS_PER_SECOND, toIsoTime } from '../domain/units.js';
import { LinkForecasts, linkOfName, type LinkForecast, type LinkOf } from '../predictor/link-forecast.js';
import { openStore } from '../store/open-store.js';
import { withCommonOptions, type CommonOptions, type Context } from './context.js';
import { startProgress } from './progress.js';
import { readLinkSamples, remarkRejected, type Rejected } from './table-input.js';
import { time } from './option-values.js';

interface Options extends CommonOptions {
  hours: number;
  step: number;
  linkSamples?: string[];
  cluster?: string;
  capacity?: number;
  from?: number;
}

const MS_PER_MINUTE = 60_000;
const MS_PER_HOUR = 60 * MS_PER_MINUTE;
/** Samples older than this say nothing of the next hours that newer ones do not. */
const LONGEST_LOOK_BACK_MS = 60 * MS_PER_DAY;
/** A forecast from samples older than this is remarked upon. */
const OLD_MS = MS_PER_HOUR;
/** No more points than a program can want: a week of minutes. */
const MOST_POINTS = 10_080;
/** Lines of the table for a person, and the width of its curve. */
const TABLE_LINES = 13;
const CURVE_WIDTH = 72;
/** Links named in an error. */
const LINKS_NAMED = 6;

export function forecastCommand(context: Context): Command {
  const command = new Command('forecast')
    .description('What a link will carry and leave over in the coming hours, with bands.')
    .argument(
      '<link>',
      'SOURCE>TARGET (in quotes), a node, or a name as in the samples, such as node-a:egress',
    )
    .option('--hours <n>', 'how far ahead, up to 336', hoursOf, 24)
    .addOption(
      new Option('--step <span>', 'from one time to the next: 30s, 5m, 1h')
        .argParser(spanOf)
        .default(5 * MS_PER_MINUTE, '5m'),
    )
    .option('--link-samples <file...>', 'CSV or JSONL files of link samples in place of the store')
    .option('--cluster <name>', 'which cluster the link belongs to, where several have it')
    .option('--capacity <mbps>', "the link's capacity where the samples do not tell it, Mbit/s", mbpsOf)
    .option('--from <time>', 'forecast as of this time: nothing later is looked at (default: now)', time);
  withCommonOptions(command, context, {
    store: true,
    examples: [
      "movecast forecast 'node1>node2'",
      'movecast forecast node1:egress --hours 6 --step 30m --json',
      'movecast forecast node-a --cluster lab-s3-day --link-samples data/qemu-lab/link-samples.csv --from 2026-11-22T11:58:30Z --hours 1',
    ],
  });
  return command.action((link: string, options: Options) => run(link, options, context));
}

async function run(link: string, options: Options, context: Context): Promise<void> {
  const { hours, step: stepMs, capacity, json, quiet } = options;
  const points = Math.floor((hours * MS_PER_HOUR) / stepMs);
  if (points < 1 || points > MOST_POINTS)
    throw new UserError(
      'usage',
      `--hours ${hours} with that --step makes ${points} times; choose them to make 1 to ${MOST_POINTS}`,
    );
  const fromMs = options.from ?? context.now();
  const asked = linkOf(link, capacity);
  const { samples, where } = await samplesOf(options, fromMs, context);
  if (samples.length === 0)
    throw new UserError(
      'nothing-to-train-on',
      `${where} has no link samples before ${toIsoTime(fromMs)}; read some with movecast collect link-samples FILE, or name files with --link-samples`,
    );
  const links = LinkForecasts.fit(samples);
  const cluster = clusterOf(asked, options.cluster, links);
  const times = Array.from({ length: points }, (_, i) => fromMs + (i + 1) * stepMs);
  const forecasts = times.map((atMs) => links.at({ ...asked, cluster }, atMs)!);
  if (json === true) {
    context.stdout.write(`${JSON.stringify(asJson(link, cluster, times, forecasts))}\n`);
    return;
  }
  const first = forecasts[0]!;
  if (quiet !== true && fromMs - first.lastMs > OLD_MS)
    context.stderr.write(
      `movecast: the last sample of ${first.series} is ${spanText(fromMs - first.lastMs)} old; the bands are as wide as that is long only up to a day\n`,
    );
  context.stdout.write(`${asText(link, cluster, times, forecasts)}\n`);
}

async function samplesOf(
  { linkSamples, store: url, cluster, quiet }: Options,
  fromMs: number,
  context: Context,
): Promise<{ samples: LinkSample[]; where: string }> {
  const from = toIsoTime(fromMs);
  if (linkSamples !== undefined) {
    const rejected: Rejected = { count: 0, first: undefined };
    const all = await readLinkSamples(linkSamples, context, rejected);
    remarkRejected(rejected, context, quiet);
    return { samples: all.filter(({ at }) => at < from), where: linkSamples.join(', ') };
  }
  const store = await openStore(url, { mustExist: true });
  const progress = startProgress(context, 'Reading samples', { quiet });
  try {
    const samples: LinkSample[] = [];
    const filter = { fromMs: fromMs - LONGEST_LOOK_BACK_MS, toMs: fromMs };
    for await (const sample of store.linkSamples(cluster === undefined ? filter : { ...filter, cluster })) {
      samples.push(sample);
      progress.update(samples.length);
    }
    return { samples, where: store.url };
  } finally {
    progress.finish();
    await store.close();
  }
}

/** The link that was named. */
function linkOf(link: string, capacityMbps: number | undefined): LinkOf {
  const asked = linkOfName(link);
  if (asked === undefined)
    throw new UserError(
      'usage',
      `${link.trim() === '' ? 'an empty name' : link} names no link; write SOURCE>TARGET in quotes, or one node`,
    );
  return { ...asked, capacityMbps };
}

/** The cluster that was named, else the only one there is, else the only one that has the link. */
function clusterOf(asked: LinkOf, named: string | undefined, links: LinkForecasts): string {
  const all = links.clusters();
  if (named !== undefined) {
    if (!all.includes(named))
      throw new UserError('not-found', `no samples of cluster ${named}; there are samples of ${someOf(all)}`);
    return named;
  }
  if (all.length === 1) return all[0]!;
  const names = [
    asked.targetNode === undefined ? [] : [`${asked.sourceNode}>${asked.targetNode}`],
    [`${asked.sourceNode}:egress`],
  ].flat();
  for (const name of names) {
    const having = links.clustersOf(name);
    if (having.length === 1) return having[0]!;
    if (having.length > 1)
      throw new UserError('usage', `${name} is in clusters ${someOf(having)}; choose one with --cluster`);
  }
  throw new UserError(
    'not-found',
    `no cluster has samples of ${names[0]}; choose one of ${someOf(all)} with --cluster`,
  );
}

const someOf = (names: readonly string[]): string =>
  names.length <= LINKS_NAMED
    ? names.join(', ')
    : `${names.slice(0, LINKS_NAMED).join(', ')} and ${names.length - LINKS_NAMED} more`;

function asJson(
  link: string,
  cluster: string,
  times: readonly number[],
  forecasts: readonly LinkForecast[],
): unknown {
  const { basis, series, evidence, capacityMbps, samples, lastMs, class: kind, model } = forecasts[0]!;
  return {
    link,
    cluster,
    basis,
    series,
    evidence,
    class: kind,
    model,
    capacity_mbps: capacityMbps ?? null,
    samples,
    last_sample_at: toIsoTime(lastMs),
    forecasts: forecasts.map(({ trafficMbps, availableMbps }, i) => ({
      at: toIsoTime(times[i]!),
      throughput_mbps: quantilesAsJson(trafficMbps),
      available_mbps: quantilesAsJson(availableMbps),
    })),
  };
}

const quantilesAsJson = (quantiles: Float64Array | undefined): Record<string, number> | null =>
  quantiles === undefined
    ? null
    : Object.fromEntries(QUANTILE_NAMES.map((name, j) => [name, Math.round(quantiles[j]! * 1000) / 1000]));

function asText(
  link: string,
  cluster: string,
  times: readonly number[],
  forecasts: readonly LinkForecast[],
): string {
  const first = forecasts[0]!;
  const lines = [headline(link, cluster, first), basisSentence(link, first), ''];
  const shown = first.availableMbps === undefined ? 'trafficMbps' : 'availableMbps';
  const of = (j: number): number[] => forecasts.map((forecast) => forecast[shown]![j]!);
  const high = Math.max(...of(4), Number.MIN_VALUE);
  lines.push(
    `${shown === 'availableMbps' ? 'Available' : 'Traffic'}, Mbit/s, 0 to ${mbps(high)}; of ten values one lies below and one above the outer curves`,
  );
  for (const [name, j] of [
    ['p90', 3],
    ['p50', 2],
    ['p10', 1],
  ] as const)
    lines.push(`  ${name} ${curve(of(j), high)}`);
  lines.push('');
  const hasTraffic = first.trafficMbps !== undefined;
  const hasAvailable = first.availableMbps !== undefined;
  const header = ['UTC'];
  if (hasTraffic) header.push('traffic p50', 'p05 to p95');
  if (hasAvailable) header.push('available p50', 'p05 to p95');
  const rows = [header];
  const every = Math.ceil(times.length / TABLE_LINES);
  for (let i = 0; i < times.length; i += every) {
    const row = [toIsoTime(times[i]!).slice(0, 16).replace('T', ' ')];
    for (const quantiles of [forecasts[i]!.trafficMbps, forecasts[i]!.availableMbps])
      if (quantiles !== undefined)
        row.push(mbps(quantiles[2]!), `${mbps(quantiles[0]!)} to ${mbps(quantiles[4]!)}`);
    rows.push(row);
  }
  const widths = header.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const row of rows)
    lines.push(
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
        .join('  '),
    );
  return lines.join('\n');
}

function headline(link: string, cluster: string, { capacityMbps, availableMbps }: LinkForecast): string {
  const capacity =
    capacityMbps === undefined
      ? `capacity not known${availableMbps === undefined ? ' (name it with --capacity to see what is left)' : ''}`
      : `capacity ${mbps(capacityMbps)} Mbit/s`;
  return plain(`${link} in cluster ${cluster}, ${capacity}`);
}

function basisSentence(
  link: string,
  { basis, series, evidence, samples, lastMs, class: kind, model }: LinkForecast,
): string {
  const whose =
    basis === 'link'
      ? 'of this link'
      : basis === 'node'
        ? `of its source node (${series}), as none are of ${link}`
        : `of links of the whole cluster, as none are of ${link} or its source node`;
  const what = evidence === 'moves' ? 'samples by finished moves' : 'samples';
  return plain(
    `From ${samples} ${what} ${whose}, the last at ${toIsoTime(lastMs).slice(0, 16).replace('T', ' ')}; series ${kind}, forecast by ${model}.`,
  );
}

const BLOCKS = '▁▂▃▄▅▆▇█';

/** Values as a row of blocks between 0 and `high`, each block the mean of the values that fall to it. */
function curve(values: readonly number[], high: number): string {
  const width = Math.min(CURVE_WIDTH, values.length);
  let text = '';
  for (let i = 0; i < width; i++) {
    const from = Math.floor((i * values.length) / width);
    const to = Math.max(from + 1, Math.floor(((i + 1) * values.length) / width));
    let sum = 0;
    for (let k = from; k < to; k++) sum += values[k]!;
    const share = sum / (to - from) / high;
    text += BLOCKS[Math.max(0, Math.min(BLOCKS.length - 1, Math.floor(share * BLOCKS.length)))];
  }
  return text;
}

/** Names come from outside: nothing in them may steer a terminal. */
// eslint-disable-next-line no-control-regex
const plain = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');

const mbps = (value: number): string =>
  value >= 100 || value === 0 ? value.toFixed(0) : value.toFixed(value >= 1 ? 1 : 2);

const spanText = (ms: number): string =>
  ms >= 2 * MS_PER_DAY
    ? `${Math.round(ms / MS_PER_DAY)} days`
    : ms >= 2 * MS_PER_HOUR
      ? `${Math.round(ms / MS_PER_HOUR)} hours`
      : `${Math.round(ms / 60_000)} minutes`;

function hoursOf(text: string): number {
  const hours = Number(text);
  if (text.trim() === '' || !(hours > 0) || hours > 336)
    throw new InvalidArgumentError('It must be a number of hours, above 0 and up to 336.');
  return hours;
}

const SPAN_UNITS_MS: Record<string, number> = { s: MS_PER_SECOND, m: 60_000, h: MS_PER_HOUR };

function spanOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([smh])$/.exec(text);
  const ms = match === null ? NaN : Number(match[1]) * SPAN_UNITS_MS[match[2]!]!;
  if (!(ms >= MS_PER_SECOND)) throw new InvalidArgumentError('It must be a span such as 30s, 5m or 1h.');
  return ms;
}

function mbpsOf(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0) || !Number.isFinite(value))
    throw new InvalidArgumentError('It must be a number of Mbit/s, above 0.');
  return value;
}
