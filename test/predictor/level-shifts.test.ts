import { describe, expect, it } from '@jest/globals';
import { LevelShifts } from '../../src/predictor/level-shifts.js';
import { seededRandom } from '../../training/seeded-random.js';

/** About normal, standard deviation 1: twelve uniform numbers less their mean. */
function noise(seed: number): () => number {
  const random = seededRandom(seed);
  return () => Array.from({ length: 12 }, random).reduce((sum, value) => sum + value, -6);
}
/** The first of the moves at which an alarm was given; undefined when there was none. */
function alarmAt(shifts: LevelShifts, residuals: readonly number[]): number | undefined {
  const at = residuals.findIndex((residual) => shifts.learn('kind', residual));
  return at < 0 ? undefined : at;
}

describe('shifts of level', () => {
  it('are noticed within a window when durations grow by a quarter', () => {
    const draw = noise(1);
    const residuals = Array.from({ length: 60 }, (_, i) => 0.04 * draw() + (i >= 40 ? Math.log(1.25) : 0));
    const at = alarmAt(new LevelShifts(), residuals);
    expect(at).toBeGreaterThanOrEqual(40);
    expect(at).toBeLessThan(50);
  });

  it('are noticed after a bulk of odd moves as soon as the windows have left it behind', () => {
    const draw = noise(2);
    const shifts = new LevelShifts();
    const odd = Array.from({ length: 18 }, () => 0.5 + 0.01 * draw());
    const usual = Array.from({ length: 16 }, () => 0.04 * draw());
    // The end of the bulk is a shift as well.
    expect(alarmAt(shifts, [...odd, ...usual])).toBeDefined();
    shifts.forget('kind');
    for (const residual of usual) shifts.learn('kind', residual);
    const longer = Array.from({ length: 12 }, () => Math.log(1.25) + 0.04 * draw());
    expect(alarmAt(shifts, longer)).toBeLessThan(12);
  });

  it('are hardly ever seen where there are none', () => {
    let alarms = 0;
    for (let seed = 0; seed < 20; seed++) {
      const draw = noise(100 + seed);
      const shifts = new LevelShifts();
      for (let i = 0; i < 1000; i++) if (shifts.learn('kind', 0.1 * draw())) shifts.forget('kind');
      alarms += shifts.alarms;
    }
    expect(alarms).toBeLessThanOrEqual(20);
  });

  it('are not a single odd move, nor a handful of them', () => {
    const shifts = new LevelShifts();
    const residuals = Array.from({ length: 200 }, (_, i) => (i % 20 < 3 ? 2 : 0.01 * (i % 2)));
    expect(alarmAt(shifts, residuals)).toBeUndefined();
  });

  it('are looked for in each kind of move apart, and after a restore as before', () => {
    const first = new LevelShifts();
    for (let i = 0; i < 19; i++) first.learn(i % 2 === 0 ? 'a' : 'b', i % 2 === 0 ? 0 : 1);
    const second = new LevelShifts();
    second.restore(JSON.parse(JSON.stringify(first.save())));
    for (const shifts of [first, second]) for (let i = 0; i < 20; i++) shifts.learn('a', i < 11 ? 0 : 0.3);
    expect(first.alarms).toBe(second.alarms);
    expect(first.alarms).toBeGreaterThan(0);
    expect(second.save()).toEqual(first.save());
  });
});
