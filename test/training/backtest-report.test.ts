import { describe, expect, it } from '@jest/globals';
import { accuracyBy } from '../../training/accuracy.js';
import { backtest, protocols, type BacktestRow, type Protocol } from '../../training/backtest.js';
import { accuracyIntervals } from '../../training/bootstrap.js';
import { moveGroups } from '../../training/move-groups.js';
import { backtestReport, type BacktestReport } from '../../training/backtest-report.js';
import { candidates } from '../../training/candidates/candidates.js';
import { binomialBand } from '../../src/domain/binomial.js';
import {
  calibrationOf,
  finishedBefore,
  learningCurve,
  residualWindows,
} from '../../training/report-figures.js';
import { inventedMoves } from './invented-moves.js';

const records = inventedMoves(260);
const few = candidates.filter(({ name }) => ['median-of-pair', 'physics', 'movecast'].includes(name));
const rowsOf = (protocol: Protocol, of = records): BacktestRow[] =>
  backtest({ records: of }, few, { protocol, seed: 1, originGrowth: 1.25 });
const rolling = rowsOf('rolling');
const judged = (rows: readonly BacktestRow[]): Pick<BacktestReport, 'rowsOf' | 'accuracies'> => ({
  rowsOf: (name) => rows.filter((row) => row.candidate === name),
  accuracies: accuracyBy(
    rows,
    (row) => row.candidate,
    (members) => accuracyIntervals(members, moveGroups(records).instance, 1),
  ),
});
const reportOf = (protocol: Protocol): string =>
  backtestReport({
    ...judged(protocol === 'rolling' ? rolling : rowsOf(protocol)),
    records,
    protocol,
    seed: 1,
    candidates: few,
  });

describe('the report of a backtest', () => {
  it.each(Object.keys(protocols) as Protocol[])('draws %s without a number that is none', (protocol) => {
    const html = reportOf(protocol);
    expect(html).toContain(protocols[protocol]);
    expect(html).not.toMatch(/NaN|undefined|Infinity|\[object/);
    for (const id of ['accuracy', 'calibration', 'residuals', 'links', 'groups', 'moves'])
      expect(html).toContain(`id="${id}"`);
  });

  it('is the same to the last byte for the same rows, and asks for nothing from elsewhere', () => {
    const html = reportOf('rolling');
    expect(reportOf('rolling')).toBe(html);
    expect(html).not.toMatch(/<script|<link|<img|\bsrc=|\bhref=|https?:|url\(|@import/);
  });

  it('shows names out of logs as text', () => {
    const evil = '<img src=x onerror=alert(1)>"&';
    const named = records.map((record) => ({ ...record, cluster: evil, source_node: evil }));
    const html = backtestReport({
      ...judged(rowsOf('rolling', named)),
      records: named,
      protocol: 'rolling',
      seed: 1,
      candidates: few,
    });
    expect(html).not.toContain('<img');
    expect(html).toContain('&#60;img src=x onerror=alert(1)&#62;');
  });

  it('says so when nothing that was asked for finished', () => {
    const broken = rolling.map((row) => ({ ...row, status: 'failed' as const }));
    const html = backtestReport({
      ...judged(broken),
      records,
      protocol: 'rolling',
      seed: 1,
      candidates: few,
    });
    expect(html).toContain('nothing can be scored');
  });
});

describe('figures of a report', () => {
  const own = rolling.filter(({ candidate }) => candidate === 'movecast');

  it('calibration counts moves within each quantile and gives the binomial band', () => {
    const points = calibrationOf(own);
    expect(points.map(({ level }) => level)).toEqual([0.05, 0.1, 0.5, 0.9, 0.95]);
    const within = own.filter((row) => row.actual_seconds <= row.duration_seconds.p90).length;
    expect(points[3]).toEqual({ level: 0.9, share: within / own.length, ...binomialBand(own.length, 0.9) });
  });

  it('windows of residuals end at the newest move', () => {
    const windows = residualWindows(own, 20);
    expect(windows[0]!.at).toBe(19);
    expect(windows.every(({ low, median, high }) => low <= median && median <= high)).toBe(true);
    expect(residualWindows(own.slice(0, 19), 20)).toEqual([]);
  });

  it('history counts only what had finished when a move started', () => {
    const counts = finishedBefore([
      { id: 'a', group: 'x', startMs: 0, finishMs: 10 },
      { id: 'b', group: 'x', startMs: 9, finishMs: 11 },
      { id: 'c', group: 'x', startMs: 11, finishMs: 12 },
      { id: 'd', group: 'y', startMs: 11, finishMs: 12 },
    ]);
    expect(Object.fromEntries(counts)).toEqual({ a: 0, b: 0, c: 2, d: 0 });
  });

  it('a learning curve falls where errors fall with history', () => {
    const falling = own.map((row, i) => ({
      ...row,
      actual_seconds: row.duration_seconds.p50 * (1 + 10 / (i + 5)),
    }));
    const index = new Map(falling.map((row, i) => [row.id, i]));
    const curve = learningCurve(falling, (row) => index.get(row.id)!, { steps: 5, least: 3 });
    expect(curve.length).toBeGreaterThan(2);
    curve.slice(1).forEach((step, i) => expect(step.median_ape).toBeLessThan(curve[i]!.median_ape));
  });
});
