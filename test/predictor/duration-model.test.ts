import { describe, expect, it } from '@jest/globals';
import type { MoveRecord } from '../../src/domain/move-record.js';
import { newEstimate, type DurationModel } from '../../src/predictor/duration-model.js';
import { durationModelOf } from '../../src/predictor/load-predictor.js';
import { parseModelFile, type ModelFile } from '../../src/predictor/model-file.js';
import { inputsOfRecord } from '../../src/predictor/move-inputs.js';
import { fitModel } from '../../training/fit.js';
import { seededRandom } from '../../training/seeded-random.js';
import { inventedMoves } from '../training/invented-moves.js';

const clone = (file: ModelFile): ModelFile => parseModelFile(JSON.parse(JSON.stringify(file)));

/** Predicted quantiles of each of the moves, each learnt afterwards. */
const inService = (model: DurationModel, moves: readonly MoveRecord[]): Float64Array[] =>
  moves.map((move) => {
    const inputs = inputsOfRecord(move);
    model.fillKnown(inputs);
    const { seconds } = model.estimate(inputs, newEstimate());
    model.learn(move);
    return seconds;
  });

/** Of twelve moves each, worked through one by one in an order that nobody knows: 20 s each, and a few per cent either way. */
function evacuatedMoves(count: number, together: (evacuation: number) => number): MoveRecord[] {
  const random = seededRandom(3);
  const ends = (evacuation: number): { startMs: number; endMs: number }[] => {
    const asked = together(evacuation);
    let nowMs = Date.UTC(2026, 0, 1) + evacuation * 600_000;
    let startMs = nowMs;
    return Array.from({ length: 12 }, (_, i) => {
      if (i % asked === 0) startMs = nowMs;
      nowMs += Math.round(20_000 * (0.97 + 0.06 * random()));
      return { startMs, endMs: nowMs };
    });
  };
  const spans = Array.from({ length: count }, (_, evacuation) => ends(evacuation)).flat();
  return inventedMoves(12 * count, (i) => ({
    instance: `vm${Math.floor(12 * random())}`,
    source_node: `n${Math.floor(i / 12) % 2}`,
    target_node: `n${1 - (Math.floor(i / 12) % 2)}`,
    started_at: new Date(spans[i]!.startMs).toISOString(),
    duration_seconds: (spans[i]!.endMs - spans[i]!.startMs) / 1000,
    memory_mib: 8192,
    concurrent_moves: together(Math.floor(i / 12)) - 1,
  }));
}

const medianError = (seconds: readonly Float64Array[], moves: readonly MoveRecord[]): number =>
  moves.map((move, i) => Math.abs(seconds[i]![2]! / move.duration_seconds - 1)).sort((a, b) => a - b)[
    moves.length >> 1
  ]!;

const width = (seconds: Float64Array): number => Math.log(seconds[4]! / seconds[0]!);

describe('a model of durations', () => {
  it('follows a shift soon, unsure as long as it has not settled, and no longer', () => {
    const moves = inventedMoves(320, () => ({ concurrent_moves: 0 }));
    const model = durationModelOf(fitModel(moves.slice(0, 250), { name: 'default', seed: 1 }));
    const slower = moves
      .slice(250)
      .map((move) => ({ ...move, duration_seconds: 1.6 * move.duration_seconds }));
    const alarms = model.shiftAlarms;
    const seconds = inService(model, slower);
    expect(model.shiftAlarms).toBeGreaterThan(alarms);
    expect(medianError(seconds.slice(10, 30), slower.slice(10, 30))).toBeLessThan(0.14);
    expect(width(seconds[10]!)).toBeGreaterThan(0.5);
    expect(width(seconds[50]!)).toBeLessThan(0.4);
  });

  it('notices a shift by whole evacuations where a queue hides it, with the first that go four at a time', () => {
    const evacuations = 30;
    const moves = evacuatedMoves(evacuations, (evacuation) => (evacuation < 20 ? 2 : 4));
    const shiftAt = 12 * 20;
    const file = clone(fitModel(moves.slice(0, 12 * 10), { name: 'default', seed: 1 }));
    const alarmsOf = (factor: number, start: ModelFile): number => {
      const model = durationModelOf(start);
      inService(model, moves.slice(12 * 10, shiftAt));
      const before = model.shiftAlarms;
      const after = moves.slice(shiftAt, shiftAt + 30);
      inService(
        model,
        after.map((move) => ({ ...move, duration_seconds: factor * move.duration_seconds })),
      );
      return model.shiftAlarms - before;
    };
    expect(alarmsOf(1.25, file)).toBe(1);
    expect(alarmsOf(1, file)).toBe(0);
    // Of before busy periods were kept: ten evacuations are too few to compare with.
    const older = clone(file);
    delete older.state.busyPeriods;
    expect(alarmsOf(1.25, older)).toBe(0);
  });

  it('goes by how long an instance took before where physics is told what has nothing to do with it', () => {
    const random = seededRandom(1);
    const typical = Array.from({ length: 15 }, () => 5 * Math.exp(3 * random()));
    const moves = inventedMoves(400, (i) => ({
      source_node: `source${Math.floor(4 * random())}`,
      target_node: `target${Math.floor(4 * random())}`,
      used_memory_mib: [2048, 4096, 8192][i % 3]! * (0.1 + 0.8 * random()),
      dirty_rate_mib_s: 200 * random(),
      concurrent_moves: 0,
      duration_seconds: typical[i % 15]! * (0.8 + 0.4 * random()),
    }));
    const model = durationModelOf(fitModel(moves.slice(0, 250), { name: 'default', seed: 1 }));
    const rest = moves.slice(250);
    // A fifth either way, evenly: half of that is what is left when each instance's own duration is known.
    expect(medianError(inService(model, rest), rest)).toBeLessThan(0.12);
  });

  it('believes the first moves of a cluster that nothing was fitted to, of sizes never seen as well', () => {
    const model = durationModelOf(fitModel(inventedMoves(250), { name: 'default', seed: 1 }));
    const foreign = inventedMoves(60, (i) => {
      const memoryMib = [300, 700, 1500][i % 3]!;
      return { cluster: 'foreign', memory_mib: memoryMib, duration_seconds: 0.3 * (3 + memoryMib / 200) };
    });
    const seconds = inService(model, foreign);
    expect(medianError(seconds.slice(3, 13), foreign.slice(3, 13))).toBeLessThan(0.1);
  });

  it('is less sure of a cluster never seen than of any it knows, of a way of moving that none shows least, until it has moved', () => {
    const file = fitModel(inventedMoves(400), { name: 'default', seed: 1 });
    const model = durationModelOf(file);
    const [first, ...more] = inventedMoves(6, () => ({ cluster: 'foreign', concurrent_moves: 0 }));
    const secondsOf = (of: DurationModel, changes: Partial<MoveRecord> = {}): Float64Array =>
      of.estimate(inputsOfRecord({ ...first!, ...changes }), newEstimate()).seconds;
    const widthOf = (changes: Partial<MoveRecord> = {}): number => width(secondsOf(model, changes));
    const before = widthOf();
    expect(before).toBeGreaterThan(2 * Math.log(4));
    expect(before).toBeGreaterThan(widthOf({ cluster: 'c' }) + 1);
    expect(widthOf({ disk_mib: 40_960 })).toBeGreaterThan(before + 0.5);

    // A model of before this was asked has the same medians, and narrower intervals.
    const older = clone(file);
    delete older.newClusters;
    expect(secondsOf(durationModelOf(older))[2]).toBe(secondsOf(model)[2]);
    expect(width(secondsOf(durationModelOf(older)))).toBeLessThan(before);

    model.learn(first!);
    expect(widthOf()).toBeLessThan(0.6 * before);
    for (const move of more) model.learn(move);
    expect(widthOf()).toBeLessThan(0.4 * before);
  });

  it('is unsure how much an instance sends that was never moved, where records tell what was sent', () => {
    const random = seededRandom(2);
    const moves = inventedMoves(400, (i) => {
      const memoryMib = [4096, 16_384, 65_536][i % 3]!;
      const sentMib = 0.7 * memoryMib * (0.8 + 0.4 * random());
      return {
        concurrent_moves: 0,
        memory_mib: memoryMib,
        transferred_mib: sentMib,
        duration_seconds: sentMib / 250,
      };
    });
    const model = durationModelOf(fitModel(moves, { name: 'default', seed: 1 }));
    const widthOf = (instance: string): number =>
      width(model.estimate(inputsOfRecord({ ...moves[399]!, instance }), newEstimate()).seconds);
    expect(widthOf('unseen') / widthOf(moves[399]!.instance)).toBeGreaterThan(1.2);
  });

  it('is unsure how fast a node is that was never seen, however well it knows the others', () => {
    const speeds = [0.7, 0.85, 1, 1.15, 1.3];
    const moves = inventedMoves(400, (i) => ({
      concurrent_moves: 0,
      instance: `vm${i % 24}`,
      source_node: `n${i % 5}`,
      target_node: `n${(i + 1 + (i % 4)) % 5}`,
      memory_mib: 8192,
      link_mbps: 25_000,
      duration_seconds: 80 / Math.min(speeds[i % 5]!, speeds[(i + 1 + (i % 4)) % 5]!),
    }));
    const model = durationModelOf(fitModel(moves, { name: 'default', seed: 1 }));
    const widthTo = (target_node: string): number =>
      width(
        model.estimate(inputsOfRecord({ ...moves[399]!, source_node: 'n4', target_node }), newEstimate())
          .seconds,
      );
    expect(widthTo('unseen')).toBeGreaterThan(0.04 + widthTo('n2'));
  });

  it('does not take waiting in the queue of a manager for an error that a plan could make', () => {
    const random = seededRandom(3);
    const moves = inventedMoves(300, () => ({
      concurrent_moves: 1,
      memory_mib: 4096,
      duration_seconds: (random() < 0.5 ? 20 : 40) * (0.95 + 0.1 * random()),
    }));
    const model = durationModelOf(fitModel(moves.slice(0, 200), { name: 'default', seed: 1 }));
    const before = model.pastErrors('c');
    const seconds = inService(model, moves.slice(200));
    expect(width(seconds.at(-1)!)).toBeGreaterThan(0.9 * Math.log(2));
    expect(model.pastErrors('c')).toEqual(before);
  });

  it('does not judge its members by the first moves of a size far from all that it has seen', () => {
    const model = durationModelOf(
      fitModel(
        inventedMoves(250, () => ({ concurrent_moves: 0 })),
        { name: 'default', seed: 1 },
      ),
    );
    const trust = (): string => JSON.stringify(model.save().committee);
    const before = trust();
    const large = inventedMoves(6, (i) => ({
      concurrent_moves: 0,
      memory_mib: [65_536, 131_072, 262_144][i % 3]!,
      duration_seconds: 30,
    }));
    for (const move of large) model.learn(move);
    expect(trust()).toBe(before);
    model.learn(inventedMoves(1)[0]!);
    expect(trust()).not.toBe(before);
  });

  it('goes on after a restore as if it had not been interrupted', () => {
    const moves = inventedMoves(300);
    const file = fitModel(moves.slice(0, 200), { name: 'default', seed: 1 });
    const first = durationModelOf(file);
    inService(first, moves.slice(200, 250));
    const second = durationModelOf(clone({ ...file, state: first.save() }));
    expect(second.save()).toEqual(first.save());
    expect(inService(second, moves.slice(250))).toEqual(inService(first, moves.slice(250)));
  });

  it('reads a state of before durations and kinds of move were kept, and learns them from then on', () => {
    const moves = inventedMoves(300);
    const older = clone(fitModel(moves.slice(0, 200), { name: 'default', seed: 1 }));
    delete older.state.durations;
    older.state.recent = older.state.recent.map((windows) =>
      windows.map(([key, values]): [string, number[]] => [key, values]),
    );
    older.state.committee = older.state.committee.map(([key, [sums, weights]]) => [
      key,
      [sums.slice(0, -1), weights.slice(0, -1)],
    ]);
    const model = durationModelOf(clone(older));
    const rest = moves.slice(200);
    expect(medianError(inService(model, rest), rest)).toBeLessThan(0.15);
    expect(model.save().durations!.length).toBeGreaterThan(0);
  });
});
