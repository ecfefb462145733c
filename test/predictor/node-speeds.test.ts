import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { NodeSpeeds } from '../../src/predictor/node-speeds.js';

const NOISE = 0.01;
const spread = Object.freeze({ global: 0.02, clusters: Object.freeze({ site: 0.05 }) });

describe('speeds of nodes', () => {
  it('are the median of a cluster, and as unsure as its nodes differ, before a node was seen', () => {
    const speeds = new NodeSpeeds(spread);
    expect(speeds.mean('a')).toBe(0);
    expect(speeds.variance('site', 'a')).toBe(0.05);
    for (const unknown of ['another', '__proto__', 'constructor'])
      expect(speeds.variance(unknown, 'a')).toBe(0.02);
  });

  it('come to what moves say, from moves that the node limits alone', () => {
    const speeds = new NodeSpeeds(spread);
    for (let i = 0; i < 200; i++) {
      const slope = i % 2 === 0 ? -0.8 : 0;
      const seen = slope * -0.3;
      const error = seen - slope * speeds.mean('a');
      speeds.learn('site', 'a', error, slope, slope ** 2 * speeds.variance('site', 'a') + NOISE);
    }
    expect(speeds.mean('a')).toBeCloseTo(-0.3, 2);
    expect(speeds.variance('site', 'a')).toBeLessThan(0.001);
    const before = speeds.save();
    speeds.learn('site', 'a', 1, 0, NOISE);
    expect(speeds.save()).toEqual(before);
  });

  it('agree with least squares over all that was seen, where slopes do not change', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.double({ min: -1, max: -0.1, noNaN: true }),
            fc.double({ min: -0.5, max: 0.5, noNaN: true }),
          ),
          {
            minLength: 1,
            maxLength: 12,
          },
        ),
        (moves) => {
          const speeds = new NodeSpeeds(spread);
          let precision = 1 / 0.05;
          let weighted = 0;
          for (const [slope, seen] of moves) {
            const variance = slope ** 2 * speeds.variance('site', 'a') + NOISE;
            speeds.learn('site', 'a', seen - slope * speeds.mean('a'), slope, variance);
            precision += slope ** 2 / NOISE;
            weighted += (slope * seen) / NOISE;
          }
          // Speeds wander a little, which the sum does not know of.
          expect(speeds.mean('a')).toBeCloseTo(weighted / precision, 2);
          expect(speeds.variance('site', 'a')).toBeCloseTo(1 / precision, 3);
        },
      ),
    );
  });

  it('learn nothing where a model was made before nodes were told apart', () => {
    const speeds = new NodeSpeeds();
    speeds.learn('site', 'a', 1, -1, NOISE);
    expect(speeds.save()).toEqual([]);
    expect(speeds.variance('site', 'a')).toBe(0);
  });

  it('are restored exactly', () => {
    const speeds = new NodeSpeeds(spread);
    speeds.learn('site', 'a', 0.4, -0.5, 0.03);
    speeds.learn('site', 'b', -0.1, -0.2, 0.03);
    const again = new NodeSpeeds(spread);
    again.restore(JSON.parse(JSON.stringify(speeds.save())) as ReturnType<NodeSpeeds['save']>);
    expect(again.save()).toEqual(speeds.save());
  });
});
