import { DEFAULT_CLUSTER, type MoveRecord, type MoveStatus, type Operation } from '../domain/move-record.js';
import type { Prediction } from '../domain/prediction.js';
import type { InstanceSample, LinkSample } from '../domain/samples.js';
import { toIsoTime } from '../domain/units.js';
import type { InfluxRow, InfluxValue } from './influx-connection.js';
import { fromNanoTime, hash32, numberField, tag, tagText, textField } from './line-protocol.js';
import type { KeptPrediction, PruneCounts } from './store.js';

/** Records, samples and kept predictions as points of InfluxDB, in lines of its protocol and in rows of its answers. */

/** A field that every point of a measurement has, to count by; all measurements that hold data. */
export const COUNTED_FIELD = {
  moves: 'duration_seconds',
  link_samples: 'throughput_mbps',
  instance_samples: 'present',
  kept_predictions: 'move_id',
} as const satisfies Record<keyof PruneCounts, string>;

export const measurements = Object.keys(COUNTED_FIELD) as (keyof PruneCounts)[];
export const sampleMeasurements = ['link_samples', 'instance_samples'] as const;
export type SampleMeasurement = (typeof sampleMeasurements)[number];
/** Kept predictions are looked up by move id alone: a tag with so many values divides what has to be searched. */
const BUCKETS = 256;

const OPTIONAL_NUMBERS = [
  'memory_mib',
  'used_memory_mib',
  'vcpus',
  'dirty_rate_mib_s',
  'disk_mib',
  'link_mbps',
  'background_mbps',
  'max_bandwidth_mib_s',
  'downtime_limit_ms',
  'multifd_channels',
  'concurrent_moves',
  'cpu_load',
  'downtime_ms',
  'setup_ms',
  'transferred_mib',
  'throughput_mbps',
  'dirty_sync_count',
] as const satisfies readonly (keyof MoveRecord)[];
const TEXT_FIELDS = [
  'id',
  'instance',
  'target_node',
  'origin',
  'status',
] as const satisfies readonly (keyof MoveRecord)[];
const JSON_FIELDS = ['capabilities', 'labels'] as const satisfies readonly (keyof MoveRecord)[];
const MOVE_TAGS = ['cluster', 'operation', 'source_node'] as const;
export const SAMPLE_FIELDS = ['dirty_rate_mib_s', 'used_memory_mib', 'cpu_load'] as const;

/** A name of InfluxDB in a query. */
export const quoted = (name: string): string => `"${name}"`;
export const MOVE_COLUMNS = [
  'duration_seconds',
  ...TEXT_FIELDS,
  ...OPTIONAL_NUMBERS,
  ...JSON_FIELDS,
  ...MOVE_TAGS,
]
  .map(quoted)
  .join(',');

export const SAMPLE_COLUMNS = {
  link_samples: ['throughput_mbps', 'capacity_mbps', 'link', 'cluster'].map(quoted).join(','),
  instance_samples: ['present', ...SAMPLE_FIELDS, 'instance', 'cluster'].map(quoted).join(','),
} as const satisfies Record<SampleMeasurement, string>;

/** A move as a line; `time` is nanoseconds since 1970, which tell it from others of its millisecond. */
export function moveLine(record: MoveRecord, time: string): string {
  let line = record.cluster === undefined ? 'moves' : `moves${tag('cluster', record.cluster)}`;
  line += tag('operation', record.operation);
  line += tag('source_node', record.source_node);
  line += ` ${numberField('duration_seconds', record.duration_seconds)}`;
  for (const field of TEXT_FIELDS) {
    const text = record[field];
    if (text !== undefined) line += `,${textField(field, text)}`;
  }
  for (const field of OPTIONAL_NUMBERS) {
    const value = record[field];
    if (value !== undefined) line += `,${numberField(field, value)}`;
  }
  for (const field of JSON_FIELDS) {
    const value = record[field];
    if (value !== undefined) line += `,${textField(field, JSON.stringify(value))}`;
  }
  return `${line} ${time}`;
}

/** A row of `MOVE_COLUMNS` as a move; undefined for points of another program. */
export function moveOf(row: InfluxRow): MoveRecord | undefined {
  const value = cells(row);
  if (value('id') === null) return undefined;
  const cluster = value('cluster') as string | null;
  const move: MoveRecord = {
    id: value('id') as string,
    instance: value('instance') as string,
    source_node: tagText(value('source_node') as string),
    target_node: value('target_node') as string,
    operation: value('operation') as Operation,
    started_at: toIsoTime(fromNanoTime(value('time') as string).ms),
    duration_seconds: value('duration_seconds') as number,
  };
  if (cluster !== null) move.cluster = tagText(cluster);
  const origin = value('origin');
  if (origin !== null) move.origin = origin as string;
  const status = value('status');
  if (status !== null) move.status = status as MoveStatus;
  for (const field of OPTIONAL_NUMBERS) {
    const number = value(field);
    if (number !== null) move[field] = number as number;
  }
  const capabilities = value('capabilities');
  if (capabilities !== null) move.capabilities = JSON.parse(capabilities as string) as string[];
  const labels = value('labels');
  if (labels !== null) move.labels = JSON.parse(labels as string) as NonNullable<MoveRecord['labels']>;
  return move;
}

export function linkSampleLine(sample: LinkSample, time: string): string {
  let line = `link_samples${sampleTags(sample, 'link', sample.link)} `;
  line += numberField('throughput_mbps', sample.throughput_mbps);
  if (sample.capacity_mbps !== undefined) line += `,${numberField('capacity_mbps', sample.capacity_mbps)}`;
  return `${line} ${time}`;
}

/** A row of `SAMPLE_COLUMNS` as a sample, so many milliseconds after the point. */
export function linkSampleOf(row: InfluxRow, shiftMs: number): LinkSample {
  const value = cells(row);
  const capacity = value('capacity_mbps');
  return {
    at: toIsoTime(fromNanoTime(value('time') as string).ms + shiftMs),
    ...namedCluster(value('cluster')),
    link: tagText(value('link') as string),
    throughput_mbps: value('throughput_mbps') as number,
    ...(capacity !== null && { capacity_mbps: capacity as number }),
  };
}

export function instanceSampleLine(sample: InstanceSample, time: string): string {
  let line = `instance_samples${sampleTags(sample, 'instance', sample.instance)} present=true`;
  for (const field of SAMPLE_FIELDS) {
    const value = sample[field];
    if (value !== undefined) line += `,${numberField(field, value)}`;
  }
  return `${line} ${time}`;
}

/** A row of `SAMPLE_COLUMNS` as a sample, so many milliseconds after the point. */
export function instanceSampleOf(row: InfluxRow, shiftMs: number): InstanceSample {
  const value = cells(row);
  const sample: InstanceSample = {
    at: toIsoTime(fromNanoTime(value('time') as string).ms + shiftMs),
    ...namedCluster(value('cluster')),
    instance: tagText(value('instance') as string),
  };
  for (const field of SAMPLE_FIELDS) {
    const number = value(field);
    if (number !== null) sample[field] = number as number;
  }
  return sample;
}

/** The tags of a sample. The default cluster is the one of samples that name none: it is not written. */
function sampleTags(sample: { cluster?: string | undefined }, keyTag: string, key: string): string {
  const { cluster = DEFAULT_CLUSTER } = sample;
  return `${cluster === DEFAULT_CLUSTER ? '' : tag('cluster', cluster)}${tag(keyTag, key)}`;
}

export const KEPT_COLUMNS = ['move_id', 'prediction'].map(quoted).join(',');

export function keptLine({ move_id, prediction }: KeptPrediction, time: string): string {
  const fields = [textField('move_id', move_id), textField('prediction', JSON.stringify(prediction))];
  return `kept_predictions${tag('bucket', bucketOf(move_id))} ${fields.join(',')} ${time}`;
}

export const keptOf = ({ values }: InfluxRow): KeptPrediction => ({
  predicted_at: toIsoTime(fromNanoTime(values[0] as string).ms),
  move_id: values[1] as string,
  prediction: JSON.parse(values[2] as string) as Prediction,
});

/** Where each column of an answer stands; the rows of a chunk share one list of columns. */
const places = new WeakMap<readonly string[], ReadonlyMap<string, number>>();

/** A row's values by column. */
function cells({ columns, values }: InfluxRow): (column: string) => InfluxValue {
  let placeOf = places.get(columns);
  if (placeOf === undefined) {
    placeOf = new Map(columns.map((column, place) => [column, place]));
    places.set(columns, placeOf);
  }
  const found = placeOf;
  return (column) => values[found.get(column) ?? -1] ?? null;
}

const namedCluster = (value: InfluxValue): { cluster?: string } =>
  value === null ? {} : { cluster: tagText(value as string) };

export const sampleMs = (sample: { at: string }): number => Date.parse(sample.at);

/** The bucket of a move's prediction: two digits. */
export const bucketOf = (moveId: string): string =>
  ((hash32(moveId) >>> 16) % BUCKETS).toString(16).padStart(2, '0');
