import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { startMs, type MoveRecord } from '../../src/domain/move-record.js';
import type { InstanceSample } from '../../src/domain/samples.js';
import { accuracyOf } from '../../training/accuracy.js';
import { backtest, protocols, type BacktestRow, type Protocol } from '../../training/backtest.js';
import { candidates } from '../../training/candidates/candidates.js';
import {
  pooledEffects,
  servedModel,
  treesOnPhysics,
  wholeModel,
} from '../../training/candidates/whole-model.js';
import { fitModel } from '../../training/fit.js';
import type { Candidate } from '../../training/forecaster.js';
import { alteredFuture, isInFlight } from './altered-future.js';
import { fullyToldMoves, inventedMoves } from './invented-moves.js';

const inTime = ['rolling', 'new-instance', 'new-link', 'new-node', 'cold-start'] as const;
const moves: readonly MoveRecord[] = Object.freeze(
  fullyToldMoves(200).map((record, i) => (i < 150 ? record : { ...record, cluster: 'd' })),
);
/** Where samples are to tell what these leave open. */
const barelyTold = Object.freeze(inventedMoves(220));
const apartFromLayersOfTheWhole = candidates.filter(
  (candidate) => candidate !== pooledEffects && candidate !== treesOnPhysics,
);
const keyOf = (row: BacktestRow): string => `${row.candidate} ${row.id}`;

/** The layers of the whole go the way that the whole goes: in order of time is enough for them. */
const judgedUnder = (protocol: Protocol): readonly Candidate[] =>
  protocol === 'rolling' ? candidates : apartFromLayersOfTheWhole;
/** Fits cost most of a backtest: with fewer of them more is learnt between two, which is looked at as well. */
const optionsOf = (protocol: Protocol) =>
  ({ protocol, seed: 3, firstOriginMoves: 70, originGrowth: 1.25 }) as const;
const wholeRows = new Map<Protocol, readonly BacktestRow[]>();
/** Of all moves, computed once a protocol. */
function rowsUnder(protocol: Protocol): readonly BacktestRow[] {
  const known = wholeRows.get(protocol);
  if (known !== undefined) return known;
  const rows = backtest({ records: moves }, judgedUnder(protocol), optionsOf(protocol));
  expect(rows.length).toBeGreaterThan(judgedUnder(protocol).length * 20);
  wholeRows.set(protocol, rows);
  return rows;
}
/** After so much of what is asked for: soon after a first fit, and after learning for long; of a second cluster too. */
const cutsOf = (protocol: Protocol) => (protocol === 'cold-start' ? [0.2, 0.53, 0.9] : [0.1, 0.8]);
/** A row without what is known only after its move. */
const saidBefore = ({ actual_seconds, status, ...said }: BacktestRow) => said;
const byKey = (rows: readonly BacktestRow[]): Map<string, BacktestRow> =>
  new Map(rows.map((row) => [keyOf(row), row]));

describe('backtest', () => {
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it.each(inTime)(
    '%s: no prediction changes when everything that had not finished at its start is altered or taken away',
    (protocol) => {
      const judged = judgedUnder(protocol);
      const names = judged.map(({ name }) => name);
      const whole = byKey(rowsUnder(protocol));
      const asked = moves.filter(({ id }) => whole.has(`${names[0]} ${id}`));
      const statuses = new Set<MoveRecord['status']>();
      for (const share of cutsOf(protocol)) {
        const atMs = startMs(asked[Math.floor(share * asked.length)]!);
        const rows = backtest({ records: alteredFuture(moves, atMs) }, judged, optionsOf(protocol));
        for (const row of rows) expect(saidBefore(row)).toEqual(saidBefore(whole.get(keyOf(row))!));
        // Of those on their way the own outcomes are altered as well.
        const onTheirWay = asked.filter((record) => isInFlight(record, atMs));
        expect(onTheirWay.length).toBeGreaterThan(1);
        for (const { id, status } of onTheirWay) {
          statuses.add(status);
          expect(rows.filter((row) => row.id === id).map(({ candidate }) => candidate)).toEqual(names);
        }
      }
      expect(statuses.size).toBeGreaterThan(1);
    },
  );

  it('knows no link sample from after a start, and none that may still be the mean of the time after it', () => {
    const whole = [wholeModel];
    const sampleMs = 20_000;
    const records = barelyTold.map((record, i): MoveRecord => ({
      ...record,
      link_mbps: 1000,
      ...(i % 3 === 0 ? {} : { background_mbps: 100 * (i % 7) }),
    }));
    const linkSamples = Array.from({ length: 180 }, (_, k) =>
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((node) => ({
        at: new Date(Date.UTC(2026, 0, 1) + k * sampleMs).toISOString(),
        cluster: 'c',
        link: `n${node}:egress`,
        throughput_mbps: 100 * ((k + node) % 7),
      })),
    ).flat();
    const options = optionsOf('rolling');
    const rows = backtest({ records, linkSamples }, whole, options);
    const asked = barelyTold[180]!; // the 180th has no background of its own
    const ofAsked = (all: readonly BacktestRow[]): BacktestRow => all.find(({ id }) => id === asked.id)!;
    const changed = (fromMs: number) =>
      linkSamples.map((sample) =>
        Date.parse(sample.at) > fromMs ? { ...sample, throughput_mbps: 999 } : sample,
      );
    const later = changed(startMs(asked) - sampleMs);
    expect(ofAsked(backtest({ records, linkSamples: later }, whole, options))).toEqual(ofAsked(rows));
    const earlier = changed(startMs(asked) - 20 * sampleMs);
    expect(ofAsked(backtest({ records, linkSamples: earlier }, whole, options))).not.toEqual(ofAsked(rows));
  });

  const champion = fitModel(barelyTold.slice(0, 60), { name: 'champion', seed: 3 });
  describe.each(['rolling', 'cold-start'] as const)('%s', (protocol) => {
    it.each([
      ['the whole model', wholeModel],
      ['a version in service', servedModel(champion)],
    ])(
      'what samples last said of an instance is known to %s, up to the start and not a moment later',
      (_name, candidate) => {
        const records = barelyTold.slice(0, 125);
        const samples = Array.from({ length: 140 }, (_, k) => ({
          at: new Date(startMs(barelyTold[0]!) + k * 15_000).toISOString(),
          cluster: 'c',
          instance: `vm${k % 15}`,
          dirty_rate_mib_s: 1 + (k % 7),
          used_memory_mib: 900 + (k % 11),
        }));
        const asked = barelyTold[protocol === 'cold-start' ? 17 : 115]!;
        const askedMs = startMs(asked);
        const options = { protocol, seed: 3 } as const;
        const answer = (instanceSamples: readonly InstanceSample[]): BacktestRow =>
          backtest({ records, instanceSamples }, [candidate], options).find(({ id }) => id === asked.id)!;
        const changed = (isChanged: (atMs: number) => boolean): InstanceSample[] =>
          samples.map((sample) =>
            isChanged(Date.parse(sample.at))
              ? { ...sample, dirty_rate_mib_s: 99, used_memory_mib: 9000 }
              : sample,
          );
        const before = answer(samples);
        expect(answer(changed((atMs) => atMs > askedMs))).toEqual(before);
        expect(answer(samples.filter(({ at }) => Date.parse(at) <= askedMs))).toEqual(before);
        expect(answer(changed((atMs) => atMs <= askedMs))).not.toEqual(before);
        expect(answer(samples.toReversed())).toEqual(before);
      },
    );
  });

  it('fills in at an origin what the service would: the last samples of the instance, whichever came later than its moves', () => {
    const few = barelyTold.slice(0, 125);
    const asked = few[115]!;
    const rate = (rows: readonly BacktestRow[]): number =>
      rows.find(({ id }) => id === asked.id)!.duration_seconds.p50;
    const bare = few.map((record) =>
      record.id === asked.id ? { ...record, dirty_rate_mib_s: undefined } : record,
    );
    const told = few.map((record) => (record.id === asked.id ? { ...record, dirty_rate_mib_s: 40 } : record));
    const instanceSamples = [1, 2, 3].map((k) => ({
      at: new Date(startMs(asked) - k * 1000).toISOString(),
      cluster: 'c',
      instance: asked.instance,
      dirty_rate_mib_s: 40,
    }));
    const options = { protocol: 'rolling', seed: 3 } as const;
    expect(rate(backtest({ records: bare, instanceSamples }, [wholeModel], options))).toBe(
      rate(backtest({ records: told }, [wholeModel], options)),
    );
  });

  it('gets past samples with candidates that have no use for them, looking at each a few times, and gives the same lines', () => {
    const others = candidates.filter(({ kind, name }) => kind === 'naive' || name === 'physics');
    const samples = Array.from({ length: 500 }, (_, k) => ({
      at: new Date(startMs(moves[0]!) + k * 5000).toISOString(),
      cluster: 'c',
    }));
    const data = {
      records: moves,
      linkSamples: samples.map((sample) => ({ ...sample, link: 'n1:egress', throughput_mbps: 100 })),
      instanceSamples: samples.map((sample) => ({ ...sample, instance: 'i1', dirty_rate_mib_s: 1 })),
    };
    const options = { protocol: 'rolling', seed: 1 } as const;
    const without = backtest({ records: moves }, others, options);
    // Throws instead of going on for ever: no clock decides.
    const parse = Date.parse;
    let readTimes = 0;
    jest.spyOn(Date, 'parse').mockImplementation((text) => {
      if (++readTimes > 200 * samples.length) throw new Error('the samples are read again and again');
      return parse(text);
    });
    expect(backtest(data, others, options)).toEqual(without);
    expect(readTimes).toBeGreaterThan(samples.length);
  });

  it('gives the same lines to the last digit when the end of the file is cut off', () => {
    const whole = byKey(rowsUnder('rolling'));
    const cut = backtest({ records: moves.slice(0, 151) }, candidates, optionsOf('rolling'));
    for (const row of cut) expect(row).toEqual(whole.get(keyOf(row)));
    expect(cut.length).toBeGreaterThan(candidates.length * 50);
  });

  it('does not depend on the order of the records in the file', () => {
    const reversed = moves.toReversed();
    expect(backtest({ records: reversed }, candidates, optionsOf('rolling'))).toEqual(rowsUnder('rolling'));
  });

  it.each(Object.keys(protocols) as Protocol[])('%s: asks every candidate for the same moves', (protocol) => {
    const rows = rowsUnder(protocol);
    const asked = judgedUnder(protocol).map(({ name }) =>
      rows.filter((row) => row.candidate === name).map((row) => row.id),
    );
    expect(asked[0]!.length).toBeGreaterThan(20);
    for (const ids of asked) expect(ids).toEqual(asked[0]);
  });

  it.each(Object.keys(protocols) as Protocol[])(
    '%s: predicts finite, positive, rising quantiles with every candidate',
    (protocol) => {
      for (const { duration_seconds: d } of rowsUnder(protocol)) {
        const values = [d.p05, d.p10, d.p50, d.p90, d.p95];
        expect(
          values.every(
            (value, i) => Number.isFinite(value) && value > 0 && (i === 0 || value >= values[i - 1]!),
          ),
        ).toBe(true);
        expect(d.mean).toBeGreaterThan(0);
      }
    },
  );

  it('beats every naive mark with the whole model on moves that follow bytes and nodes', () => {
    const naive = candidates.filter(({ kind }) => kind === 'naive');
    const rows = backtest({ records: barelyTold }, [...naive, wholeModel], optionsOf('rolling'));
    const pinball = ({ name }: Candidate): number =>
      accuracyOf(rows.filter((row) => row.candidate === name))!.pinball;
    expect(pinball(wholeModel)).toBeLessThan(Math.min(...naive.map(pinball)));
  });

  it('finds nothing to predict in ten moves, and says so by an empty result', () => {
    expect(backtest({ records: moves.slice(0, 10) }, candidates, { protocol: 'rolling', seed: 1 })).toEqual(
      [],
    );
  });
});
