import { EARLIEST_TIME, LONGEST_MOVE_SECONDS } from '../../domain/fields.js';
import type { MoveStatus, Operation } from '../../domain/move-record.js';
import { DEFAULT_CLUSTER } from '../../domain/move-record.js';
import { pairLink } from '../../domain/samples.js';
import { toIsoTime } from '../../domain/units.js';
import type { Finding, SourceContext } from './source.js';
import { roundTo } from './sizes.js';

/** What stands in the place of a node that neither the log nor the user named. A label says so. */
export const UNKNOWN_SOURCE = 'unknown-source';
export const UNKNOWN_TARGET = 'unknown-target';

/** Ends the name of a link whose samples come from moves that may have been limited elsewhere: it gives at least this much. */
export const BY_MOVES_AT_LEAST = ':moves-at-least';

/** True for a node that nobody named: two such are not the same node. */
export const isUnknownNode = (name: string): boolean => name === UNKNOWN_SOURCE || name === UNKNOWN_TARGET;

/**
 * The link of a move's own stream, apart from monitored traffic: a stream is no background to the moves that follow.
 * What it carried, the link carries at least.
 */
export const streamLink = (sourceNode: string, targetNode: string): string =>
  `${pairLink(sourceNode, targetNode)}${BY_MOVES_AT_LEAST}`;

/** A move as a parser puts it together; what is undefined is left out. */
export interface FinishedMove {
  /** Parts that make the id stable, after origin and cluster. */
  key: readonly (string | number)[];
  origin: string;
  instance: string | undefined;
  sourceNode: string | undefined;
  targetNode: string | undefined;
  operation: Operation;
  /** Epoch milliseconds; undefined when the log tells no times at all. */
  startMs: number | undefined;
  durationSeconds: number;
  status: MoveStatus;
  /** Further fields of the record. */
  fields?: Record<string, unknown>;
  labels?: Record<string, string | number | boolean | undefined>;
  line: number;
  text: string;
}

const EARLIEST_MS = Date.parse(EARLIEST_TIME);
/** Longer texts are cut in the rejects: enough to find the place again. */
const LONGEST_SHOWN = 4000;

/**
 * A move → a finding: the record, or a reject when its duration or its start cannot be true. Names that the log does
 * not tell come from the context; a node that nobody names is called `unknown-source` or `unknown-target`, an instance
 * that nobody names takes the file's name, and labels say which names are such.
 */
export function finishedMove(move: FinishedMove, context: SourceContext): Finding {
  const { line } = move;
  const reason = impossible(move.durationSeconds);
  if (reason !== undefined) return reject(line, reason, move.text);
  const durationSeconds = roundTo(move.durationSeconds, 6);
  const assumed: string[] = [];
  const name = (given: string | undefined, fallback: string, field: string): string => {
    if (given !== undefined && given !== '') return given;
    assumed.push(field);
    return fallback;
  };
  const instance = name(move.instance ?? context.instance, nameOfFile(context.fileName), 'instance');
  const sourceNode = name(move.sourceNode ?? context.sourceNode, UNKNOWN_SOURCE, 'source_node');
  const targetNode = name(move.targetNode ?? context.targetNode, UNKNOWN_TARGET, 'target_node');
  const labels = { ...move.labels };
  if (assumed.length > 0) labels['names_assumed'] = assumed.join('+');
  let startMs = move.startMs ?? context.startedAtMs;
  if (startMs === undefined) {
    startMs = context.nowMs - durationSeconds * 1000;
    labels['started_at_from'] = 'file time';
  } else if (move.startMs === undefined) labels['started_at_from'] = 'option';
  startMs = Math.round(startMs);
  if (!(startMs >= EARLIEST_MS && startMs <= context.nowMs + LONGEST_MOVE_SECONDS * 1000))
    return reject(line, 'the start is not a time of this century that has been', move.text);
  const value: Record<string, unknown> = {
    id: moveKey(
      move.origin,
      context,
      move.key,
      move.startMs === undefined ? [instance, sourceNode, targetNode] : [],
    ),
    origin: move.origin,
    instance,
    source_node: sourceNode,
    target_node: targetNode,
    operation: move.operation,
    started_at: toIsoTime(startMs),
    duration_seconds: durationSeconds,
    status: move.status,
  };
  if (context.cluster !== undefined) value['cluster'] = context.cluster;
  for (const [field, item] of Object.entries(move.fields ?? {})) if (isKnown(item)) value[field] = item;
  const kept = Object.entries(labels).filter(([, item]) => isKnown(item));
  if (kept.length > 0) value['labels'] = Object.fromEntries(kept);
  return { kind: 'move', value, line, text: move.text.slice(0, LONGEST_SHOWN) };
}

/** The context for a move that is not the first of its text: the start that the user gave is not its own. */
export function withoutStart(context: SourceContext): SourceContext {
  const { startedAtMs: _, ...others } = context;
  return others;
}

/** A reject with its text cut to a length that a person reads. */
export function reject(line: number, reason: string, text: string): Finding {
  return { kind: 'reject', line, reason, text: text.slice(0, LONGEST_SHOWN) };
}

/** The id of a move: the same move read twice has the same one. */
export function moveKey(
  origin: string,
  context: Pick<SourceContext, 'cluster'>,
  key: readonly (string | number)[],
  further: readonly string[] = [],
): string {
  return [origin, context.cluster ?? DEFAULT_CLUSTER, ...further, ...key].join(':');
}

/** Why a duration cannot be true, or undefined when it can. */
export function impossible(durationSeconds: number): string | undefined {
  if (Number.isNaN(durationSeconds)) return 'the duration is not known';
  if (durationSeconds < 0) return 'the times run backwards: the end lies before the start';
  if (roundTo(durationSeconds, 6) === 0)
    return 'the duration is zero: the clock of this log is too coarse for the move';
  if (durationSeconds > LONGEST_MOVE_SECONDS)
    return `the duration of ${Math.round(durationSeconds / 86_400)} days cannot be true`;
  return undefined;
}

/** The last part of a path without its extensions: what an instance is called when nobody says. */
export function nameOfFile(path: string): string {
  const last = path.split(/[\\/]/).at(-1) ?? '';
  const bare = last.replace(/\.gz$/i, '').replace(/\.(?:log|txt|jsonl?|out|qmp)(?:[.-]\d{1,8})?$/i, '');
  return bare === '' || bare === '-' ? 'unknown-instance' : bare;
}

function isKnown(item: unknown): boolean {
  return (
    item !== undefined &&
    item !== null &&
    !(typeof item === 'number' && !Number.isFinite(item)) &&
    !(Array.isArray(item) && item.length === 0)
  );
}
