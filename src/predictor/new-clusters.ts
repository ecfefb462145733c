import { QUANTILE_LEVELS } from '../domain/prediction.js';
import type { MoveInputs } from './move-inputs.js';
import {
  constantNames,
  movePhysics,
  newPhysicsResult,
  newStream,
  type ConstantName,
  type PhysicsConstants,
} from './move-physics.js';
import { NORMAL_QUANTILES } from './normal-quantiles.js';

const { exp, log, max } = Math;

/**
 * How far a cluster of which nothing is known may lie from physics (log scale, 1 σ): a factor of 2, for what no request tells
 * of its hosts, network and manager. Worth so many clusters: with few known ones it is what is believed, however much these agree.
 */
const PRIOR_VARIANCE = log(2) ** 2;
const PRIOR_CLUSTERS = 4;

/** What training knows of clusters that it has not seen. */
export interface NewClusterKnowledge {
  /**
   * σ of the logarithm of each constant after the fit. Of a way of moving that no known cluster shows (disks, say), that is
   * still its prior's: what others agree on in other ways says nothing of it.
   */
  constantSpreads: Readonly<Partial<Record<ConstantName, number>>>;
  /** By operation: how many clusters were known, and the squares of their distances from physics (log scale), summed. */
  operations: Readonly<Record<string, { clusters: number; squares: number }>>;
}

/**
 * The distribution of log T − log physics of a cluster's first move, as a small sample predicts it (Gelman et al., Bayesian
 * Data Analysis, ch. 3: normal with scaled inverse-χ² prior of the variance): Student's t, wide where few clusters speak.
 */
export class NewClusters {
  private readonly result = newPhysicsResult();
  private readonly stream = newStream();
  private readonly spreads: readonly (readonly [ConstantName, number])[];

  constructor(
    private readonly knowledge: NewClusterKnowledge,
    private readonly constants: PhysicsConstants,
  ) {
    this.spreads = constantNames.map((name) => [name, knowledge.constantSpreads[name] ?? 0]);
  }

  /** Squared scale of the distribution. `inputs` with what is not given filled in. O(constants). */
  variance(inputs: MoveInputs): number {
    const { clusters = 0, squares = 0 } = this.knowledge.operations[inputs.operation] ?? {};
    const between = (PRIOR_CLUSTERS * PRIOR_VARIANCE + squares) / (PRIOR_CLUSTERS + max(0, clusters - 1));
    // The level of physics is that of the known clusters alone, before there are any that of its priors.
    return between * (1 + 1 / max(1, clusters)) + this.constantsVariance(inputs);
  }

  /** Standard quantiles of the distribution at QUANTILE_LEVELS. */
  quantiles(operation: string): readonly number[] {
    const { clusters = 0 } = this.knowledge.operations[operation] ?? {};
    return studentQuantiles(PRIOR_CLUSTERS + max(0, clusters - 1));
  }

  /** Variance of log T from not knowing the constants, each moved by σ to either side of where it is. */
  private constantsVariance(inputs: MoveInputs): number {
    const constants = { ...this.constants };
    let variance = 0;
    for (const [name, spread] of this.spreads) {
      const value = constants[name];
      constants[name] = value * exp(spread);
      const above = this.logSeconds(inputs, constants);
      constants[name] = value * exp(-spread);
      variance += ((above - this.logSeconds(inputs, constants)) / 2) ** 2;
      constants[name] = value;
    }
    return variance;
  }

  private logSeconds(inputs: MoveInputs, constants: PhysicsConstants): number {
    return log(movePhysics(inputs, constants, this.result, 1, this.stream).seconds);
  }
}

/** Student's t at QUANTILE_LEVELS by the expansion of Cornish and Fisher, to within 1 % from 4 degrees of freedom on. */
export const studentQuantiles = (degrees: number): number[] =>
  QUANTILE_LEVELS.map((_, j) => {
    const z = NORMAL_QUANTILES[j]!;
    return (
      z +
      (z ** 3 + z) / (4 * degrees) +
      (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * degrees ** 2) +
      (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * degrees ** 3)
    );
  });
