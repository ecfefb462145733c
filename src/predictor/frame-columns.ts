import { moveFeatures } from './move-features.js';
import { Capability, type MoveInputs } from './move-inputs.js';

/**
 * The numbers of one move that trees may read, in a training frame and at prediction time alike: one list, one way of
 * filling it, so that what was learnt elsewhere from a frame is asked here in the same words.
 */

/** Raised whenever a column is taken away or means something else: trees that were grown on another version are refused. */
export const FRAME_SCHEMA = 1;

export interface FrameColumn {
  name: string;
  unit: string;
  meaning: string;
}

const column = (name: string, unit: string, meaning: string): FrameColumn => ({ name, unit, meaning });

/** What the request says and, where it does not, what history knows of the instance or the link. */
const inputColumns: readonly (FrameColumn & { of: (inputs: MoveInputs) => number })[] = [
  { ...column('memory_mib', 'MiB', 'configured RAM'), of: (i) => i.memoryMib },
  { ...column('used_memory_mib', 'MiB', 'touched RAM before the start'), of: (i) => i.usedMemoryMib },
  { ...column('dirty_rate_mib_s', 'MiB/s', 'rate at which pages are dirtied'), of: (i) => i.dirtyMibS },
  { ...column('disk_mib', 'MiB', 'disk data that the move has to copy'), of: (i) => i.diskMib },
  { ...column('link_mbps', 'Mbit/s', 'nominal capacity between the nodes'), of: (i) => i.linkMbps },
  {
    ...column('background_mbps', 'Mbit/s', 'other traffic just before the start'),
    of: (i) => i.backgroundMbps,
  },
  { ...column('max_bandwidth_mib_s', 'MiB/s', 'configured cap of the stream'), of: (i) => i.capMibS },
  { ...column('timeout_seconds', 's', 'after which the manager breaks off'), of: (i) => i.timeoutSeconds },
  {
    ...column('compress', '0 or 1', 'the stream is compressed'),
    of: (i) => ((i.capabilities & Capability.compress) !== 0 ? 1 : 0),
  },
];

/** Of the features of our own trees: what each means. */
const featureMeanings: Readonly<Record<string, readonly [unit: string, meaning: string]>> = {
  log_physics_seconds: ['log s', 'duration by physics with constants fitted to earlier moves'],
  log_volume_mib: ['log (MiB + 1)', 'what physics expects to be sent'],
  log_memory_mib: ['log (MiB + 1)', 'configured RAM'],
  used_share: ['share', 'touched part of the RAM'],
  log_dirty_mib_s: ['log (MiB/s + 1)', 'rate at which pages are dirtied'],
  dirtied_over_link: ['ratio', 'dirty rate over the capacity of the link'],
  rounds: ['count', 'rounds of pre-copy that physics expects'],
  log_link_mbps: ['log (Mbit/s)', 'nominal capacity between the nodes'],
  background_over_link: ['share', 'other traffic over the capacity of the link'],
  cap_over_link: ['ratio', 'configured cap over the capacity of the link'],
  cpu_load: ['tasks a core', 'load of the source host before the start'],
  concurrent_moves: ['count', 'other moves on either node at the start'],
  vcpus: ['count', 'virtual processors'],
  downtime_limit_ms: ['ms', 'configured limit of the downtime'],
  auto_converge: ['0 or 1', 'auto-converge is on'],
  xbzrle: ['0 or 1', 'xbzrle is on'],
  multifd_channels: ['count', 'channels of multifd; 0 where it is off'],
  postcopy: ['0 or 1', 'post-copy is on'],
  tunnelled: ['0 or 1', 'the stream goes through the tunnel of libvirt'],
  known_volume: ['log ratio', 'what earlier moves of the instance sent, over what physics expected'],
  effects: ['log ratio', 'what pooled effects of earlier moves say of actual ÷ physics'],
};

/** Medians of log(actual ÷ physics) over the last moves that share something with this one. */
const historyColumns: readonly FrameColumn[] = [
  column('recent_instance', 'log ratio', 'median of actual ÷ physics of the last moves of the instance'),
  column('recent_visit', 'log ratio', 'the same, of the instance between these two nodes'),
  column('recent_stretch', 'log ratio', 'the same, of moves of the same sizes between these two nodes'),
  column('recent_config', 'log ratio', 'the same, of moves of the same sizes in the cluster'),
];
export const HISTORY_COLUMNS = historyColumns.length;

/** Every column that trees may read, in the order in which a row is filled. Missing is NaN. */
export const frameColumns: readonly FrameColumn[] = [
  ...moveFeatures.map(({ name }) => {
    const [unit, meaning] = featureMeanings[name] ?? ['', ''];
    return { name, unit, meaning };
  }),
  ...historyColumns,
  ...inputColumns.map(({ name, unit, meaning }) => ({ name, unit, meaning })),
];

/**
 * A row into `out`, in the order of `frameColumns`: `features` as `fillMoveFeatures` left them, `recent` the medians of
 * the history columns, the inputs as they are after history has filled them.
 */
export function fillFrameRow(
  inputs: MoveInputs,
  features: Float64Array,
  recent: readonly number[],
  out: Float64Array,
): void {
  out.set(features);
  let at = features.length;
  for (let j = 0; j < HISTORY_COLUMNS; j++) out[at++] = recent[j]!;
  for (const { of } of inputColumns) out[at++] = of(inputs);
  // The logarithm of a link of 0 Mbit/s and its like say nothing.
  for (let j = 0; j < at; j++) if (!Number.isFinite(out[j])) out[j] = NaN;
}
