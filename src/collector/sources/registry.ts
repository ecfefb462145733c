import { recordsSource } from './records.js';
import { instanceSamplesSource, linkSamplesSource } from './samples.js';
import { ganetiRapiSource } from '../ganeti-rapi-poller.js';
import { drbdSource } from './drbd.js';
import { ganetiJobsSource } from './ganeti-jobs.js';
import { libvirtSource } from './libvirt.js';
import { novaSource } from './nova.js';
import { proxmoxSource } from './proxmox.js';
import { qmpSource } from './qmp.js';
import type { LogSource, RemoteSource } from './source.js';

/** Every log format by name, in the order of `collect --help`. To add one: write its file, add a row here. */
export const logSources: readonly LogSource[] = [
  ganetiJobsSource,
  qmpSource,
  libvirtSource,
  novaSource,
  proxmoxSource,
  drbdSource,
  recordsSource,
  linkSamplesSource,
  instanceSamplesSource,
];

/** Every source that is asked over the network. */
export const remoteSources: readonly RemoteSource[] = [ganetiRapiSource];
