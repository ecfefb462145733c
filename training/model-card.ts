import { moveTable } from './move-table.js';
import type { MoveRecord } from '../src/domain/move-record.js';
import type { ModelFile } from '../src/predictor/model-file.js';
import type { Accuracy } from './accuracy.js';
import { CHOICE, SERIES_SCORES } from '../src/predictor/series-choice.js';
import { seriesClasses } from '../src/predictor/series-class.js';
import type { SeriesCandidateName } from '../src/predictor/series-forecast.js';
import { accuracyMarkdown } from './accuracy-table.js';
import { protocols, type Protocol } from './backtest.js';
import { dataRemarks } from './data-remarks.js';
import type { Verdict } from './promotion.js';

/** What metrics.json holds. */
export interface ModelMetrics {
  /** Accuracy of every candidate under the rolling protocol. */
  candidates: Record<string, Accuracy>;
  /** Accuracy of the model itself by cluster, alone or in parallel. */
  groups: Record<string, Accuracy>;
  /** Accuracy of the model itself under the other protocols. */
  protocols: Partial<Record<Protocol, Accuracy>>;
  verdict: Verdict;
}

/** The model card: data, seed, accuracy, coverage, limits. */
export function modelCard(
  file: ModelFile,
  records: readonly MoveRecord[],
  metrics: ModelMetrics,
  leftOut = 0,
): string {
  const table = moveTable(records).records;
  const broken = table.filter((record) => (record.status ?? 'completed') !== 'completed').length;
  const clusters = new Map<string, number>();
  for (const { cluster = 'default' } of table) clusters.set(cluster, (clusters.get(cluster) ?? 0) + 1);
  const origins = [...new Set(table.map((record) => record.origin ?? 'unknown'))].sort();
  const others = Object.entries(metrics.protocols);
  const remarks = dataRemarks(table);
  if (leftOut > 0) remarks.unshift(`${leftOut} older moves were left out, to bound time and memory.`);
  const sections = [
    `# Model card: ${file.name}@${file.version}`,
    'Predicts how long a move of a virtual machine takes, with 80 and 90 % intervals, from what is known before it starts. Layers: pre-copy physics with constants fitted to each cluster and calibrated to each way of moving; what an instance is known to send; a committee of pooled effects, recent medians, trees and physics itself, weighed by how near each has lately been; places in the queue of a manager that works through moves one by one; intervals from the quantiles of its own last errors, held to their promise over time.',
    `## Data`,
    [
      `- ${table.length} moves, ${broken} of them broken off (lower bounds to trees and pooled effects; the constants of physics are fitted to completed ones), from ${table[0]?.started_at ?? '-'} to ${table.at(-1)?.started_at ?? '-'}`,
      `- origins: ${origins.join(', ')}`,
      `- hash of the records: \`${file.trained_on.data_hash}\`, seed ${file.trained_on.seed}`,
      `- clusters: ${[...clusters].map(([name, count]) => `${name} (${count})`).join(', ')}`,
      `- trained ranges: ${Object.entries(file.ranges)
        .map(([field, [low, high]]) => `${field} ${low} to ${high}`)
        .join(', ')}`,
    ].join('\n'),
    remarks.length === 0 ? undefined : '## Remarks on the data',
    remarks.length === 0 ? undefined : remarks.map((remark) => `- ${remark}`).join('\n'),
    `## Accuracy, rolling in time`,
    'Each origin is fitted to what had finished before it, and predicts what starts until the next; between origins the online layers learn. Percent, bias in log(predicted ÷ actual); `in 80` and `in 90` are the shares of moves inside of the intervals; `95 % of` is where a figure lies in 95 of 100 samples of instances like these (bootstrap by instance).',
    Object.keys(metrics.candidates).length === 0
      ? 'Too few moves for a backtest.'
      : `${accuracyMarkdown('candidate', new Map(Object.entries(metrics.candidates)))}\n\`report.html\` beside this card draws it.`,
    Object.keys(metrics.groups).length === 0
      ? undefined
      : accuracyMarkdown('this model, of which', new Map(Object.entries(metrics.groups))),
    others.length === 0 ? undefined : '## Accuracy, the model itself under other protocols',
    others.length === 0
      ? undefined
      : 'Between fits the model learns from every move, as in service. Here it is fitted anew whenever history has doubled, which costs a little: the table above and `movecast backtest` do so whenever it has grown by a tenth.',
    others.length === 0
      ? undefined
      : accuracyMarkdown(
          'protocol',
          new Map(others.map(([name, a]) => [`${name}: ${protocols[name as Protocol]}`, a])),
        ),
    '## Forecasts of links',
    seriesChoice(),
    '## Promotion',
    `${metrics.verdict.promote ? 'Promoted' : 'Not promoted'}: ${metrics.verdict.reason}.`,
    '## Limits',
    [
      '- Where a manager works through parallel moves one by one, the place of a move in its queue can not be known: the interval spans all places.',
      '- A cluster without history is answered by physics with priors and wide intervals (`basis` is `prior`).',
      '- What the guest does after the start (a sudden load) is not known before it.',
      ...unseenNodes(metrics.protocols['new-node']),
    ].join('\n'),
  ];
  return `${sections
    .filter((section) => section !== undefined)
    .map((section) => section.trimEnd())
    .join('\n\n')}\n`;
}

/** Where the data has nodes enough to leave some out. */
const unseenNodes = (accuracy: Accuracy | undefined): string[] =>
  accuracy === undefined
    ? []
    : [
        `- Nothing in a request tells how fast a node is that was never seen: with nodes left out whole the median error is ${accuracy.median_ape.toFixed(1)} %, and the 90 % interval holds ${accuracy.coverage_90.toFixed(1)} %.`,
      ];

/** What forecasts links, class by class, and whether a network earned its place there. */
function seriesChoice(): string {
  const networked = seriesClasses.filter((name) => CHOICE[name].includes('network'));
  const rows = seriesClasses.map((name) => {
    const own = SERIES_SCORES.filter((score) => score.class === name);
    const loss = (candidate: SeriesCandidateName): string =>
      own.find((score) => score.candidate === candidate)?.relativeLoss.toFixed(3) ?? '-';
    const cells = [
      name,
      own[0]?.series ?? 0,
      CHOICE[name],
      loss(CHOICE[name]),
      loss('network'),
      loss('mixture-with-network'),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    `Traffic that a request leaves out is forecast from link samples. A neural network (two dense layers, trained with TensorFlow.js on all series but the one it is scored on) ${
      networked.length === 0
        ? 'did not earn its place on any class of series and is not used'
        : `is used for series that are ${networked.join(' or ')}, and nowhere else`
    }. Pinball loss as a share of the last value's, on the series shipped with the program (\`npm run backtest:series\`), not on the data above:`,
    [
      '| class | series | in service | its loss | network alone | mixture with it |',
      '| --- | ---: | --- | ---: | ---: | ---: |',
      ...rows,
    ].join('\n'),
  ].join('\n\n');
}
