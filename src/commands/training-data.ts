import { InvalidArgumentError, Option } from 'commander';
import type { BacktestData } from '../../training/backtest.js';
import { startMs } from '../domain/move-record.js';
import type { InstanceSample, LinkSample } from '../domain/samples.js';
import { openStore } from '../store/open-store.js';
import type { Context } from './context.js';
import { NewestSamples } from './newest-samples.js';
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

/** Moves and samples for a fit, no more samples of a kind than `most`. Named record files stand in for the whole store. */
export async function trainingData(
  options: TrainingDataOptions,
  context: Context,
  most = Infinity,
): Promise<Required<BacktestData>> {
  const { from = -Infinity, to = Infinity } = options;
  const rejected: Rejected = { count: 0, first: undefined };
  const links = new NewestSamples<LinkSample>(most);
  const instances = new NewestSamples<InstanceSample>(most);
  const data: Required<{ -readonly [K in keyof BacktestData]: BacktestData[K] }> = {
    records: [],
    linkSamples: await readLinkSamples(options.linkSamples ?? [], context, rejected, links),
    instanceSamples: await readInstanceSamples(options.instanceSamples ?? [], context, rejected, instances),
  };
  if (options.records !== undefined) data.records = await readRecords(options.records, context, rejected);
  else {
    const store = await openStore(options.store, { mustExist: true });
    try {
      data.records = await collected(store.moves());
      if (options.linkSamples === undefined) {
        for await (const sample of store.linkSamples()) links.add(sample);
        data.linkSamples = links.values();
      }
      if (options.instanceSamples === undefined) {
        for await (const sample of store.instanceSamples()) instances.add(sample);
        data.instanceSamples = instances.values();
      }
    } finally {
      await store.close();
    }
  }
  remarkRejected(rejected, context, options.quiet);
  const leftOut = links.leftOut + instances.leftOut;
  if (leftOut > 0 && options.quiet !== true)
    context.stderr.write(
      `movecast: ${leftOut} older samples are left out; the newest ${most} of each kind are looked at\n`,
    );
  data.records = data.records.filter((record) => startMs(record) >= from && startMs(record) < to);
  return data;
}

async function collected<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const value of values) all.push(value);
  return all;
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
