import { describe, expect, it } from '@jest/globals';
import { finishMs, startMs } from '../../src/domain/move-record.js';
import { forecastMoves, inFlightBacktest } from '../../training/in-flight-backtest.js';
import { readLabPolls, type PolledMove } from '../../training/move-polls.js';

const lab = readLabPolls('data/qemu-lab')
  .sort((a, b) => startMs(a.record) - startMs(b.record))
  .slice(0, 150);
const rowsOf = (moves: readonly PolledMove[]) => inFlightBacktest(forecastMoves(moves, 7));

describe('the backtest of running moves', () => {
  const whole = rowsOf(lab);

  it('beats both the prediction before the start and the plain readings on the laboratory, more so on the way', () => {
    const error = (name: string, share: number): number => {
      const rows = whole.rows.filter((row) => row.share === share);
      const errors = rows
        .map(({ answers, actual }) => Math.abs(answers[name]![2]! / actual - 1))
        .sort((a, b) => a - b);
      return errors[errors.length >> 1]!;
    };
    for (const share of [0.5, 0.75, 0.9])
      for (const mark of ['predicted total - elapsed', 'linear by memory', 'remaining / throughput'])
        expect(error('movecast', share)).toBeLessThan(error(mark, share));
    expect(error('movecast', 0.9)).toBeLessThan(error('movecast', 0.25));
  });

  it('knows nothing measured after a poll: neither of the move itself nor of those that had not finished', () => {
    const judged = whole.rows[Math.floor(whole.rows.length * 0.6)]!;
    const at = lab.find(({ record }) => record.id === judged.id)!;
    const altered = lab.map((move): PolledMove => {
      if (move === at) {
        const polls = move.polls.filter((poll) => poll.elapsed_seconds <= judged.elapsed);
        const {
          downtime_ms: _d,
          transferred_mib: _t,
          throughput_mbps: _m,
          dirty_sync_count: _c,
          ...record
        } = move.record;
        return { record, polls };
      }
      if (finishMs(move.record) <= startMs(at.record)) return move;
      return {
        record: {
          ...move.record,
          duration_seconds: 3 * move.record.duration_seconds + 1,
          transferred_mib: 1,
        },
        polls: [],
      };
    });
    const again = rowsOf(altered).rows.find((row) => row.id === judged.id && row.share === judged.share)!;
    expect(again.elapsed).toBe(judged.elapsed);
    expect(again.answers).toEqual(judged.answers);
  });
});
