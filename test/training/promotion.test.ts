import { describe, expect, it } from '@jest/globals';
import { QUANTILE_NAMES } from '../../src/domain/prediction.js';
import { backtest, type BacktestRow } from '../../training/backtest.js';
import { servedModel, wholeModel } from '../../training/candidates/whole-model.js';
import { fitModel } from '../../training/fit.js';
import { judge, type Verdict } from '../../training/promotion.js';
import type { ModelFile } from '../../src/predictor/model-file.js';
import { inventedMoves } from './invented-moves.js';
import { memoryPieces } from './memory-pieces.js';

const SEED = 7;
const records = inventedMoves(400);
const champion = fitModel(records.slice(0, 150), { name: 'default', seed: SEED });
const championRows = backtest({ records }, [servedModel(champion)], { protocol: 'rolling', seed: SEED });

/** The verdict on a challenger that predicts the champion's quantiles times a factor, move by move. */
function verdictOn(factor: (row: BacktestRow, i: number) => number): Verdict {
  const rows = championRows.map((row, i): BacktestRow => {
    const seconds = { ...row.duration_seconds };
    for (const name of QUANTILE_NAMES) seconds[name] *= factor(row, i);
    return { ...row, candidate: wholeModel.name, duration_seconds: seconds };
  });
  return judge({ records }, rows, { champion, seed: SEED });
}

describe('champion against challenger', () => {
  it('refuses an equal: it does not beat the one in service', () => {
    const verdict = verdictOn(() => 1);
    expect(verdict.promote).toBe(false);
    expect(verdict.compared).toMatchObject({ difference: 0, difference_interval_95: [0, 0], p_value: 1 });
    expect(verdict.reason).toMatch(/^does not beat default@/);
  });

  it('refuses a worse model, with the difference, its interval and its p-value', () => {
    const verdict = verdictOn(() => 1.15);
    expect(verdict.promote).toBe(false);
    expect(verdict.reason).toMatch(
      /^does not beat default@\S+: pinball loss [\d.]+ against [\d.]+ % of the duration on the same \d+ moves; difference \+[\d.]+, 95 % interval \+[\d.]+ to \+[\d.]+, p = 0\.\d+ \(sign changes of whole instances\)$/,
    );
    const { compared } = verdict;
    expect(compared!.p_value).toBeLessThan(0.01);
    expect(compared!.difference_interval_95[0]).toBeGreaterThan(0);
    expect(compared!.difference).toBeCloseTo(compared!.challenger_pinball - compared!.champion_pinball, 9);
  });

  it('promotes a better one, and the interval of the difference lies below zero', () => {
    const verdict = verdictOn(
      (row) => (row.actual_seconds / row.duration_seconds.p50) ** 0.5, // half of each error gone
    );
    expect(verdict).toMatchObject({ promote: true, reason: expect.stringMatching(/^beats default@/) });
    expect(verdict.compared!.difference_interval_95[1]).toBeLessThan(0);
    expect(verdict.compared!.p_value).toBeLessThan(0.01);
  });

  it('refuses where too many moves are out of all proportion, however much nearer it is on the others', () => {
    const verdict = verdictOn((row, i) => (row.actual_seconds / row.duration_seconds.p50) * (i % 10 ? 1 : 6));
    expect(verdict.promote).toBe(false);
    expect(verdict.reason).toMatch(
      /^\d+ of \d+ moves took more than 5 times longer or shorter than predicted/,
    );
  });

  it('decides nothing by a handful of moves that are new to the one in service', () => {
    const few = records.slice(0, 170);
    const known = new Set(few.map(({ id }) => id));
    const rows = championRows.filter(({ id }) => known.has(id));
    const { promote, reason } = judge({ records: few }, rows, { champion, seed: SEED });
    expect(promote).toBe(false);
    expect(reason).toMatch(/^only \d+ moves are new to default@\S+, 30 are needed to compare$/);
  });

  it('takes up nothing of a champion that had the same name and version when a run was broken off', () => {
    const pieces = memoryPieces();
    const lossOf = (standing: ModelFile): number =>
      judge({ records }, championRows, { champion: standing, seed: SEED, pieces }).compared!.champion_pinball;
    const alike = fitModel(records.slice(0, 110), { name: 'default', seed: SEED });
    const loss = lossOf(champion);
    expect(lossOf({ ...alike, version: champion.version, trained_on: champion.trained_on })).not.toBe(loss);
    expect(lossOf(champion)).toBe(loss);
  });

  it('refuses what predicts no numbers, as the first of its name too', () => {
    const rows = championRows.map((row, i) => ({
      ...row,
      duration_seconds: i === 7 ? { ...row.duration_seconds, p90: NaN } : row.duration_seconds,
    }));
    for (const known of [champion, undefined])
      expect(judge({ records }, rows, { champion: known, seed: SEED })).toEqual({
        promote: false,
        reason: 'some of its predictions are no numbers',
      });
  });

  it('refuses what is worse by a hair', () => {
    // Away from what it took by a hair, each time.
    const verdict = verdictOn((row) => (row.actual_seconds < row.duration_seconds.p50 ? 1.0001 : 0.9999));
    const { challenger_pinball, champion_pinball, p_value } = verdict.compared!;
    expect(challenger_pinball / champion_pinball).toBeLessThan(1.01);
    expect(challenger_pinball).toBeGreaterThan(champion_pinball);
    expect(p_value).toBeLessThan(0.05);
    expect(verdict.promote).toBe(false);
  });

  it('decides nothing on moves that the version in service has been trained on', () => {
    const all = fitModel(records, { name: 'default', seed: SEED });
    const rows = championRows.map((row) => ({ ...row, candidate: wholeModel.name }));
    const verdict = judge({ records }, rows, { champion: all, seed: SEED });
    expect(verdict).toMatchObject({
      promote: false,
      reason: expect.stringMatching(/^only 0 moves are new to/),
    });
    expect(verdict.compared).toBeUndefined();
  });
});
