import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Command, CommanderError } from 'commander';
import { pino } from 'pino';
import { z } from 'zod';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { jsonOf } from '../domain/json.js';
import { isLocked, lockCluster } from '../execution/cluster-lock.js';
import { wallClock, type Clock } from '../ganeti/clock.js';
import { rapiAddress, shownAddress } from '../ganeti/rapi-address.js';
import { authorizationFromFile } from '../ganeti/rapi-credentials.js';
import { authorityOf, fingerprintBytes } from '../ganeti/rapi-trust.js';
import type { Timetable } from '../watch/timetable.js';
import { emptyState, keepState, readState, type WatchState } from '../watch/watch-state.js';
import { watch, type Balancer } from '../watch/watcher.js';
import { isRapiAddress } from './cluster-input.js';
import { packageVersion, withCommonOptions, type CommonOptions, type Context } from './context.js';
import { needsUser } from './execution-options.js';
import { besideStore } from './store-files.js';
import { timetableOf, watchSettings, type WatchSettings } from './watch-settings.js';

interface Flags extends Partial<CommonOptions> {
  status?: boolean;
  dryRun?: boolean;
  execute?: boolean;
}

/** What never stands in a log, whoever logs it. */
const REDACTED = ['password', 'token', '*.password', '*.token'];

/** A run of `movecast balance`: its exit code, and what it said on standard error. */
export interface BalanceRun {
  code: number | null;
  words: string;
}

/**
 * Runs `movecast balance` with arguments, and with variables of the environment for what may hold a password: everyone
 * on a machine sees arguments. `signal` tells it to end in a safe state.
 */
export type RunBalance = (
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  onLine: (line: string) => void,
  signal: AbortSignal,
) => Promise<BalanceRun>;

/** Options of `balance` that are the watch's own business. */
const OWN_OPTIONS = new Set(
  '--execute --yes --min-plan-gain --json --quiet --finish-by --max-gain-cost --ca --pin-sha256 --credentials --store --models --blind --pareto -m --master -t --text-data -C -S --svg'.split(
    ' ',
  ),
);

/** Their short flags with a value glued to them, or after flags that take none, as `balance` reads its words. */
const OWN_SHORT_FLAG = /^-[Eqv]*[CSmt]/;

/** `movecast watch CLUSTER` */
export function watchCommand(
  context: Context,
  { runBalance = inOwnProcess, clock = wallClock }: { runBalance?: RunBalance; clock?: Clock } = {},
): Command {
  const command = watchSettings
    .addTo(new Command('watch').argument('[cluster]', "Ganeti's remote API, such as https://master:5080"))
    .description(
      'Balances a cluster at set times within set windows, when the gain is worth the time. Without --execute it only reports what it would do.',
    )
    .option('--dry-run', 'only report, whatever the settings say')
    .option('--status', 'print what a watch on this cluster did last and does next, and end');
  withCommonOptions(command, context, {
    examples: [
      'movecast watch https://master:5080 --window 01:00-05:00 --time-zone Europe/Berlin',
      'movecast watch https://master:5080 --window 01:00-05:00 --at 02:00 --days mon-fri --execute --ca rapi.pem --credentials rapi.user',
      'movecast watch https://master:5080 --window 22:00-06:00 --every 2h --min-gain 0.5 --balance-options "--no-disk-moves -l 20"',
      'movecast watch https://master:5080 --status',
    ],
  });
  return command.action(async (cluster: string | undefined, flags: Flags) => {
    if (flags.dryRun === true && flags.execute === true)
      throw new UserError('usage', '--dry-run and --execute exclude each other: give one');
    const given = { ...flags, ...(cluster === undefined ? {} : { master: cluster }) };
    const { settings } = await watchSettings.read(given as Record<string, unknown>, context);
    const address = clusterOf(settings);
    const statePath = settings.state ?? statePathOf(settings.store, address);
    if (flags.status === true) return status(statePath, address, flags, context);
    const world = { context, runBalance, clock, statePath, address };
    return run({ ...settings, execute: settings.execute && flags.dryRun !== true }, flags, world);
  });
}

interface World {
  context: Context;
  runBalance: RunBalance;
  clock: Clock;
  statePath: string;
  address: URL;
}

async function run(
  settings: WatchSettings,
  flags: Flags,
  { context, runBalance, clock, statePath, address }: World,
): Promise<void> {
  const timetable = timetableOf(settings);
  const args = balanceArguments(address, settings);
  await refuseAsBalance(args, context);
  refuseWithoutAccess(settings);
  const unlock = lockWatch(`${statePath}.lock`);
  try {
    const shown = shownAddress(address);
    const log = pino(
      {
        base: null,
        timestamp: () => `,"time":"${new Date(clock.now()).toISOString()}"`,
        formatters: { level: (label) => ({ level: label }) },
        redact: REDACTED,
      },
      context.stdout as unknown as pino.DestinationStream,
    );
    const tell = (event: string, details: Record<string, unknown> = {}): void => {
      log[WARNED.has(event) ? 'warn' : 'info']({ event, cluster: shown, ...details });
    };
    const state = (await readState(statePath)) ?? emptyState(shown, clock.now());
    if (state.cluster !== shown)
      throw new UserError(
        'not-allowed',
        `${statePath} is of a watch on ${state.cluster}; name another file with --state`,
      );
    const stop = stopOnSignals();
    try {
      tell('watch-started', { version: packageVersion(), ...described(settings, timetable) });
      if (flags.quiet !== true)
        context.stderr.write(
          `movecast: watching ${shown}${settings.execute ? '' : '; plans are only reported, --execute carries them out'}; movecast watch ${shown} --status says how it is\n`,
        );
      await watch({
        timetable,
        threshold: { minGain: settings.min_gain, gainPerHour: settings.max_gain_cost },
        execute: settings.execute,
        clock,
        balancer: balancerOf(args, settings, runBalance, tell),
        state,
        keep: (next) => keepState(statePath, next),
        tell,
        signal: stop.signal,
      });
      tell('watch-ended', { reason: stop.reason() });
    } finally {
      stop.forget();
    }
  } finally {
    unlock();
  }
}

/** Events that an operator may want to be woken by. */
const WARNED: ReadonlySet<string> = new Set([
  'retry',
  'slot-failed',
  'state-not-kept',
  'clock-jumped',
  'window-over',
]);

const described = (
  { window, at, every, days, execute, min_gain, max_gain_cost }: WatchSettings,
  { timeZone }: Timetable,
): Record<string, unknown> => ({
  execute,
  window,
  at,
  every,
  days,
  time_zone: timeZone,
  min_gain,
  max_gain_cost,
});

function clusterOf({ master: cluster }: WatchSettings): URL {
  if (cluster === undefined)
    throw new UserError('usage', 'no cluster given; name its remote API, such as https://master:5080');
  if (/^file:/i.test(cluster) || (!isRapiAddress(cluster) && /[/\\]|\.(data|txt)$/.test(cluster)))
    throw new UserError(
      'usage',
      `${cluster}: a file does not change; watch needs the address of the remote API, such as https://master:5080`,
    );
  const address = rapiAddress(cluster);
  if (address.password !== '')
    throw new UserError(
      'not-allowed',
      'a password in the address is seen by everyone on this machine; give it in a file with --credentials',
    );
  return address;
}

function balanceArguments(address: URL, settings: WatchSettings): string[] {
  const {
    models,
    ca,
    pin_sha256: pin,
    credentials,
    max_gain_cost: gainCost,
    balance_options: more,
  } = settings;
  const words = (more ?? '').split(/\s+/).filter(Boolean);
  const own = words.find((word) => OWN_OPTIONS.has(word.split('=')[0]!) || OWN_SHORT_FLAG.test(word));
  if (own !== undefined)
    throw new UserError('usage', `--balance-options: ${own} is watch's own to give; leave it out`);
  const optional = {
    '--ca': ca,
    '--pin-sha256': pin,
    '--credentials': credentials,
    '--max-gain-cost': gainCost,
  };
  return [
    'balance',
    shownAddress(address),
    '--json',
    '--quiet',
    '--models',
    models,
    ...Object.entries(optional).flatMap(([flag, value]) =>
      value === undefined ? [] : [flag, String(value)],
    ),
    ...words,
  ];
}

/** Refuses now what every run of `balance` would refuse. */
async function refuseAsBalance([, ...words]: readonly string[], context: Context): Promise<void> {
  const { balanceCommand } = await import('./balance.js');
  const command = balanceCommand(context)
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
  try {
    const { unknown } = command.parseOptions(words);
    if (unknown.length > 0) command.error(`unknown option ${unknown[0]}`);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    throw new UserError('usage', `--balance-options: ${error.message.replace(/^error: /, '')}`);
  }
}

/** Refuses now, not in the first window, what every run would be refused for: nobody may be awake then. */
function refuseWithoutAccess({ execute, credentials, ca, pin_sha256: pin }: WatchSettings): void {
  if (credentials !== undefined) authorizationFromFile(credentials);
  else if (execute) throw needsUser();
  authorityOf(ca);
  if (pin !== undefined) fingerprintBytes(pin);
}

/** One process a window: two would have the same slots. @throws UserError `not-allowed` */
function lockWatch(path: string): () => void {
  try {
    return lockCluster(path);
  } catch (error) {
    if (error instanceof UserError && error.code === 'not-carried-out')
      throw new UserError(
        'not-allowed',
        `another watch is on this cluster already; end it first, or if there is none, remove ${path}`,
      );
    throw error;
  }
}

const planSchema = z.object({
  score_before: z.number(),
  score_after: z.number(),
  duration_seconds: z.object({ p50: z.number(), p90: z.number() }),
  moves: z.array(z.unknown()),
});

const endSchema = z.object({
  event: z.literal('end'),
  outcome: z.string(),
  why: z.string(),
  score: z.number().optional(),
});

/** Plans and executions, each in a process of its own: a fault there, or its memory, does not stay with the watch. */
function balancerOf(
  args: readonly string[],
  { store, min_gain: minGain }: WatchSettings,
  runBalance: RunBalance,
  tell: (event: string, details: Record<string, unknown>) => void,
): Balancer {
  const until = (untilMs: number): string[] => ['--finish-by', new Date(untilMs).toISOString()];
  const env = { MOVECAST_STORE: store };
  return {
    async plan(untilMs, signal) {
      let printed = '';
      const { code, words } = await runBalance(
        [...args, ...until(untilMs)],
        env,
        (line) => (printed = line),
        signal,
      );
      if (code !== 0) return { words: words || `balance ended with ${code}`, isPassing: code !== EXIT_USAGE };
      const plan = planSchema.safeParse(jsonOf(printed));
      if (!plan.success) return { words: 'balance printed no plan', isPassing: true };
      return { ...plan.data, moves: plan.data.moves.length };
    },
    async execute(untilMs, signal) {
      let hasBegun = false;
      let end: z.output<typeof endSchema> | undefined;
      const { code, words } = await runBalance(
        [...args, ...until(untilMs), '--execute', '--yes', '--min-plan-gain', String(minGain)],
        env,
        (line) => {
          const news = jsonOf(line);
          if (news === undefined) return;
          tell('execution', { execution: news });
          hasBegun = true; // what is told first is told before the first change
          end = endSchema.safeParse(news).data ?? end;
        },
        signal,
      );
      // Such as another execution's lock on the cluster.
      if (code !== 0 && !hasBegun)
        return { words: words || `balance ended with ${code}`, isPassing: code !== EXIT_USAGE };
      const scoreAfter = end?.score === undefined ? {} : { scoreAfter: end.score };
      if (code === 0 && (end === undefined || end.outcome === 'done'))
        return { isComplete: true, words: '', ...scoreAfter };
      return { isComplete: false, words: words || end?.why || `balance ended with ${code}`, ...scoreAfter };
    },
  };
}

/** Exit code of wrong usage and of input that cannot be read: no time mends it. */
const EXIT_USAGE = 2;
/** So much of what a run says on standard error is kept: its last sentence matters. */
const WORDS_KEPT = 2000;

function inOwnProcess(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<BalanceRun> {
  return new Promise((resolve) => {
    // A group of its own: Ctrl-C reaches the watch alone, which passes it on once.
    const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, ...env },
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said = (said + String(chunk)).slice(-WORDS_KEPT)));
    createInterface({ input: child.stdout }).on('line', onLine);
    const stop = (): void => void child.kill('SIGTERM');
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    const done = (code: number | null, words: string): void => {
      signal.removeEventListener('abort', stop);
      resolve({ code, words });
    };
    child.once('error', (error) => done(null, systemErrorSentence(error, process.execPath)));
    child.once('close', (code) => done(code, lastSentence(said)));
  });
}

/** `movecast: …` of the last line, as a clause. */
const lastSentence = (said: string): string =>
  (said.trim().split('\n').at(-1) ?? '').replace(/^movecast: /, '').trim();

/** SIGTERM and SIGINT end the watch in a safe state. A second one ends the process at once. */
function stopOnSignals(): { signal: AbortSignal; reason: () => string | undefined; forget: () => void } {
  const controller = new AbortController();
  let reason: string | undefined;
  const stop = (name: NodeJS.Signals): void => {
    reason = name;
    forget();
    controller.abort();
  };
  const forget = (): void => {
    process.removeListener('SIGTERM', stop);
    process.removeListener('SIGINT', stop);
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  return { signal: controller.signal, reason: () => reason, forget };
}

/** `moves.master-5080.watch.json` beside the store `moves.db`. */
const statePathOf = (storeUrl: string, { hostname, port }: URL): string =>
  besideStore(storeUrl, `${`${hostname}-${port}`.replace(/[^A-Za-z0-9.-]+/g, '-')}.watch.json`);

async function status(path: string, address: URL, flags: Flags, context: Context): Promise<void> {
  const state = await readState(path);
  if (state === undefined)
    throw new UserError(
      'not-found',
      `no watch on ${shownAddress(address)} has run here; ${path} would tell of it`,
    );
  const running = isLocked(`${path}.lock`);
  if (flags.json === true) {
    const { had: _had, ...rest } = state;
    context.stdout.write(`${JSON.stringify({ ...rest, running })}\n`);
    return;
  }
  context.stdout.write(statusText(state, running));
}

function statusText({ cluster, phase, at, last, next }: WatchState, running: boolean): string {
  const lines: [string, string][] = [
    ['cluster', cluster],
    ['now', running ? `${phase} since ${at}` : `not running; ${phase} at ${at}`],
  ];
  if (last !== undefined) {
    const { outcome, reason, score_before: before, score_after: after, moves } = last;
    const score =
      before === undefined || after === undefined
        ? ''
        : `, score ${before.toFixed(4)} -> ${after.toFixed(4)}`;
    const count = moves === undefined ? '' : `, ${moves} moves`;
    lines.push([
      'last',
      `${last.slot}: ${outcome}${count}${score}${reason === undefined ? '' : ` (${reason})`}`,
    ]);
  }
  if (running)
    lines.push(['next', next === undefined ? 'nothing within two weeks' : `${next.slot}, at ${next.at}`]);
  return lines.map(([name, value]) => `${name.padEnd(9)}${value}\n`).join('');
}
