import type { Saved } from './saved.js';

/**
 * Several answers to one question, weighed by how near they have lately been: the weighted median of those that have an
 * answer. Losses are kept for each group of moves apart, pulled to those of the group above it.
 */

const { abs } = Math;

/** A loss is that of about the last 1/(1 − this) moves. */
const LOSS_KEPT = 0.9;
/** So many moves' worth of the loss of the group above stand behind a group's own. */
const PRIOR_MOVES = 1;
/** No loss is taken for smaller than this (log units, squared): a lucky streak is not a certainty. */
const LEAST_LOSS = 0.005 ** 2;
/** An error beyond this counts as this much, so that one odd move does not vote members out. */
const MOST_LOSS = 1;

interface Losses {
  sums: number[];
  weights: number[];
}

export class Committee {
  private readonly groups = new Map<string, Losses>();
  private readonly order: number[] = [];

  /** Variance of the answers around the last decision, by their weights: where members disagree, none of them is sure. */
  spread = 0;

  /** For each outermost group the errors of the members before anything was seen (log units). */
  constructor(private readonly priorErrors: Readonly<Record<string, readonly number[]>>) {}

  /** How far each member is trusted by the losses of `groups`, from the whole to the particular, into `out`. */
  trust(groups: readonly string[], out: Float64Array): Float64Array {
    // Best where members err each on its own.
    for (let j = 0; j < out.length; j++) out[j] = 1 / this.loss(groups, j);
    return out;
  }

  /**
   * Median of `answers` (NaN abstains) weighted by `trust`; half-way between two where the weights are even. NaN where all
   * abstain.
   */
  decide(trust: Float64Array, answers: readonly number[]): number {
    const { order } = this;
    order.length = 0;
    let total = 0;
    for (let j = 0; j < answers.length; j++) {
      if (answers[j] !== answers[j]) continue;
      total += trust[j]!;
      let at = order.length;
      order.push(j);
      while (at > 0 && answers[order[at - 1]!]! > answers[j]!) {
        order[at] = order[at - 1]!;
        at--;
      }
      order[at] = j;
    }
    const decision = this.middle(trust, answers, total);
    let squares = 0;
    for (const j of order) squares += trust[j]! * (answers[j]! - decision) ** 2;
    this.spread = total > 0 ? squares / total : 0;
    return decision;
  }

  /** The weighted median of weighted members, each standing in the middle of its own weight: linear in between. */
  private middle(weight: Float64Array, answers: readonly number[], total: number): number {
    const { order } = this;
    let below = 0;
    let previousAnswer = NaN;
    let previousMiddle = 0;
    for (const j of order) {
      const middle = below + weight[j]! / 2;
      if (middle >= total / 2) {
        if (previousAnswer !== previousAnswer) return answers[j]!;
        const share = (total / 2 - previousMiddle) / (middle - previousMiddle);
        return previousAnswer + share * (answers[j]! - previousAnswer);
      }
      below += weight[j]!;
      previousAnswer = answers[j]!;
      previousMiddle = middle;
    }
    return previousAnswer;
  }

  /** Mean squared log error: a member that is off by far after a change must lose its say, however near it is else. */
  private loss(groups: readonly string[], member: number): number {
    let loss = this.priorErrors[groups[0]!]![member]! ** 2;
    for (const group of groups) {
      const seen = this.groups.get(group);
      if (seen !== undefined)
        loss = (loss * PRIOR_MOVES + seen.sums[member]!) / (PRIOR_MOVES + seen.weights[member]!);
    }
    return loss > LEAST_LOSS ? loss : LEAST_LOSS;
  }

  /** Shows what the true answer was. */
  learn(groups: readonly string[], answers: readonly number[], truth: number): void {
    for (const group of groups) {
      let seen = this.groups.get(group);
      if (seen === undefined) {
        seen = { sums: answers.map(() => 0), weights: answers.map(() => 0) };
        this.groups.set(group, seen);
      }
      for (let j = 0; j < answers.length; j++) {
        const error = abs(answers[j]! - truth);
        if (error !== error) continue;
        seen.sums[j] = seen.sums[j]! * LOSS_KEPT + (error < MOST_LOSS ? error * error : MOST_LOSS);
        seen.weights[j] = seen.weights[j]! * LOSS_KEPT + 1;
      }
    }
  }

  /** After a shift: who was near before it proves nothing. */
  forget(groups: readonly string[]): void {
    for (const group of groups) this.groups.delete(group);
  }

  save(): Saved<[number[], number[]]> {
    return [...this.groups].map(([key, { sums, weights }]) => [key, [[...sums], [...weights]]]);
  }

  /** Of members that are newer than what was saved, nothing was seen. */
  restore(saved: Saved<[number[], number[]]>): void {
    const [members] = Object.values(this.priorErrors);
    const padded = (values: readonly number[]): number[] => members!.map((_, j) => values[j] ?? 0);
    for (const [key, [sums, weights]] of saved)
      this.groups.set(key, { sums: padded(sums), weights: padded(weights) });
  }
}
