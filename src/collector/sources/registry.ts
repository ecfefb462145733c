import { recordsSource } from './records.js';
import { instanceSamplesSource, linkSamplesSource } from './samples.js';
import type { LogSource, RemoteSource } from './source.js';

/** Every log format by name, in the order of `collect --help`. To add one: write its file, add a row here. */
export const logSources: readonly LogSource[] = [recordsSource, linkSamplesSource, instanceSamplesSource];

/** Every source that is asked over the network. */
export const remoteSources: readonly RemoteSource[] = [];
