import { createInterface } from 'node:readline';
import { UserError } from '../domain/errors.js';
import type { Plan } from '../domain/plan.js';
import { carryOut } from '../execution/carry-out.js';
import type { ExecutionSettings } from '../execution/execution-settings.js';
import { RapiClient } from '../ganeti/rapi-client.js';
import { openStore } from '../store/open-store.js';
import type { SpoolEvent } from '../store/spooled-store.js';
import { wallClock } from '../ganeti/clock.js';
import type { Context } from './context.js';
import { rapiOptions, type ClusterOptions } from './cluster-options.js';
import type { ExecutionOptions } from './execution-options.js';
import { ChartOnTerminal, eventText } from './execution-text.js';
import { besideStore } from './store-files.js';

/** Carries a plan out; returns when it is done, and throws a sentence when it stopped before. */
export async function executePlan(
  source: string,
  plan: Plan,
  settings: ExecutionSettings,
  options: ExecutionOptions & ClusterOptions,
  context: Context,
): Promise<void> {
  const clock = context.clock ?? wallClock;
  const stop = new AbortController();
  const leave = new AbortController();
  const client = new RapiClient(source, { ...rapiOptions(options), signal: leave.signal, clock });
  const showsChart = options.json !== true && options.quiet !== true && context.stderr.isTTY === true;
  const chart = showsChart ? new ChartOnTerminal(context.stderr) : undefined;
  const say = (line: string): void => {
    if (chart !== undefined) chart.say(line);
    else if (options.quiet !== true) context.stderr.write(`${line}\n`);
  };
  const onSignal = (): void => {
    if (stop.signal.aborted) leave.abort();
    else {
      stop.abort();
      say('told to stop; a second signal leaves at once');
    }
  };
  try {
    const { name } = await client.info();
    if (
      plan.moves.length > 0 &&
      options.yes !== true &&
      !(await isAgreed(plan, name, client.address, context))
    )
      throw new UserError('not-carried-out', 'not carried out: nothing was changed');
    const tellSpool = (event: SpoolEvent): void => {
      if (event.kind === 'down') say(`${event.reason}; records wait in .movecast/ until it is back`);
    };
    const store = await openStore(options.store, {
      spool: { folder: '.movecast', onEvent: tellSpool },
    });
    for (const signal of STOP_SIGNALS) process.on(signal, onSignal);
    try {
      const fileName = name.replace(/[^A-Za-z0-9.-]+/g, '-');
      const report = await carryOut(plan, client, {
        ...settings,
        auditPath: options.audit ?? besideStore(options.store, `${fileName}.audit.jsonl`),
        lockPath: besideStore(options.store, `${fileName}.lock`),
        store,
        cluster: options.cluster,
        clock,
        stop: stop.signal,
        leave: leave.signal,
        onEvent: (event) => {
          if (options.json === true) context.stdout.write(`${JSON.stringify(event)}\n`);
          else {
            const line = eventText(event);
            if (line !== undefined) say(line);
          }
        },
        onProgress: (view) => chart?.show(view),
      });
      chart?.finish();
      if (report.outcome === 'stopped') throw new UserError('not-carried-out', report.why);
      if (options.json !== true && options.quiet !== true) context.stdout.write(`${report.why}.\n`);
    } finally {
      chart?.finish();
      for (const signal of STOP_SIGNALS) process.off(signal, onSignal);
      await store.close();
    }
  } finally {
    client.close();
  }
}

const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const;

async function isAgreed(plan: Plan, cluster: string, address: string, context: Context): Promise<boolean> {
  const moves = plan.moves.length === 1 ? 'this move' : `these ${plan.moves.length} moves`;
  context.stderr.write(`Carry out ${moves} on cluster ${cluster} (${address})? [y/N] `);
  const asking = createInterface({ input: context.stdin, terminal: false });
  const answer = await new Promise<string>((resolve) => {
    asking.once('line', resolve);
    asking.once('close', () => resolve('')); // the end of the input is no yes
  });
  asking.close();
  return /^y(es)?$/i.test(answer.trim());
}
