import { appendFile, readFile, stat } from 'node:fs/promises';
import { setFlagsFromString } from 'node:v8';
import { Command } from 'commander';
import { pino, type Logger } from 'pino';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { defaultServiceOptions, type ServiceOptions } from '../service/options.js';
import { startService } from '../service/service.js';
import { newToken, parseTokens, roles, type Role } from '../service/tokens.js';
import { openStore } from '../store/open-store.js';
import { packageVersion, withCommonOptions, type CommonOptions, type Context } from './context.js';
import { registryIn } from './models-folder.js';
import { serviceSettings, type ServiceSettings } from './service-settings.js';

interface Flags extends Partial<CommonOptions> {
  addToken?: string;
}

type Options = ServiceSettings & Flags;

/** What never stands in a log, whoever logs it. */
const REDACTED = [
  'authorization',
  'password',
  'token',
  '*.authorization',
  '*.password',
  '*.token',
  'req.headers',
  'err.req',
  'err.res',
];

export function serveCommand(context: Context): Command {
  const command = serviceSettings
    .addTo(new Command('serve'))
    .option(
      '--add-token <name:roles>',
      'add a token to --tokens FILE, print it once and end; roles: predict, report, admin',
    );
  withCommonOptions(command, context, {
    examples: [
      'movecast serve',
      'movecast serve --tokens tokens.txt --add-token balancer:predict,report',
      'movecast serve --host 0.0.0.0 --port 8080 --tokens tokens.txt --store influx://movecast:PASSWORD@db:8086/moves',
    ],
  });
  return command.action(async (flags: Flags) => {
    const { settings } = await serviceSettings.read(flags as Record<string, unknown>, context);
    const options: Options = { ...flags, ...settings };
    await (options.addToken === undefined ? serve(options, context) : addToken(options, context));
  });
}

/** The bit of a file's mode that lets everyone on the machine write it. */
const ANYONE_WRITES = 0o002;

/** Whoever may write the tokens file may let in anyone. */
async function refuseIfAnyoneWrites(path: string): Promise<void> {
  const { mode } = await stat(path);
  if (process.platform !== 'win32' && (mode & ANYONE_WRITES) !== 0)
    throw new UserError(
      'not-allowed',
      `${path}: everyone on this machine may write it and so let anyone in; chmod o-w takes that away`,
    );
}

/**
 * A model that is exchanged under load leaves much behind at once. By itself V8 then lets the heap grow to several times
 * what is in use and keeps it; held closer its size stays flat, at no cost that shows (`npm run bench:soak`,
 * `npm run bench:service`).
 */
function keepHeapClose(): void {
  setFlagsFromString('--heap-growing-percent=20');
}

/** The service writes a few rows at a time and reads the history in order: more pages would lie in memory for nothing. */
const STORE_CACHE_MIB = 4;

async function serve(options: Options, context: Context): Promise<void> {
  keepHeapClose();
  const loopback = isLoopback(options.host);
  if (!loopback && options.tokens === undefined && !options.insecure)
    throw new UserError(
      'not-allowed',
      `refusing to listen on ${options.host} without tokens: whoever reaches it could report moves and promote models; give --tokens FILE, or --insecure if that is meant`,
    );
  const tokens =
    options.tokens === undefined ? undefined : parseTokens(await readText(options.tokens), options.tokens);
  if (options.tokens !== undefined) await refuseIfAnyoneWrites(options.tokens);
  const registry = registryIn(options.models);
  await registry.resolve(options.model);
  const serviceOptions: ServiceOptions = {
    ...defaultServiceOptions,
    tokens,
    loopbackHostOnly: loopback && tokens === undefined,
    bodyLimitBytes: options.body_limit_mib * 2 ** 20,
    requestsPerSecond: options.requests_per_second,
    concurrentRequests: options.concurrent_requests,
    timeoutMs: options.timeout_seconds * 1000,
  };
  const store = await openStore(options.store, { cacheMib: STORE_CACHE_MIB });
  try {
    const service = await startService({
      host: options.host,
      port: options.port,
      store,
      registry,
      modelName: options.model,
      options: serviceOptions,
      version: packageVersion(),
      log: logger(options, context),
      now: context.now,
    });
    const stopped = untilSignal();
    let failed: unknown;
    service.ready.catch((error: unknown) => {
      failed = error;
      stopped.now();
    });
    await Promise.race([service.ready.catch(() => undefined), stopped.promise]);
    if (failed === undefined && options.quiet !== true) context.stdout.write(greeting(service.url, options));
    await stopped.promise;
    await service.stop();
    if (failed !== undefined) throw failed;
  } finally {
    await store.close();
  }
}

function greeting(url: string, { json, tokens }: Options): string {
  if (json === true) return `${JSON.stringify({ url })}\n`;
  const token = tokens === undefined ? '' : ` \\\n    -H "authorization: Bearer $TOKEN"`;
  return `Movecast is at ${url}  (Ctrl-C stops it)

Open it in a browser for the dashboard, or ask it how long a move takes:
  curl ${url}/v1/predictions${token} -H 'content-type: application/json' \\
    -d '{"requests": [{"instance": "web1", "source_node": "node1", "target_node": "node2", "memory_mib": 4096, "link_mbps": 10000}]}'

What else it answers: ${url}/docs
`;
}

async function addToken(options: Options, context: Context): Promise<void> {
  if (options.tokens === undefined)
    throw new UserError('usage', '--add-token needs --tokens FILE, the file that the token is added to');
  const match = /^([A-Za-z0-9._-]{1,64}):([a-z,]+)$/.exec(options.addToken!);
  const wanted = match?.[2]!.split(',') ?? [];
  if (match === null || !wanted.every((role): role is Role => (roles as readonly string[]).includes(role)))
    throw new UserError(
      'usage',
      `--add-token must be NAME:ROLE[,ROLE] with roles out of ${roles.join(', ')}, such as balancer:predict,report`,
    );
  const { token, line } = newToken(match[1]!, wanted as Role[]);
  try {
    await appendFile(options.tokens, `${line}\n`, { mode: 0o600 });
  } catch (error) {
    throw new UserError('cannot-write', systemErrorSentence(error, options.tokens));
  }
  context.stdout.write(`${token}\n`);
  if (options.quiet !== true)
    context.stderr.write(
      `Added ${match[1]} (${wanted.join(', ')}) to ${options.tokens}, which holds only a hash: keep the token above. A running service reads the file at its next start.\n`,
    );
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new UserError('input-unreadable', systemErrorSentence(error, path));
  }
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);

function logger({ quiet, log_level }: Options, context: Context): Logger {
  return pino(
    {
      level: quiet === true && log_level === 'warn' ? 'error' : log_level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: REDACTED,
    },
    context.stderr as unknown as pino.DestinationStream,
  );
}

/** SIGTERM or SIGINT, or the word from inside. A second signal ends the process at once. */
function untilSignal(): { promise: Promise<void>; now: () => void } {
  let finish: () => void = () => undefined;
  const promise = new Promise<void>((resolve) => {
    finish = () => {
      process.removeListener('SIGTERM', finish);
      process.removeListener('SIGINT', finish);
      resolve();
    };
    process.once('SIGTERM', finish);
    process.once('SIGINT', finish);
  });
  return { promise, now: finish };
}
