import { describe, expect, it } from '@jest/globals';
import { finishMs, startMs } from '../../src/domain/move-record.js';
import { loadPredictor } from '../../src/predictor/load-predictor.js';
import { fitModel } from '../../training/fit.js';
import { readLabPolls } from '../../training/move-polls.js';
import { outcomeBacktest } from '../../training/outcome-backtest.js';

const lab = readLabPolls('data/qemu-lab')
  .map(({ record }) => record)
  .sort((a, b) => startMs(a) - startMs(b))
  .slice(0, 170);
const pinball = (p: number, actual: number, q: number): number =>
  Math.max(p * (actual - q), (p - 1) * (actual - q));

describe('downtime, transferred bytes and the chance to complete', () => {
  const rows = outcomeBacktest(lab, 7);

  it('come nearer to measured downtimes than the configured limit does', () => {
    let ours = 0;
    let limits = 0;
    for (const { record, completed, downtimeMs } of rows) {
      if (!completed || record.downtime_ms === undefined) continue;
      const limit = record.downtime_limit_ms ?? 300;
      [0.5, 0.9].forEach((p, j) => {
        ours += pinball(p, record.downtime_ms!, downtimeMs[j]!);
        limits += pinball(p, record.downtime_ms!, limit);
      });
    }
    expect(ours).toBeLessThan(limits);
  });

  it('depend on nothing that had not finished when a move started', () => {
    const asked = rows.at(-5)!;
    const atMs = startMs(asked.record);
    const altered = lab.map((record) =>
      finishMs(record) <= atMs
        ? record
        : { ...record, downtime_ms: 9e6, transferred_mib: 1, status: 'cancelled' as const },
    );
    const again = outcomeBacktest(altered, 7).find(({ record }) => record.id === asked.record.id)!;
    for (const key of ['chance', 'chanceWithoutLimit', 'downtimeMs', 'transferredMib'] as const)
      expect(again[key]).toEqual(asked[key]);
  });

  it('are answered by a model from before the quantiles of bytes too', () => {
    const file = fitModel(lab, { name: 'm', seed: 1 });
    const { transfers, ...older } = file.state;
    expect(transfers!.length).toBeGreaterThan(0);
    const request = {
      cluster: 'lab-s1-single',
      instance: 'vm',
      source_node: 'a',
      target_node: 'b',
      memory_mib: 512,
    };
    for (const state of [file.state, older]) {
      const { transferred_mib: bytes } = loadPredictor({ ...file, state }).predict(
        request,
        startMs(lab.at(-1)!) + 1e6,
      );
      expect(bytes!.p90!).toBeGreaterThan(bytes!.p50);
    }
  });
});
