import type { InstanceFacts } from './sources/source.js';

/** Where an instance is: the node it runs on and, with DRBD, the node of its mirror. */
export interface Placement {
  primary_node?: string;
  secondary_node?: string;
}

/** What was known of an instance from a moment on. */
export interface LedgerEntry extends InstanceFacts, Placement {
  /** Epoch milliseconds from which it holds. */
  at_ms: number;
  disk_template?: string;
  /** Sizes that were other ones just before: no answer about an earlier moment may take them from here or later. */
  changed?: readonly (keyof InstanceFacts)[];
}

/** What the ledger says, and whether it says so from a later moment than asked (sizes only, never placements). */
export interface LedgerAnswer extends InstanceFacts, Placement {
  disk_template?: string;
  from_later?: true;
}

/** So many changes are kept of one instance; the oldest give way. A move or a resize a day for a year. */
const MOST_ENTRIES_OF_ONE = 365;
/** So many instances are kept; further ones are not remembered. Ten times the largest Ganeti clusters known. */
const MOST_INSTANCES = 100_000;

/**
 * What is known of each instance over time: size and placement, gathered from cluster snapshots and from the jobs that
 * change them. A question is answered as of a moment. A placement is never answered from later than that moment; a
 * size that nobody told before is taken from the earliest later entry and marked `from_later`, unless a change of it is
 * known to lie between: sizes change rarely, and nothing about a move's outcome stands in them.
 */
export class ClusterLedger {
  private readonly entries = new Map<string, LedgerEntry[]>();

  /** Notes what changed at a moment; what is not named stays as it was. O(entries of the instance). */
  note(instance: string, entry: LedgerEntry): void {
    if (!Number.isFinite(entry.at_ms)) return;
    let list = this.entries.get(instance);
    if (list === undefined) {
      if (this.entries.size >= MOST_INSTANCES) return;
      list = [];
      this.entries.set(instance, list);
    }
    if (
      list.length > 0 &&
      list.at(-1)!.at_ms <= entry.at_ms &&
      tellsNothingNew(this.asOf(instance, entry.at_ms)!, entry)
    )
      return;
    let index = list.length;
    while (index > 0 && list[index - 1]!.at_ms > entry.at_ms) index -= 1;
    list.splice(index, 0, entry);
    if (list.length > MOST_ENTRIES_OF_ONE) {
      const oldest = list.shift()!;
      list[0] = { ...oldest, ...list[0]! };
    }
  }

  /** What was known of an instance at a moment; undefined when nothing ever was. */
  asOf(instance: string, atMs: number): LedgerAnswer | undefined {
    const list = this.entries.get(instance);
    if (list === undefined) return undefined;
    const answer: LedgerAnswer = {};
    const isOpen = new Set<string>(SIZES);
    for (const { at_ms: entryMs, changed = [], ...known } of list) {
      if (entryMs <= atMs) {
        for (const key of changed) delete answer[key];
        Object.assign(answer, known);
        continue;
      }
      for (const key of changed) isOpen.delete(key);
      if (addLaterSizes(answer, known, isOpen)) answer.from_later = true;
    }
    return answer;
  }

  /** Forgets what held until a moment, because the instance was removed then, or its name went to a new one. */
  forget(instance: string, untilMs: number): void {
    const later = this.entries.get(instance)?.filter((entry) => entry.at_ms > untilMs) ?? [];
    if (later.length === 0) this.entries.delete(instance);
    else this.entries.set(instance, later);
  }

  /** Plain JSON for a checkpoint; `ClusterLedger.from` takes it back. */
  toJSON(): Record<string, LedgerEntry[]> {
    return Object.fromEntries(this.entries);
  }

  /** From what `toJSON` gave; anything else gives an empty ledger. */
  static from(value: unknown): ClusterLedger {
    const ledger = new ClusterLedger();
    if (typeof value !== 'object' || value === null) return ledger;
    for (const [instance, list] of Object.entries(value)) {
      if (!Array.isArray(list)) continue;
      for (const entry of list as unknown[]) {
        if (typeof entry === 'object' && entry !== null && typeof (entry as LedgerEntry).at_ms === 'number')
          ledger.note(instance, entry as LedgerEntry);
      }
    }
    return ledger;
  }
}

function tellsNothingNew(known: LedgerAnswer, entry: LedgerEntry): boolean {
  return Object.entries(entry).every(
    ([key, value]) => key === 'at_ms' || (key !== 'changed' && known[key as keyof LedgerAnswer] === value),
  );
}

const SIZES = ['memory_mib', 'vcpus', 'disk_mib', 'disk_template'] as const;

function addLaterSizes(
  answer: LedgerAnswer,
  later: Omit<LedgerEntry, 'at_ms' | 'changed'>,
  isOpen: ReadonlySet<string>,
): boolean {
  let added = false;
  for (const key of SIZES) {
    if (isOpen.has(key) && answer[key] === undefined && later[key] !== undefined) {
      Object.assign(answer, { [key]: later[key] });
      added = true;
    }
  }
  return added;
}
