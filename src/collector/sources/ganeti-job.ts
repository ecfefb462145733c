import type { MoveStatus } from '../../domain/move-record.js';
import { rowsOfQuery } from '../../ganeti/job-query.js';
import { ganetiTime } from '../../ganeti/job-state.js';
import { mibPerSecondToMbps, toIsoTime } from '../../domain/units.js';
import type { ClusterLedger, LedgerAnswer, LedgerEntry } from '../cluster-ledger.js';
import { finishedMove, moveKey, reject, streamLink } from './finished-move.js';
import type { JobMessage, MoveTold } from './ganeti-job-log.js';
import { headingOf, hear, nothingTold, operationOf } from './ganeti-job-log.js';
import { roundTo } from './sizes.js';
import type { Finding, InstanceFacts, SourceContext } from './source.js';

/** One opcode of a job, however it was written down. Times are epoch milliseconds. */
export interface GanetiOpcode {
  /** Such as OP_INSTANCE_MIGRATE. */
  opId: string;
  input: Record<string, unknown>;
  status: string;
  result: unknown;
  log: JobMessage[];
  startMs?: number;
  /** When it had its locks and work began. */
  execMs?: number;
  endMs?: number;
}

/** One job of Ganeti's queue. Times are epoch milliseconds. */
export interface GanetiJob {
  id: number;
  receivedMs?: number;
  startMs?: number;
  endMs?: number;
  opcodes: GanetiOpcode[];
}

/** A job has an opcode for each instance of a node at most; further ones are not read, so that no file takes all memory. */
const MOST_OPCODES = 10_000;
const MOST_MESSAGES = 100_000;

/** Opcodes that move one instance, by what they do unless their log says otherwise. */
const MOVES: ReadonlyMap<string, NonNullable<MoveTold['kind']>> = new Map([
  ['OP_INSTANCE_MIGRATE', 'migration'],
  ['OP_INSTANCE_FAILOVER', 'failover'],
  ['OP_INSTANCE_REPLACE_DISKS', 'replace-disks'],
  ['OP_INSTANCE_MOVE', 'move'],
]);
/** Opcodes that in old versions moved one instance after another themselves; new ones only submit jobs that do. */
const MOVES_OF_MANY = new Set([
  'OP_NODE_EVACUATE',
  'OP_NODE_MIGRATE',
  'OP_NODE_FAILOVER',
  'OP_NODE_EVACUATE_SECONDARY',
  'OP_NODE_EVACUATE_STRATEGY',
]);

/** A job as the queue's file, RAPI's `/2/jobs/N` or `?bulk=1` has it → one form; undefined when it is none. */
export function readJob(value: unknown): GanetiJob | undefined {
  if (!isObject(value)) return undefined;
  const id = Number(value['id']);
  const ops = value['ops'];
  if (!Number.isSafeInteger(id) || id < 0 || !Array.isArray(ops)) return undefined;
  const job: GanetiJob = { id, opcodes: [] };
  putTime(job, 'receivedMs', value['received_timestamp'] ?? value['received_ts']);
  putTime(job, 'startMs', value['start_timestamp'] ?? value['start_ts']);
  putTime(job, 'endMs', value['end_timestamp'] ?? value['end_ts']);
  const at = (key: string, index: number): unknown =>
    Array.isArray(value[key]) ? (value[key] as unknown[])[index] : undefined;
  ops.slice(0, MOST_OPCODES).forEach((op: unknown, index) => {
    if (!isObject(op)) return;
    const input = isObject(op['input']) ? op['input'] : op;
    const opcode: GanetiOpcode = {
      opId: String(input['OP_ID'] ?? ''),
      input,
      status: String(at('opstatus', index) ?? op['status'] ?? value['status'] ?? ''),
      result: at('opresult', index) ?? op['result'] ?? null,
      log: readLog(at('oplog', index) ?? op['log']),
    };
    putTime(opcode, 'startMs', at('opstart', index) ?? op['start_timestamp']);
    putTime(opcode, 'execMs', at('opexec', index) ?? op['exec_timestamp']);
    putTime(opcode, 'endMs', at('opend', index) ?? op['end_timestamp']);
    // RAPI's shorter replies tell only when the job ended: with one opcode, that is when it did.
    if (opcode.endMs === undefined && ops.length === 1 && job.endMs !== undefined) opcode.endMs = job.endMs;
    job.opcodes.push(opcode);
  });
  return job;
}

/** The reply of `/2/query/job` → jobs. */
export function readQueryReply(value: unknown): GanetiJob[] {
  return (rowsOfQuery(value) ?? []).flatMap((row) => {
    // Without `ops` the summary still tells opcode and instance: INSTANCE_MIGRATE(web1).
    const { ops, summary } = row;
    const told =
      !Array.isArray(ops) && Array.isArray(summary) ? { ...row, ops: summary.map(opOfSummary) } : row;
    return readJob(told) ?? [];
  });
}

function opOfSummary(text: unknown): Record<string, unknown> {
  const m = /^([A-Z_]{1,60})(?:\((.{1,253})\))?$/.exec(String(text));
  return m === null ? {} : { OP_ID: `OP_${m[1]}`, ...(m[2] === undefined ? {} : { instance_name: m[2] }) };
}

/** `[[serial, [s, µs], type, text], …]` → messages. */
function readLog(value: unknown): JobMessage[] {
  if (!Array.isArray(value)) return [];
  const messages: JobMessage[] = [];
  for (const entry of value.slice(0, MOST_MESSAGES) as unknown[]) {
    if (!Array.isArray(entry) || entry.length < 4) continue;
    const text: unknown = entry[3];
    messages.push({
      ms: ganetiTime(entry[1]),
      text: typeof text === 'string' ? text : JSON.stringify(text ?? ''),
    });
  }
  return messages;
}

function putTime<K extends string>(target: { [key in K]?: number }, key: K, value: unknown): void {
  const ms = ganetiTime(value);
  if (ms !== undefined) target[key] = ms;
}

/**
 * What a job tells: moves and samples. Jobs that still wait or run tell nothing yet; what was refused before any work
 * is no move; a move that failed on the way ends where it failed, not where its reverting ended. The ledger learns
 * from each job what it changed. `line` is where the job stands.
 */
export function findingsOfJob(job: GanetiJob, context: SourceContext, line: number): Finding[] {
  const findings: Finding[] = [];
  job.opcodes.forEach((opcode, index) => {
    const kind = MOVES.get(opcode.opId);
    if (kind !== undefined) findings.push(...moveOf(job, opcode, index, kind, context, line));
    else if (MOVES_OF_MANY.has(opcode.opId)) findings.push(...movesOfMany(job, opcode, index, context, line));
    else if (context.ledger !== undefined) learn(opcode, context.ledger);
  });
  return findings;
}

const ENDED: ReadonlyMap<string, MoveStatus> = new Map([
  ['success', 'completed'],
  ['error', 'failed'],
  ['canceled', 'cancelled'],
]);

function moveOf(
  job: GanetiJob,
  opcode: GanetiOpcode,
  index: number,
  kind: NonNullable<MoveTold['kind']>,
  context: SourceContext,
  line: number,
): Finding[] {
  const status = ENDED.get(opcode.status);
  const { input, log } = opcode;
  if (status === undefined || input['cleanup'] === true || input['dry_run'] === true) return [];
  const told = nothingTold();
  told.kind = kind;
  for (const message of log) hear(told, message);
  if (told.isCleanup) return [];
  const instance = word(input['instance_name']) ?? told.instance;
  if (instance === undefined)
    return [reject(line, 'the job does not name its instance', summaryOf(job, opcode))];
  if (status !== 'completed' && !told.hasBegun) return [];
  return [
    ...record(
      told,
      {
        instance,
        status,
        key: keyOfJob(job.id, index),
        startMs: opcode.execMs ?? told.firstMs ?? (index === 0 ? job.startMs : undefined) ?? opcode.startMs,
        endMs: endOf(told, status, opcode.endMs),
        input,
        labels: {
          opcode: opcode.opId.slice(3),
          lock_wait_seconds: secondsBetween(opcode.startMs, opcode.execMs),
          queue_wait_seconds: secondsBetween(job.receivedMs, opcode.startMs),
          start_from:
            opcode.execMs !== undefined
              ? undefined
              : told.firstMs !== undefined
                ? 'first log line'
                : 'job start, with its wait for locks',
          balancer: isHbal(input) ? 'hbal' : undefined,
          error: status === 'completed' ? undefined : errorOf(opcode.result),
        },
        line,
        text: summaryOf(job, opcode),
      },
      context,
    ),
  ];
}

const ORIGIN = 'ganeti';
const keyOfJob = (job: number, opcode: number): (string | number)[] => [`job-${job}`, opcode];

/** The id that the record of a job of one move will have, before there is one. `cluster`: as its records name it. */
export const moveIdOfJob = (job: number, cluster: string | undefined): string =>
  moveKey(ORIGIN, cluster === undefined ? {} : { cluster }, keyOfJob(job, 0));

/** True when a job may hold moves, so that it is worth asking for its log. */
export const isMoveJob = (job: GanetiJob): boolean =>
  job.opcodes.some(({ opId }) => MOVES.has(opId) || MOVES_OF_MANY.has(opId));

/** One after another within one opcode, as old versions evacuate a node: each from its heading to the next. */
function movesOfMany(
  job: GanetiJob,
  opcode: GanetiOpcode,
  index: number,
  context: SourceContext,
  line: number,
): Finding[] {
  const status = ENDED.get(opcode.status);
  if (status === undefined) return [];
  const parts = segments(opcode.log);
  return parts.flatMap((told, part) => {
    const isLast = part === parts.length - 1;
    const own = isLast || !told.hasFailed ? (isLast ? status : 'completed') : 'failed';
    if (told.isCleanup || told.instance === undefined || (own !== 'completed' && !told.hasBegun)) return [];
    const next = parts[part + 1]?.firstMs ?? opcode.endMs;
    return record(
      told,
      {
        instance: told.instance,
        status: own,
        key: [`job-${job.id}`, index, part],
        startMs: told.firstMs,
        endMs: endOf(told, own, next),
        input: opcode.input,
        labels: {
          opcode: opcode.opId.slice(3),
          error: own === 'completed' ? undefined : errorOf(opcode.result),
        },
        line,
        text: summaryOf(job, opcode),
      },
      context,
    );
  });
}

/** The moves among messages, each from its heading on. */
function segments(messages: readonly JobMessage[]): MoveTold[] {
  const parts: MoveTold[] = [];
  let current: MoveTold | undefined;
  for (const message of messages) {
    if (headingOf(message.text) !== undefined) {
      current = nothingTold();
      parts.push(current);
    }
    if (current !== undefined) hear(current, message);
  }
  return parts;
}

/** A broken-off move lasted until it failed: what follows is the way back. */
function endOf(told: MoveTold, status: MoveStatus, endMs: number | undefined): number | undefined {
  return status === 'completed' ? (endMs ?? told.lastMs) : (told.failedMs ?? endMs ?? told.lastMs);
}

/** A move as told by its log and, where there is one, its opcode. */
export interface ToldMove {
  instance: string;
  status: MoveStatus;
  key: (string | number)[];
  startMs: number | undefined;
  endMs: number | undefined;
  input: Readonly<Record<string, unknown>>;
  labels: Record<string, string | number | boolean | undefined>;
  line: number;
  text: string;
}

/** The record, the link samples of its progress lines, and what the ledger learns of it. */
export function record(told: MoveTold, move: ToldMove, context: SourceContext): Finding[] {
  const { instance, status, startMs, endMs, input, line, text } = move;
  if (startMs === undefined || endMs === undefined)
    return [reject(line, 'the job does not tell when it began and ended', text)];
  const kind = told.kind!;
  const known: LedgerAnswer = {
    ...context.factsOf?.(instance, startMs),
    ...context.ledger?.asOf(instance, startMs),
  };
  let sourceNode = told.sourceNode ?? known.primary_node;
  let targetNode = word(input['target_node']) ?? told.targetNode;
  let mode = word(input['mode']);
  if (kind === 'replace-disks') {
    targetNode = word(input['remote_node']) ?? told.targetNode;
    if (mode === 'replace_on_secondary') targetNode ??= known.secondary_node;
    if (mode === 'replace_on_primary')
      [sourceNode, targetNode] = [known.secondary_node, told.sourceNode ?? known.primary_node];
    if (mode === 'replace_new_secondary' || mode === 'replace_auto') mode = undefined;
  } else if (kind === 'migration' || kind === 'failover') {
    targetNode ??= known.secondary_node;
    if (mode === 'live' || kind === 'failover') mode = undefined;
  } else mode = 'move';
  // On shared storage and with DRBD no disk is copied: the disk is where it is read or mirrored there already.
  const copies = kind === 'replace-disks' || kind === 'move';
  const isPart = kind === 'replace-disks' && Array.isArray(input['disks']) && input['disks'].length > 0;
  const findings: Finding[] = [
    finishedMove(
      {
        origin: ORIGIN,
        key: move.key,
        instance,
        sourceNode,
        targetNode,
        operation: operationOf(kind),
        startMs,
        durationSeconds: (endMs - startMs) / 1000,
        status,
        fields: {
          memory_mib: known.memory_mib,
          vcpus: known.vcpus,
          disk_mib: copies ? (isPart ? undefined : known.disk_mib) : 0,
          capabilities: told.isPostcopy ? ['postcopy-ram'] : undefined,
        },
        labels: {
          ...move.labels,
          mode,
          memory_transfer_seconds: secondsBetween(told.memoryFromMs, told.memoryToMs),
          disk_sync_seconds: secondsBetween(told.syncFromMs, told.syncToMs),
          disk_template: known.disk_template ?? (told.usesDrbd ? 'drbd' : undefined),
          size_from: known.from_later === true ? 'a later snapshot' : undefined,
        },
        line,
        text,
      },
      context,
    ),
  ];
  if (findings[0]!.kind !== 'move') return findings;
  if (sourceNode !== undefined && targetNode !== undefined) {
    for (const { ms, mibPerSecond } of told.rates) {
      if (!(mibPerSecond >= 0)) continue;
      const value: Record<string, unknown> = {
        at: toIsoTime(Math.round(ms)),
        link: streamLink(sourceNode, targetNode),
        throughput_mbps: roundTo(mibPerSecondToMbps(mibPerSecond), 3),
      };
      if (context.cluster !== undefined) value['cluster'] = context.cluster;
      findings.push({ kind: 'link-sample', value, line });
    }
  }
  if (status === 'completed' && context.ledger !== undefined)
    notePlacement(context.ledger, instance, kind, known, sourceNode, targetNode, endMs);
  return findings;
}

function notePlacement(
  ledger: ClusterLedger,
  instance: string,
  kind: NonNullable<MoveTold['kind']>,
  known: LedgerAnswer,
  sourceNode: string | undefined,
  targetNode: string | undefined,
  endMs: number,
): void {
  const entry: LedgerEntry = { at_ms: endMs };
  if (targetNode === undefined) return;
  if (kind === 'replace-disks') {
    entry.secondary_node = targetNode;
    if (sourceNode !== undefined) entry.primary_node = sourceNode;
  } else {
    entry.primary_node = targetNode;
    // With DRBD the two nodes change places.
    if (kind !== 'move' && known.secondary_node === targetNode && sourceNode !== undefined)
      entry.secondary_node = sourceNode;
  }
  ledger.note(instance, entry);
}

/** Jobs that make, resize or remove instances: what the ledger learns of them. */
function learn(opcode: GanetiOpcode, ledger: ClusterLedger): void {
  const { opId, input, status, endMs } = opcode;
  const instance = word(input['instance_name']);
  if (status !== 'success' || endMs === undefined || instance === undefined) return;
  const be = isObject(input['beparams']) ? input['beparams'] : {};
  const entry: LedgerEntry = { at_ms: endMs };
  const memory = amount(be['maxmem']) ?? amount(be['memory']);
  const vcpus = amount(be['vcpus']);
  if (memory !== undefined) entry.memory_mib = memory;
  if (vcpus !== undefined) entry.vcpus = vcpus;
  if (opId === 'OP_INSTANCE_CREATE') {
    ledger.forget(instance, endMs);
    if (Array.isArray(input['disks']))
      entry.disk_mib = sumOf(
        (input['disks'] as unknown[]).map((disk) => (isObject(disk) ? disk['size'] : 0)),
      );
    const nodes: unknown[] = Array.isArray(opcode.result) ? opcode.result : [];
    const primary = word(input['pnode']) ?? word(nodes[0]);
    const secondary = word(input['snode']) ?? word(nodes[1]);
    if (primary !== undefined) entry.primary_node = primary;
    if (secondary !== undefined) entry.secondary_node = secondary;
    const template = word(input['disk_template']);
    if (template !== undefined) entry.disk_template = template;
    ledger.note(instance, entry);
  } else if (opId === 'OP_INSTANCE_SET_PARAMS') {
    const changed: (keyof InstanceFacts)[] = [];
    if (memory !== undefined) changed.push('memory_mib');
    if (vcpus !== undefined) changed.push('vcpus');
    if (changed.length > 0) ledger.note(instance, { ...entry, changed });
  } else if (opId === 'OP_INSTANCE_GROW_DISK') {
    const grown = amount(input['amount']);
    const before = ledger.asOf(instance, endMs);
    const grownEntry: LedgerEntry = { at_ms: endMs, changed: ['disk_mib'] };
    // "absolute" names the new size of one disk among several: the sum is then not known.
    if (
      grown !== undefined &&
      before?.disk_mib !== undefined &&
      before.from_later !== true &&
      input['absolute'] !== true
    )
      grownEntry.disk_mib = before.disk_mib + grown;
    ledger.note(instance, grownEntry);
  } else if (opId === 'OP_INSTANCE_REMOVE') ledger.forget(instance, endMs);
}

const isHbal = (input: Readonly<Record<string, unknown>>): boolean => {
  const reason: unknown = Array.isArray(input['reason']) ? (input['reason'] as unknown[])[0] : undefined;
  return Array.isArray(reason) && reason[0] === 'hbal';
};

function errorOf(result: unknown): string | undefined {
  const flat = Array.isArray(result) ? result.flat(3) : [result];
  const words = flat.filter((item) => typeof item === 'string' && item !== '');
  return words.length === 0 ? undefined : words.join(': ').slice(0, 200);
}

function summaryOf(job: GanetiJob, opcode: GanetiOpcode): string {
  const { opId, input, status, execMs, endMs } = opcode;
  return JSON.stringify({
    job: job.id,
    opcode: opId,
    instance: input['instance_name'],
    status,
    exec_ms: execMs,
    end_ms: endMs,
  });
}

const secondsBetween = (from: number | undefined, to: number | undefined): number | undefined =>
  from === undefined || to === undefined || to < from ? undefined : roundTo((to - from) / 1000, 3);

const word = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

const amount = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : undefined;

const sumOf = (values: readonly unknown[]): number =>
  values.reduce((total: number, value) => total + (amount(value) ?? 0), 0);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
