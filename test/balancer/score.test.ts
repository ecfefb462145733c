import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  FAILOVER,
  FAILOVER_TO_ANY,
  REPLACE_PRIMARY,
  REPLACE_SECONDARY,
  type MoveKind,
} from '../../src/balancer/moves.js';
import { GroupModel, LOAD_CPU, LOAD_DSK, MIRROR_INTERNAL, ROW } from '../../src/balancer/group-model.js';
import { parseHtoolsText } from '../../src/balancer/htools-text.js';
import { MoveBound } from '../../src/balancer/move-bound.js';
import { MoveTrial, UndoRecord } from '../../src/balancer/move-trial.js';
import { METRICS, METRIC_COUNT, NodeChanges, ScoreBoard, SPREADS, SUMS } from '../../src/balancer/score.js';
import { seededRandom } from '../../src/balancer/random.js';
import { generateCluster } from './cluster-generator.js';

const clusterOf = (seed: number, nodes: number, instancesPerNode: number, oddity = 0) =>
  parseHtoolsText(generateCluster({ seed, nodes, instancesPerNode, oddity }), {
    file: 'generated',
    duplicates: 'refuse',
  }).cluster;

/** The same in every run, whatever else is drawn: enough that what is counted has been met. */
const sameEachTime = <T extends unknown[]>(drawn: fc.Arbitrary<T>): T[] =>
  fc.sample(drawn, { seed: 1, numRuns: 20 });

const shapes = fc.record({
  seed: fc.integer({ min: 1, max: 100_000 }),
  nodes: fc.integer({ min: 2, max: 7 }),
  instancesPerNode: fc.integer({ min: 1, max: 5 }),
});

/** Tries random moves; calls back after each that was allowed, before it is made. */
function walk(
  model: GroupModel,
  seed: number,
  steps: number,
  onAllowed: (trial: MoveTrial, board: ScoreBoard, instance: number, kind: MoveKind, target: number) => void,
): void {
  const random = seededRandom(seed);
  const board = new ScoreBoard(model);
  const trial = new MoveTrial(board);
  for (let step = 0; step < steps; step++) {
    const i = Math.floor(random() * model.instanceCount);
    const target = Math.floor(random() * model.nodeCount);
    if (target === model.primary[i] || target === model.secondary[i]) continue;
    if (model.mirror[i] === 0) continue;
    const kinds: MoveKind[] = model.mirror[i] === MIRROR_INTERNAL ? [0, 2, 3, 4, 5] : [FAILOVER_TO_ANY];
    const kind = kinds[Math.floor(random() * kinds.length)]!;
    trial.begin(i);
    if (!trial.allows(kind, kind === FAILOVER ? -1 : target)) continue;
    onAllowed(trial, board, i, kind, target);
    trial.commit();
  }
}

describe('the score', () => {
  it('has 20 components, each a spread, a sum or the pairs', () => {
    expect(METRICS).toHaveLength(20);
    expect(SPREADS.length + SUMS.length + 1).toBe(METRIC_COUNT);
  });

  it('adds loads up instance by instance, as hbal does, and rounds as it does where one only passes through', () => {
    const text = `g|u|preferred||

n0|65536|512|60000|1000000|900000|32|N|u|1
n1|65536|512|60000|1000000|900000|32|N|u|1
n2|65536|512|60000|1000000|900000|32|N|u|1

a|1024|6000|1|running|Y|n0|n1|drbd|
b|1024|6000|1|running|Y|n1|n0|drbd|
c|1024|6000|1|running|Y|n0|n1|drbd|

`;
    const { cluster } = parseHtoolsText(text, { file: 'loads', duplicates: 'refuse' });
    const loads = new Map(
      [0.1, 0.2, 0.4].map((load, i) => ['abc'[i]!, [load, load, load, load] as const] as const),
    );
    const model = new GroupModel(cluster, { group: 0, loads });
    const loadOf = (node: number, component: number): number => model.rows[node * ROW + component]!;
    // Not 0.1 + 0.4 + 0.2, primaries first.
    expect(loadOf(0, LOAD_DSK)).toBe(0.1 + 0.2 + 0.4);
    const trial = new MoveTrial(new ScoreBoard(model));
    trial.begin(0);
    expect(trial.allows(REPLACE_PRIMARY, 2)).toBe(true);
    trial.commit();
    // Not 0.2, as if it had never run there.
    expect(loadOf(1, LOAD_CPU)).toBe(0.2 + 0.1 - 0.1);
  });

  it('of a candidate is the same by running sums and by walking all nodes, and after the move is made', () => {
    fc.assert(
      fc.property(shapes, fc.constantFrom(0, 1), ({ seed, nodes, instancesPerNode }, oddity) => {
        const model = new GroupModel(clusterOf(seed, nodes, instancesPerNode, oddity), { group: 0 });
        let promised: number | undefined;
        walk(model, seed, 60, (trial, board) => {
          expect(board.score).toBe(promised ?? board.score);
          const exact = trial.exactScore();
          expect(Math.abs(trial.approximateScore() - exact)).toBeLessThanOrEqual(
            1e-9 * (1 + Math.abs(exact)),
          );
          promised = exact;
        });
      }),
      { numRuns: 60 },
    );
  });

  it('is never below what it is bound to be after a move, and tells many moves that are worse than to stay', () => {
    let worse = 0;
    let seen = 0;
    const drawn = [
      fc.integer({ min: 1, max: 100_000 }),
      fc.constantFrom(0, 0.3, 1),
      fc.integer({ min: 5, max: 60 }),
    ] as const;
    fc.assert(
      fc.property(...drawn, (seed, oddity, nodes) => {
        const model = new GroupModel(clusterOf(seed, nodes, 4, oddity), { group: 0 });
        walk(model, seed, 60, (trial, board, instance, kind, target) => {
          const bound = new MoveBound(board, trial);
          const exact = trial.exactScore();
          expect(bound.begin(instance)).toBeLessThanOrEqual(exact);
          expect(bound.least(kind, target)).toBeLessThanOrEqual(exact);
          if (kind === FAILOVER || exact <= board.score) return;
          worse += 1;
          if (bound.least(kind, target) > board.score) seen += 1;
        });
      }),
      { numRuns: 40, examples: sameEachTime(fc.tuple(...drawn)) },
    );
    expect(seen).toBeGreaterThan(worse / 5);
  });

  it('has no bound after a move of an instance of less than nothing', () => {
    const model = new GroupModel(clusterOf(1, 5, 4, 0), { group: 0 });
    const board = new ScoreBoard(model);
    const trial = new MoveTrial(board);
    trial.begin(0);
    expect(new MoveBound(board, trial).begin(0)).toBeGreaterThan(0);
    model.memory[0] = -1;
    const bound = new MoveBound(board, trial);
    expect([bound.begin(0), bound.least(REPLACE_SECONDARY, 2)]).toEqual([-Infinity, -Infinity]);
  });

  it('of two changes weighed together is the one that they have when made, and undone nothing is left of them', () => {
    let together = 0;
    const drawn = [shapes, fc.constantFrom(0, 1)] as const;
    fc.assert(
      fc.property(...drawn, ({ seed, nodes, instancesPerNode }, oddity) => {
        const model = new GroupModel(clusterOf(seed, nodes, instancesPerNode, oddity), { group: 0 });
        const board = new ScoreBoard(model);
        const trial = new MoveTrial(board);
        const changes = new NodeChanges();
        const undoFirst = new UndoRecord();
        const undoSecond = new UndoRecord();
        const random = seededRandom(seed);
        /** Takes an instance up that could stand on two other nodes. */
        const draw = (): boolean => {
          const i = Math.floor(random() * model.instanceCount);
          const p = Math.floor(random() * nodes);
          const s = Math.floor(random() * nodes);
          if (p === s || model.mirror[i] !== MIRROR_INTERNAL || model.secondary[i]! < 0) return false;
          trial.begin(i);
          return trial.allowsPlacement(p, s);
        };
        const state = (): unknown[] =>
          [model.rows, model.peers, model.primary, model.secondary].map((list) => list.slice());
        for (let step = 0; step < 40; step++) {
          const before = state();
          changes.clear();
          if (!draw()) continue;
          trial.measureInto(changes);
          trial.place(undoFirst);
          const second = draw();
          if (second) {
            trial.measureInto(changes);
            trial.place(undoSecond);
            together += 1;
          }
          const { nodes: touched, count, metrics, pairChange } = changes;
          const weighed = board.approximateWith(touched, count, metrics, pairChange, Infinity);
          const made = new ScoreBoard(model).score;
          expect(Math.abs(weighed - made)).toBeLessThanOrEqual(1e-9 * (1 + Math.abs(made)));
          const keep = random() < 0.5;
          const score = keep ? made : board.score;
          if (keep) board.shift(touched, count, metrics, pairChange);
          if (!keep && second) trial.takeBack(undoSecond);
          if (!keep) trial.takeBack(undoFirst);
          expect(Math.abs(board.score - score)).toBeLessThanOrEqual(1e-7 * (1 + Math.abs(score)));
          expect(keep ? before : state()).toEqual(before);
          board.refresh();
        }
      }),
      { numRuns: 60, examples: sameEachTime(fc.tuple(...drawn)) },
    );
    expect(together).toBeGreaterThan(100);
  });

  it('is 0 when every node is offline', () => {
    const cluster = clusterOf(3, 3, 2);
    for (const node of cluster.nodes) node.offline = true;
    expect(new ScoreBoard(new GroupModel(cluster, { group: 0 })).score).toBe(0);
  });
});
