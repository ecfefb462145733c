import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BusyPeriods, type QueuedMove } from '../../src/predictor/busy-periods.js';
import { seededRandom } from '../../training/seeded-random.js';

const ALONE_SECONDS = 20;
const EVACUATION_MOVES = 12;

/**
 * Evacuations of 12 moves, `together` at a time, by a manager that works through them one by one in any order; each
 * takes 20 s on its own, times `factor` of its evacuation. In order of finish.
 */
function evacuations(factors: readonly number[], together: (evacuation: number) => number): QueuedMove[] {
  const random = seededRandom(5);
  const moves: QueuedMove[] = [];
  let nowMs = 0;
  factors.forEach((factor, evacuation) => {
    const asked = together(evacuation);
    for (let batch = 0; batch < EVACUATION_MOVES / asked; batch++) {
      const startMs = nowMs;
      for (let k = 0; k < asked; k++) {
        // A guest is not like another: a few per cent either way.
        nowMs += 1000 * ALONE_SECONDS * factor * (0.97 + 0.06 * random());
        moves.push({
          startMs,
          seconds: (nowMs - startMs) / 1000,
          together: asked,
          aloneSeconds: ALONE_SECONDS,
        });
      }
    }
    nowMs += 30_000;
  });
  return moves;
}
const alarmsAt = (periods: BusyPeriods, moves: readonly QueuedMove[], isQueued = true): number[] =>
  moves.flatMap((move, i) => (periods.learn('kind', isQueued, move) ? [i] : []));
const steady = (count: number, factor = 1): number[] => Array.from({ length: count }, () => factor);

describe('busy periods', () => {
  it('show a shift of a quarter as soon as two of them have ended', () => {
    const factors = [...steady(20), ...steady(4, 1.25)];
    const [at] = alarmsAt(
      new BusyPeriods(),
      evacuations(factors, () => 4),
    );
    expect(at).toBe(22 * EVACUATION_MOVES);
  });

  it('show it in either direction', () => {
    const factors = [...steady(20), ...steady(4, 0.8)];
    const [at] = alarmsAt(
      new BusyPeriods(),
      evacuations(factors, () => 4),
    );
    expect(at).toBe(22 * EVACUATION_MOVES);
  });

  it('are as long however many moves are asked for at a time', () => {
    const moves = evacuations(steady(40), (evacuation) => (evacuation < 20 ? 2 : 4));
    expect(alarmsAt(new BusyPeriods(), moves)).toEqual([]);
    const shifted = evacuations([...steady(20), ...steady(4, 1.25)], (evacuation) =>
      evacuation < 20 ? 2 : 4,
    );
    expect(alarmsAt(new BusyPeriods(), shifted)[0]).toBe(22 * EVACUATION_MOVES);
  });

  it('say nothing by a single odd one', () => {
    const factors = Array.from({ length: 60 }, (_, i) => (i % 15 === 14 ? 3 : 1));
    expect(
      alarmsAt(
        new BusyPeriods(),
        evacuations(factors, () => 4),
      ),
    ).toEqual([]);
  });

  it('hardly ever show a shift where there is none', () => {
    const random = seededRandom(11);
    // About normal, a tenth of them four times as wide.
    const draw = (): number => Array.from({ length: 12 }, random).reduce((sum, value) => sum + value, -6);
    const factors = Array.from({ length: 5000 }, () => Math.exp(0.1 * draw() * (random() < 0.1 ? 4 : 1)));
    const alarms = alarmsAt(
      new BusyPeriods(),
      evacuations(factors, () => 4),
    ).length;
    expect((1000 * alarms) / (factors.length * EVACUATION_MOVES)).toBeLessThan(0.5);
  });

  it('of a manager that never rests end all the same', () => {
    const moves: QueuedMove[] = Array.from({ length: 600 }, (_, i) => {
      const seconds = ALONE_SECONDS * (i < 400 ? 1 : 1.25);
      return { startMs: 1000 * seconds * i, seconds, together: 1, aloneSeconds: ALONE_SECONDS };
    });
    const [at] = alarmsAt(new BusyPeriods(), moves);
    expect(at).toBeGreaterThan(400);
    expect(at).toBeLessThan(480);
  });

  it('are not looked at until the moves have shown that they are queued', () => {
    const periods = new BusyPeriods();
    const moves = evacuations([...steady(20), ...steady(4, 1.25)], () => 4);
    expect(alarmsAt(periods, moves, false)).toEqual([]);
    expect(periods.save()).toEqual([]);
  });

  it('before a shift are no longer compared with once they are forgotten', () => {
    const periods = new BusyPeriods();
    const moves = evacuations([...steady(20), ...steady(20, 1.25)], () => 4);
    expect(alarmsAt(periods, moves.slice(0, 20 * EVACUATION_MOVES))).toEqual([]);
    periods.forget('kind');
    periods.forget('another');
    expect(alarmsAt(periods, moves.slice(20 * EVACUATION_MOVES))).toEqual([]);
  });

  it('go on after a restore as before, wherever it falls', () => {
    const move = fc.record({
      kind: fc.constantFrom('a', 'b'),
      restMs: fc.integer({ min: -5000, max: 5000 }),
      durationMs: fc.integer({ min: 1, max: 100_000 }),
      together: fc.integer({ min: 2, max: 5 }),
      aloneSeconds: fc.double({ min: 0.01, max: 100, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(move, { maxLength: 300 }), fc.nat(300), (drawn, cut) => {
        let nowMs = 0;
        const moves = drawn.map(({ kind, restMs, durationMs, together, aloneSeconds }) => {
          const startMs = nowMs + restMs;
          nowMs = Math.max(nowMs, startMs + durationMs);
          return { kind, move: { startMs, seconds: durationMs / 1000, together, aloneSeconds } };
        });
        const whole = new BusyPeriods();
        const told = moves.map(({ kind, move: m }) => whole.learn(kind, true, m));
        const first = new BusyPeriods();
        const before = moves.slice(0, cut).map(({ kind, move: m }) => first.learn(kind, true, m));
        const second = new BusyPeriods();
        second.restore(JSON.parse(JSON.stringify(first.save())));
        const after = moves.slice(cut).map(({ kind, move: m }) => second.learn(kind, true, m));
        expect([...before, ...after]).toEqual(told);
        expect(second.save()).toEqual(whole.save());
      }),
    );
  });
});
