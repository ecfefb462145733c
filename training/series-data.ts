import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../src/domain/errors.js';
import { MS_PER_DAY, fromIsoTime } from '../src/domain/units.js';
import type { SeriesSample } from '../src/predictor/series-forecast.js';

/** A series to be scored, and the group that is left out of training together with it. */
export interface NamedSeries {
  name: string;
  group: string;
  samples: SeriesSample[];
}

/** The lab's `day` campaigns ran a day compressed so many times: seasons follow the clock they were made for. */
const LAB_DAY_COMPRESSION = 60;
/** A series shorter than this shows nothing about forecasting. */
const FEWEST_SAMPLES = 40;

/** The public series of data/nab-aws: their times carry no zone and are taken as UTC. */
export function readNabSeries(folder: string): NamedSeries[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.csv'))
    .sort()
    .map((file) => {
      const name = file.replace(/\.csv$/, '');
      return { name, group: name, samples: readNabFile(join(folder, file)) };
    });
}

function readNabFile(path: string): SeriesSample[] {
  const lines = readFileSync(path, 'utf8').split('\n').slice(1);
  return lines
    .filter((line) => line.trim() !== '')
    .map((line, index) => {
      const [time = '', value = ''] = line.trim().split(',');
      const atMs = fromIsoTime(`${time.replace(' ', 'T')}Z`);
      if (Number.isNaN(atMs) || value === '' || !Number.isFinite(Number(value)))
        throw new UserError('input-invalid', `${path}:${index + 2}: must be a time and a number`);
      return { atMs, value: Number(value) };
    });
}

/**
 * Every link of the laboratory with enough samples. Those of a `day` campaign are stretched back to the day that they
 * compress, so that a sample every 10 s is one every 10 minutes.
 */
export function readLabSeries(path: string): NamedSeries[] {
  const byLink = new Map<string, SeriesSample[]>();
  for (const line of readFileSync(path, 'utf8').split('\n').slice(1)) {
    if (line.trim() === '') continue;
    const [at = '', cluster = '', link = '', mbps = ''] = line.split(',');
    const key = `${cluster} ${link}`;
    let samples = byLink.get(key);
    if (samples === undefined) byLink.set(key, (samples = []));
    samples.push({ atMs: fromIsoTime(at), value: Number(mbps) });
  }
  const all: NamedSeries[] = [];
  for (const [name, samples] of byLink) {
    if (samples.length < FEWEST_SAMPLES) continue;
    const campaign = name.split(' ')[0]!;
    const stretched = campaign.endsWith('-day') ? stretchedDay(samples) : samples;
    all.push({ name, group: campaign.replace(/-[^-]*$/, ''), samples: stretched });
  }
  return all;
}

function stretchedDay(samples: readonly SeriesSample[]): SeriesSample[] {
  const startMs = samples[0]!.atMs;
  const midnightMs = Math.floor(startMs / MS_PER_DAY) * MS_PER_DAY;
  return samples.map(({ atMs, value }) => ({
    atMs: midnightMs + (atMs - startMs) * LAB_DAY_COMPRESSION,
    value,
  }));
}
