import { InvalidArgumentError, Option } from 'commander';
import type { BacktestData } from '../../training/backtest.js';
import { startMs } from '../domain/move-record.js';
import { fromIsoTime } from '../domain/units.js';
import { openStore } from '../store/open-store.js';
import type { Context } from './context.js';
import {
  readInstanceSamples,
  readLinkSamples,
  readRecords,
  remarkRejected,
  type Rejected,
} from './table-input.js';

/** Where `train` and `backtest` take their data from: named files, or the store. */
export interface TrainingDataOptions {
  store: string;
  records?: string[];
  linkSamples?: string[];
  instanceSamples?: string[];
  /** Epoch milliseconds: only moves that started in [from, to). */
  from?: number;
  to?: number;
  quiet?: boolean;
}

/** Moves and samples for a fit. Named record files stand in for the whole store. */
export async function trainingData(
  options: TrainingDataOptions,
  context: Context,
): Promise<Required<BacktestData>> {
  const { from = -Infinity, to = Infinity } = options;
  const rejected: Rejected = { count: 0, first: undefined };
  const data: Required<{ -readonly [K in keyof BacktestData]: BacktestData[K] }> = {
    records: [],
    linkSamples: await readLinkSamples(options.linkSamples ?? [], context, rejected),
    instanceSamples: await readInstanceSamples(options.instanceSamples ?? [], context, rejected),
  };
  if (options.records !== undefined) data.records = await readRecords(options.records, context, rejected);
  else {
    const store = await openStore(options.store, { mustExist: true });
    try {
      data.records = await collected(store.moves());
      if (options.linkSamples === undefined) data.linkSamples = await collected(store.linkSamples());
      if (options.instanceSamples === undefined)
        data.instanceSamples = await collected(store.instanceSamples());
    } finally {
      await store.close();
    }
  }
  remarkRejected(rejected, context, options.quiet);
  data.records = data.records.filter((record) => startMs(record) >= from && startMs(record) < to);
  return data;
}

async function collected<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const value of values) all.push(value);
  return all;
}

/** Parses an RFC 3339 time of an option into epoch milliseconds. */
export function timeOf(text: string): number {
  const ms = fromIsoTime(text);
  if (Number.isNaN(ms))
    throw new InvalidArgumentError('It must be an RFC 3339 time, such as 2026-11-22T00:00:00Z.');
  return ms;
}

/** The same data and seed give the same bytes. */
export const seedOption = (): Option =>
  new Option('--seed <n>', 'the same seed and data give the same bytes')
    .default(1)
    .argParser((text: string) => {
      const value = Number(text);
      if (text.trim() === '' || !Number.isSafeInteger(value) || value < 0)
        throw new InvalidArgumentError('It must be a whole number, 0 or more.');
      return value;
    });
