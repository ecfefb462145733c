import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { LinkSample } from '../../src/domain/samples.js';
import { toIsoTime } from '../../src/domain/units.js';
import { LinkForecasts } from '../../src/predictor/link-forecast.js';

const STEP_MS = 300_000;
const START_MS = Date.UTC(2026, 0, 5);

const sample = (link: string, i: number, mbps: number, more: Partial<LinkSample> = {}): LinkSample => ({
  at: toIsoTime(START_MS + i * STEP_MS),
  link,
  throughput_mbps: mbps,
  ...more,
});
const row = (
  link: string,
  mbps: (i: number) => number,
  more: Partial<LinkSample> = {},
  n = 100,
): LinkSample[] => Array.from({ length: n }, (_, i) => sample(link, i, mbps(i), more));
const soonMs = START_MS + 100 * STEP_MS;
const pair = { sourceNode: 'a', targetNode: 'b' };

describe('forecasts of links', () => {
  it('say what is left of the capacity: much traffic leaves little', () => {
    const links = LinkForecasts.fit(row('a>b', (i) => 300 + 20 * Math.sin(i * 7.3), { capacity_mbps: 1000 }));
    const forecast = links.at(pair, soonMs)!;
    expect(forecast).toMatchObject({ basis: 'link', series: 'a>b', evidence: 'traffic', capacityMbps: 1000 });
    expect(forecast.trafficMbps![2]).toBeGreaterThan(270);
    expect(forecast.trafficMbps![2]).toBeLessThan(330);
    for (let j = 0; j < 5; j++)
      expect(forecast.availableMbps![j]).toBeCloseTo(1000 - forecast.trafficMbps![4 - j]!, 6);
    expect(links.at({ ...pair, capacityMbps: 2000 }, soonMs)!.availableMbps![2]).toBeGreaterThan(1600);
    expect(links.at({ ...pair, capacityMbps: 100 }, soonMs)!.availableMbps![4]).toBe(0);
  });

  it('fall back from the link to its source node and to the cluster, and say so', () => {
    const links = LinkForecasts.fit([
      ...row('a:egress', () => 300, { capacity_mbps: 1000 }),
      ...row('c>d', () => 50, { capacity_mbps: 500 }),
    ]);
    expect(links.at(pair, soonMs)).toMatchObject({ basis: 'node', series: 'a:egress' });
    expect(links.at({ sourceNode: 'c', targetNode: 'x' }, soonMs)).toMatchObject({
      basis: 'node',
      series: 'c',
    });
    expect(links.at({ sourceNode: 'x', targetNode: 'y' }, soonMs)).toMatchObject({
      basis: 'cluster',
      series: '*',
    });
    expect(links.at({ sourceNode: 'a' }, soonMs)).toMatchObject({ basis: 'link', series: 'a:egress' });
    expect(links.at({ ...pair, cluster: 'elsewhere' }, soonMs)).toBeUndefined();
    expect(new LinkForecasts().at(pair, soonMs)).toBeUndefined();
  });

  it('take turns between the links of a cluster, so that its bands are those of one link', () => {
    const links = LinkForecasts.fit([
      ...row('a:egress', () => 100, { capacity_mbps: 1000 }, 400),
      ...row('b:egress', () => 900, { capacity_mbps: 1000 }, 400),
    ]);
    const { trafficMbps } = links.at({ sourceNode: 'x' }, START_MS + 400 * STEP_MS)!;
    expect(trafficMbps![0]).toBeLessThan(200);
    expect(trafficMbps![4]).toBeGreaterThan(800);
  });

  it('are not pulled down by a move that its host held back, and are raised by one that shows more', () => {
    const measured = row('a>b:moves', (i) => 800 + (i % 5));
    const heldBack = Array.from({ length: 99 }, (_, i) => ({
      ...sample('a>b:moves-at-least', i, 50),
      at: toIsoTime(START_MS + (i + 0.5) * STEP_MS),
    }));
    const alone = LinkForecasts.fit(measured).at(pair, soonMs)!;
    const beside = LinkForecasts.fit([...measured, ...heldBack]).at(pair, soonMs)!;
    expect(alone).toMatchObject({ basis: 'link', series: 'a>b', evidence: 'moves' });
    expect([...beside.availableMbps!]).toEqual([...alone.availableMbps!]);
    const more = row('a>b:moves-at-least', (i) => 1500 + (i % 5)).map((one, i) => ({
      ...one,
      at: toIsoTime(soonMs + i * STEP_MS),
    }));
    const raised = LinkForecasts.fit([...measured, ...more]).at(pair, soonMs + 100 * STEP_MS)!;
    expect(raised.availableMbps![2]).toBeGreaterThan(1400);
  });

  it('know of a link that only held-back moves used that it gives at least what the best of them got', () => {
    const links = LinkForecasts.fit(row('a>b:moves-at-least', (i) => (i === 50 ? 400 : 100), {}, 60));
    expect(links.at(pair, soonMs)!.availableMbps![2]).toBeGreaterThanOrEqual(100);
  });

  it('prefer monitored traffic to what moves got only where it tells what is left', () => {
    const traffic = row('a>b', () => 300);
    const moves = row('a>b:moves', () => 650);
    expect(LinkForecasts.fit([...traffic, ...moves]).at(pair, soonMs)!.evidence).toBe('moves');
    expect(
      LinkForecasts.fit([...traffic, ...moves]).at({ ...pair, capacityMbps: 1000 }, soonMs)!.evidence,
    ).toBe('traffic');
    const alone = LinkForecasts.fit(traffic).at(pair, soonMs)!;
    expect(alone.availableMbps).toBeUndefined();
    expect(alone.trafficMbps![2]).toBeCloseTo(300, 0);
  });

  const samples = fc.array(
    fc.record({
      link: fc.constantFrom('a>b', 'a>c', 'b>a', 'a:egress', 'a>b:moves', 'a>b:moves-at-least', 'odd > name'),
      i: fc.integer({ min: 0, max: 2000 }),
      mbps: fc.double({ min: 0, max: 1e5, noNaN: true }),
      capacity: fc.option(fc.double({ min: 1, max: 1e5, noNaN: true }), { nil: undefined }),
    }),
    { maxLength: 150 },
  );
  const asSample = ({
    link,
    i,
    mbps,
    capacity,
  }: {
    link: string;
    i: number;
    mbps: number;
    capacity: number | undefined;
  }) => sample(link, i, mbps, capacity === undefined ? {} : { capacity_mbps: capacity });
  const asked = [
    pair,
    { sourceNode: 'a', targetNode: 'c' },
    { sourceNode: 'z', targetNode: 'y' },
    { sourceNode: 'a' },
  ];
  const answers = (links: LinkForecasts) =>
    asked.flatMap((link) => [0, 3_600_000, 1e10].map((ms) => links.at(link, START_MS + 2001 * STEP_MS + ms)));

  it('are finite and in order, the same in any order of samples and after saving', () => {
    fc.assert(
      fc.property(
        fc
          .uniqueArray(
            samples
              .map((some) => some.map(asSample))
              .chain((some) => fc.constantFrom(...(some.length === 0 ? [sample('a>b', 0, 1)] : some))),
            {
              selector: ({ link, at }) => `${link} ${at}`,
              maxLength: 100,
            },
          )
          .chain((some) =>
            fc.tuple(fc.constant(some), fc.shuffledSubarray(some, { minLength: some.length })),
          ),
        ([inOrder, mixed]) => {
          const links = LinkForecasts.fit(inOrder);
          const all = answers(links);
          for (const forecast of all) {
            for (const quantiles of [forecast?.trafficMbps, forecast?.availableMbps]) {
              quantiles?.forEach((quantile, j) => {
                expect(Number.isFinite(quantile)).toBe(true);
                expect(quantile).toBeGreaterThanOrEqual(j === 0 ? 0 : quantiles[j - 1]!);
              });
            }
          }
          expect(answers(LinkForecasts.fit(mixed))).toEqual(all);
          const saved = JSON.parse(JSON.stringify(links.save())) as ReturnType<LinkForecasts['save']>;
          expect(answers(LinkForecasts.restore(saved))).toEqual(all);
        },
      ),
      { numRuns: 25 },
    );
  });
});
