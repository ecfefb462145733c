import type { Score } from '../monitor/score.js';

/** What many scores have in common: held once for all of them. */
export type ScoreKind = Pick<
  Score,
  'cluster' | 'link' | 'source_node' | 'target_node' | 'operation' | 'completed' | 'basis' | 'model' | 'how'
>;

/** The numbers of a score, in their order. */
const NUMBERS = [
  'started_ms',
  'finished_ms',
  'actual_seconds',
  'p05',
  'p10',
  'p50',
  'p90',
  'p95',
  'memory_mib',
  'size_mib',
] as const;
/** Scores whose numbers stand in one array. */
const SCORES_A_BLOCK = 512;

/**
 * A score as it is held in memory: its numbers stand in an array with those of others, what it has in common with others
 * in an object that they share. An object with all fields of its own takes twice as much.
 */
class HeldScore implements Score {
  constructor(
    readonly id: string,
    readonly instance: string,
    private readonly kind: ScoreKind,
    private readonly block: Float64Array,
    private readonly at: number,
  ) {}

  get cluster(): Score['cluster'] {
    return this.kind.cluster;
  }
  get link(): Score['link'] {
    return this.kind.link;
  }
  get source_node(): Score['source_node'] {
    return this.kind.source_node;
  }
  get target_node(): Score['target_node'] {
    return this.kind.target_node;
  }
  get operation(): Score['operation'] {
    return this.kind.operation;
  }
  get completed(): Score['completed'] {
    return this.kind.completed;
  }
  get basis(): Score['basis'] {
    return this.kind.basis;
  }
  get model(): Score['model'] {
    return this.kind.model;
  }
  get how(): Score['how'] {
    return this.kind.how;
  }
  get started_ms(): number {
    return this.block[this.at + 0]!;
  }
  get finished_ms(): number {
    return this.block[this.at + 1]!;
  }
  get actual_seconds(): number {
    return this.block[this.at + 2]!;
  }
  get p05(): number {
    return this.block[this.at + 3]!;
  }
  get p10(): number {
    return this.block[this.at + 4]!;
  }
  get p50(): number {
    return this.block[this.at + 5]!;
  }
  get p90(): number {
    return this.block[this.at + 6]!;
  }
  get p95(): number {
    return this.block[this.at + 7]!;
  }
  get memory_mib(): number | undefined {
    return known(this.block[this.at + 8]!);
  }
  get size_mib(): number | undefined {
    return known(this.block[this.at + 9]!);
  }
}

const known = (value: number): number | undefined => (Number.isNaN(value) ? undefined : value);

/** Makes scores that share blocks. A block goes when the last of its scores does. */
export class ScoreBlocks {
  private block = new Float64Array(0);
  private at = 0;

  hold(score: Score, instance: string, kind: ScoreKind): HeldScore {
    if (this.at === this.block.length) {
      this.block = new Float64Array(SCORES_A_BLOCK * NUMBERS.length);
      this.at = 0;
    }
    const { at, block } = this;
    for (const [i, name] of NUMBERS.entries()) block[at + i] = score[name] ?? NaN;
    this.at += NUMBERS.length;
    return new HeldScore(score.id, instance, kind, block, at);
  }
}
