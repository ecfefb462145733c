import { finishMs, type MoveRecord } from '../domain/move-record.js';
import { pairLink, type LinkSample } from '../domain/samples.js';
import { mibPerSecondToMbps, toIsoTime } from '../domain/units.js';
import { BY_MOVES_AT_LEAST, isUnknownNode } from './sources/finished-move.js';

/** A move that ran at so much of its cap was held back by it. */
const NEAR_CAP = 0.9;

/** A move shorter than this says more about its setup than about its link. */
const SHORTEST_SECONDS = 1;

/** Ends the name of a link whose samples come from moves: what the link gave them. */
export const BY_MOVES = ':moves';

/**
 * What a move tells about its link where nothing monitors it: the throughput it got, as of its finish, when that became
 * known. The link is named `source>target:moves`, apart from monitored traffic, since a move's own stream is no
 * background to the next; `source>target:moves-at-least` when the move was limited elsewhere: by its bandwidth cap, by
 * throttling its guest, or by other moves beside it. Undefined where the record does not tell its bytes.
 */
export function linkSampleOf(record: MoveRecord): LinkSample | undefined {
  if (record.status === 'failed' || record.status === 'cancelled') return undefined;
  if (record.source_node === record.target_node) return undefined;
  if (isUnknownNode(record.source_node) || isUnknownNode(record.target_node)) return undefined;
  const seconds = record.duration_seconds - (record.setup_ms ?? 0) / 1000;
  if (seconds < SHORTEST_SECONDS) return undefined;
  const mbps =
    record.throughput_mbps ??
    (record.transferred_mib === undefined ? undefined : mibPerSecondToMbps(record.transferred_mib / seconds));
  if (mbps === undefined || mbps <= 0) return undefined;
  const sample: LinkSample = {
    at: toIsoTime(finishMs(record)),
    link: `${pairLink(record.source_node, record.target_node)}${isLimitedElsewhere(record, mbps) ? BY_MOVES_AT_LEAST : BY_MOVES}`,
    throughput_mbps: mbps,
  };
  if (record.cluster !== undefined) sample.cluster = record.cluster;
  if (record.link_mbps !== undefined) sample.capacity_mbps = record.link_mbps;
  return sample;
}

function isLimitedElsewhere(record: MoveRecord, mbps: number): boolean {
  const capMibPerSecond = record.max_bandwidth_mib_s ?? 0;
  if (capMibPerSecond > 0 && mbps >= NEAR_CAP * mibPerSecondToMbps(capMibPerSecond)) return true;
  if ((record.concurrent_moves ?? 0) > 0) return true;
  return (
    record.capabilities?.includes('compress') === true || record.capabilities?.includes('xbzrle') === true
  );
}

/** Where monitored traffic of the link of a move would stand. */
export const monitoredLinks = ({ source_node, target_node }: MoveRecord): string[] => [
  pairLink(source_node, target_node),
  `${source_node}:egress`,
];
