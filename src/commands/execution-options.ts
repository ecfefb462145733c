import { UserError } from '../domain/errors.js';
import { isRapiAddress } from './cluster-input.js';
import type { CommonOptions, Context } from './context.js';

/** Options of `balance` that say whether and how the plan is carried out. */
export interface ExecutionOptions extends CommonOptions {
  execute?: boolean;
  yes?: boolean;
  minPlanGain?: number;
  audit?: string;
  cluster?: string;
}

/** Refuses what cannot be carried out, before anything is computed. */
export function refuseExecution(
  source: string,
  options: ExecutionOptions & { blind?: boolean; pareto?: boolean; credentials?: string },
  context: Context,
): void {
  if (options.execute !== true) {
    for (const [flag, given] of [
      ['--yes', options.yes],
      ['--min-plan-gain', options.minPlanGain],
      ['--audit', options.audit],
    ])
      if (given !== undefined) throw new UserError('usage', `${String(flag)} goes with --execute`);
    return;
  }
  for (const [flag, given] of [
    ['--blind', options.blind],
    ['--pareto', options.pareto],
  ])
    if (given === true) throw new UserError('usage', `--execute and ${String(flag)} exclude each other`);
  if (!isRapiAddress(source) || source.startsWith('file:'))
    throw new UserError(
      'usage',
      `--execute needs a cluster's remote API, such as https://master:5080; ${source} is a file`,
    );
  if (options.yes !== true && !isTerminal(context))
    throw new UserError(
      'usage',
      '--execute asks before the first change, and there is no terminal to ask at; add --yes',
    );
  if (options.credentials === undefined && new URL(source).username === '') throw needsUser();
}

export const needsUser = (): UserError =>
  new UserError(
    'usage',
    '--execute needs a user with the right to write: give a file with user:password as --credentials FILE',
  );

const isTerminal = ({ stdin, stderr }: Context): boolean =>
  (stdin as { isTTY?: boolean }).isTTY === true && stderr.isTTY === true;
