import { describe, expect, it } from '@jest/globals';
import { QueuePlaces } from '../../src/predictor/queue-places.js';

const levels = [0.05, 0.1, 0.5, 0.9, 0.95];
const uneven = (i: number): number => 0.03 * Math.sin(i * 12.9898);

describe('places in a queue', () => {
  it('are found where two moves at a time take once or twice as long', () => {
    const queue = new QueuePlaces();
    for (let i = 0; i < 100; i++)
      queue.learn('g', `vm${i % 10}`, (i % 2 === 0 ? 0 : Math.log(2)) + uneven(i));
    const places = queue.places('g', 2)!;
    expect(places[1]! - places[0]!).toBeCloseTo(Math.log(2), 1);
    expect(places[0]! + places[1]!).toBeCloseTo(0, 10);
  });

  it('are not found where durations lie around one middle', () => {
    const queue = new QueuePlaces();
    for (let i = 0; i < 200; i++) {
      // A sum of twelve even numbers is nearly normal.
      let sum = -6;
      for (let k = 0; k < 12; k++) sum += (((i * 12 + k) * 7919) % 1009) / 1009;
      queue.learn('g', 'vm', sum / 5);
    }
    for (const count of [2, 3, 4]) expect(queue.places('g', count)).toBeUndefined();
  });

  it('are not found before enough moves were seen', () => {
    const queue = new QueuePlaces();
    for (let i = 0; i < 10; i++) queue.learn('g', 'vm', i % 2);
    expect(queue.places('g', 2)).toBeUndefined();
  });

  it('show in the interval, and the median given is one: half of the moves take no longer', () => {
    const queue = new QueuePlaces();
    for (let i = 0; i < 100; i++) queue.learn('g', `vm${i % 7}`, (i % 2 === 0 ? 0 : Math.log(2)) + uneven(i));
    const out = new Float64Array(5);
    const factor = queue.distribution('g', 'unseen', levels, out);
    expect(out[0]).toBeLessThan(0.1);
    expect(out[4]).toBeGreaterThan(Math.log(2) - 0.1);
    const past = Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? 0 : Math.log(2)) + uneven(i)).slice(
      -96,
    );
    expect(past.filter((residual) => residual <= out[2]!)).toHaveLength(48);
    expect(factor).toBeCloseTo(1.5, 1);
  });

  it('follow an instance that mostly gets the same place', () => {
    const queue = new QueuePlaces();
    for (let i = 0; i < 120; i++) {
      const vm = i % 6;
      const place = vm === 0 ? Math.log(2) : i % 2 === 0 ? 0 : Math.log(2);
      queue.learn('g', `vm${vm}`, place + uneven(i));
    }
    const out = new Float64Array(5);
    queue.distribution('g', 'vm0', levels, out);
    expect(out[2]).toBeGreaterThan(0.5);
  });

  it('are those of each group, whichever was asked for before', () => {
    const queue = new QueuePlaces();
    for (let i = 0; i < 96; i++) {
      queue.learn('two', 'vm', (i % 2) * Math.log(2) + uneven(i));
      queue.learn('four', `vm${i}`, Math.log(1 + (i % 4)) + uneven(i));
    }
    const asked = (group: string, instance: string): number[] => {
      const out = new Float64Array(5);
      return [queue.distribution(group, instance, levels, out), ...out];
    };
    const four = asked('four', 'vm');
    expect(asked('two', 'vm')[4]).toBeLessThan(four[4]! - 0.5);
    expect(asked('four', 'vm')).toEqual(four);
  });

  it('are the same after saving and restoring', () => {
    const queue = new QueuePlaces();
    for (let i = 0; i < 60; i++) queue.learn('g', `vm${i % 3}`, (i % 2) * 0.7 + uneven(i));
    const copy = new QueuePlaces();
    copy.restore(JSON.parse(JSON.stringify(queue.save())));
    expect(copy.places('g', 2)).toEqual(queue.places('g', 2));
  });
});
