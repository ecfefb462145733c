import { z } from 'zod';
import { defaultServiceOptions } from '../service/options.js';
import { DEFAULT_STORE_URL } from '../store/store.js';
import { DEFAULT_MODELS_FOLDER } from './context.js';
import { setting, Settings, whole, yesOrNo, type SettingsOf } from './settings.js';

const MIB = 2 ** 20;

/** What the service can be told, by file, environment or flag. */
const table = {
  store: setting({
    flag: '--store <url>',
    help: 'where records are: sqlite:PATH or influx://USER:PASS@HOST:8086/DATABASE',
    ifNotGiven: () => DEFAULT_STORE_URL,
    value: z.string().min(1),
  }),
  models: setting({
    flag: '--models <dir>',
    help: "the registry's folder",
    ifNotGiven: () => DEFAULT_MODELS_FOLDER,
    value: z.string().min(1),
  }),
  host: setting({
    flag: '--host <host>',
    help: 'address to listen on',
    ifNotGiven: () => '127.0.0.1',
    value: z.string().min(1),
  }),
  port: setting({
    flag: '--port <port>',
    help: 'port to listen on; 0 takes a free one',
    ifNotGiven: () => 8080,
    value: whole(0, 65_535),
  }),
  model: setting({
    flag: '--model <name>',
    help: 'name of the registered model to serve',
    ifNotGiven: () => 'default',
    value: z.string().min(1),
  }),
  tokens: setting({
    flag: '--tokens <file>',
    help: 'who may call: one NAME ROLE[,ROLE] sha256:HEX a line',
    ifNotGiven: () => undefined,
    value: z.string().min(1).optional(),
  }),
  insecure: setting({
    flag: '--insecure',
    help: 'listen beyond this machine although everyone who reaches it may then do everything',
    ifNotGiven: () => false,
    value: yesOrNo,
  }),
  log_level: setting({
    flag: '--log-level <level>',
    help: 'silent, error, warn or info: what is logged, as JSON lines on standard error',
    ifNotGiven: () => 'warn' as const,
    value: z.enum(['silent', 'error', 'warn', 'info']),
  }),
  body_limit_mib: setting({
    flag: '--body-limit-mib <n>',
    help: 'largest body after decompression',
    ifNotGiven: () => defaultServiceOptions.bodyLimitBytes / MIB,
    value: whole(1, 1024),
  }),
  requests_per_second: setting({
    flag: '--requests-per-second <n>',
    help: 'for each client address',
    ifNotGiven: () => defaultServiceOptions.requestsPerSecond,
    value: whole(1, 1_000_000),
  }),
  concurrent_requests: setting({
    flag: '--concurrent-requests <n>',
    help: 'answered at the same time',
    ifNotGiven: () => defaultServiceOptions.concurrentRequests,
    value: whole(1, 100_000),
  }),
  timeout_seconds: setting({
    flag: '--timeout-seconds <n>',
    help: 'longest time for one request',
    ifNotGiven: () => defaultServiceOptions.timeoutMs / 1000,
    value: whole(1, 3600),
  }),
};

export type ServiceSettings = SettingsOf<typeof table>;
export const serviceSettings = new Settings(table);
