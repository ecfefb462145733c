import type { Operation } from '../../domain/move-record.js';

/** One message of a job's log, or one line that a gnt-* command printed. */
export interface JobMessage {
  /** Epoch milliseconds; undefined where the text carries no time. */
  ms: number | undefined;
  text: string;
}

/** What the messages of one move tell. Times are epoch milliseconds. */
export interface MoveTold {
  /** From the heading; undefined when there was none. */
  instance?: string;
  /** What really happened: a migration may fall back to a failover. */
  kind?: 'migration' | 'failover' | 'replace-disks' | 'move';
  isCleanup: boolean;
  /** Something was done beyond checks: a failure from here on is a move broken off. */
  hasBegun: boolean;
  isDone: boolean;
  sourceNode?: string;
  targetNode?: string;
  firstMs?: number;
  lastMs?: number;
  failedMs?: number;
  hasFailed: boolean;
  error?: string;
  memoryFromMs?: number;
  memoryToMs?: number;
  syncFromMs?: number;
  syncToMs?: number;
  usesDrbd: boolean;
  isPostcopy: boolean;
  /** MiB/s that a disk copy reported, with the moments. */
  rates: { ms: number; mibPerSecond: number }[];
}

/** Progress lines that are kept of one copy: one a minute for a day. */
const MOST_RATES = 1440;

const HEADING =
  /^(?:(Migrating|Failover) instance (\S{1,253})|(?:Replacing disk\(s\) [\d, ]{0,200} ?for(?: instance)?) '?([^\s']{1,253})'?|(?:Shutting down instance) (\S{1,253}) on source node (\S{1,253}))\s*$/;

/** The instance that a message begins a move of, or undefined. */
export function headingOf(text: string): string | undefined {
  const m = HEADING.exec(text);
  return m === null ? undefined : (m[2] ?? m[3] ?? m[4]);
}

export const nothingTold = (): MoveTold => ({
  isCleanup: false,
  hasBegun: false,
  isDone: false,
  hasFailed: false,
  usesDrbd: false,
  isPostcopy: false,
  rates: [],
});

/** Takes one message into account. Wordings of Ganeti 2.0 to 3.1. O(length). */
export function hear(told: MoveTold, { ms, text }: JobMessage): void {
  if (ms !== undefined) {
    told.firstMs ??= ms;
    told.lastMs = ms;
  }
  const heading = HEADING.exec(text);
  if (heading !== null) {
    told.instance = (heading[2] ?? heading[3] ?? heading[4])!;
    told.kind =
      heading[1] === 'Migrating'
        ? 'migration'
        : heading[1] === 'Failover'
          ? 'failover'
          : heading[3] === undefined
            ? 'move'
            : 'replace-disks';
    if (heading[5] !== undefined) {
      told.sourceNode = heading[5];
      told.hasBegun = true;
    }
    return;
  }
  if (text.startsWith('* ')) return step(told, text.slice(2), ms);
  let m: RegExpExecArray | null;
  if (/^(?:Pre-migration|Migration) failed, aborting/.test(text)) {
    told.hasFailed = true;
    if (ms !== undefined) told.failedMs ??= ms;
  } else if (text.startsWith('Failure: ')) {
    told.hasFailed = true;
    told.error ??= text.slice(9, 209);
    if (told.lastMs !== undefined) told.failedMs ??= told.lastMs;
  } else if ((m = /^STEP (\d)\/6 (.{1,60})/.exec(text)) !== null) {
    told.kind ??= 'replace-disks';
    if (Number(m[1]) >= 3) told.hasBegun = true;
    if (m[2]!.startsWith('Sync devices') && ms !== undefined) told.syncFromMs ??= ms;
    if (m[1] === '6') told.isDone = true;
  } else if ((m = /^Current primary node: (\S{1,253})/.exec(text)) !== null) told.sourceNode = m[1]!;
  else if (/disks are in sync/.test(text)) {
    if (ms !== undefined && told.syncFromMs !== undefined) told.syncToMs = ms;
  } else if (
    (m = /(?:activating a new drbd on|Adding new local storage on) (\S{1,253}) for disk/.exec(text)) !== null
  )
    told.targetNode ??= m[1]!;
  else if ((m = /Checking disk\/\d{1,4} on (\S{1,253})$/.exec(text)) !== null) told.sourceNode ??= m[1]!;
  else if (
    (m =
      /Selected (?:new secondary|nodes) for instance '?[^\s']{1,253}'?(?: via iallocator \S{1,64})?: (\S{1,253}?)\s*$/.exec(
        text,
      )) !== null
  )
    told.targetNode ??= m[1]!;
  else if (/^ ?- INFO: .{0,200}(?:switching to failover|fallback to failover)/.test(text))
    told.kind = 'failover';
  else if (
    (m =
      /^ ?(?:- INFO: )?.{0,40}disk\/?\d{0,4}.{0,20} sent [\d.]{1,12}[KMGT]?i?B?, ([\d.]{1,12}) ([KMG]?)i?B\/s/.exec(
        text,
      )) !== null
  ) {
    told.hasBegun = true;
    const scale = { '': 2 ** -20, K: 2 ** -10, M: 1, G: 1024 }[m[2]!] ?? 1;
    if (ms !== undefined && told.rates.length < MOST_RATES)
      told.rates.push({ ms, mibPerSecond: Number(m[1]) * scale });
  } else if ((m = /^Starting instance \S{1,253} on node (\S{1,253})/.exec(text)) !== null)
    told.targetNode ??= m[1]!;
  else if (/^Copying data for disk \d/.test(text)) told.hasBegun = true;
}

function step(told: MoveTold, text: string, ms: number | undefined): void {
  let m: RegExpExecArray | null;
  if (text.startsWith('checking where the instance actually runs')) told.isCleanup = true;
  else if (/^(?:not )?checking disk consistency/.test(text)) return;
  else if (/^done$/.test(text)) told.isDone = true;
  else if (text.startsWith('starting memory transfer')) {
    told.hasBegun = true;
    told.kind ??= 'migration';
    if (ms !== undefined) told.memoryFromMs = ms;
  } else if (text.startsWith('memory transfer complete')) {
    if (ms !== undefined) told.memoryToMs = ms;
  } else if (text.startsWith('memory transfer has switched to postcopy')) told.isPostcopy = true;
  else if (
    (m =
      /^preparing (\S{1,253}) to accept the instance/.exec(text) ??
      /^migrating instance to (\S{1,253})/.exec(text)) !== null
  ) {
    told.targetNode = m[1]!;
    told.hasBegun = true;
  } else if ((m = /^opening instance disks on node (\S{1,253}) in shared mode/.exec(text)) !== null) {
    // The source's disks are opened first, then the target's.
    if (told.sourceNode === undefined) told.sourceNode = m[1]!;
    else if (m[1] !== told.sourceNode) told.targetNode ??= m[1]!;
    told.hasBegun = true;
  } else if ((m = /^switching node (\S{1,253}) to secondary mode/.exec(text)) !== null) {
    // Before the transfer it is the target that steps back, after it the source (unless the target steps back again, having failed).
    if (told.memoryToMs === undefined && told.targetNode === undefined) told.targetNode = m[1]!;
    else if (!told.hasFailed && m[1] !== told.targetNode) told.sourceNode ??= m[1]!;
    told.hasBegun = true;
    told.usesDrbd = true;
  } else if ((m = /^closing instance disks on node (\S{1,253})/.exec(text)) !== null) {
    if (told.kind === 'failover') told.sourceNode ??= m[1]!;
    told.hasBegun = true;
  } else if (text.startsWith('shutting down instance on source node')) {
    told.hasBegun = true;
    told.kind ??= 'failover';
  } else if (text.startsWith("deactivating the instance's disks on source node"))
    told.isDone = told.kind === 'failover';
  else if (
    (m =
      /^(?:activating the instance's disks on target node|starting the instance on the target node) (\S{1,253})/.exec(
        text,
      )) !== null
  ) {
    told.targetNode ??= m[1]!;
    if (text.startsWith('starting')) told.isDone = true;
  } else if (/^changing (?:disks )?into (?:dual-master|standalone)|^wait until resync is done/.test(text)) {
    told.usesDrbd = true;
    told.hasBegun = true;
  }
}

/** The contract's word for what happened. A move copies the disks of a stopped instance. */
export const operationOf = (kind: NonNullable<MoveTold['kind']>): Operation =>
  kind === 'migration' ? 'live_migration' : kind === 'failover' ? 'failover' : 'disk_replication';
