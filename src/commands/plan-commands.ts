import type { GroupModel } from '../balancer/group-model.js';
import { commandLines, commandScript, type ShortNames } from '../balancer/hbal-report.js';
import type { Move } from '../balancer/moves.js';
import type { Context } from './context.js';
import { writeWhole } from './output-file.js';

/**
 * hbal's `-C`: the commands of a plan's moves by job set (indexes of the moves), printed or, where a file is named (`-CFILE`), written as a
 * script. With `json` nothing but the plan goes to standard output.
 */
export async function printCommands(
  file: string,
  model: GroupModel,
  moves: readonly Move[],
  jobsets: readonly (readonly number[])[],
  { json, names }: { json: boolean; names?: ShortNames | undefined },
  context: Context,
): Promise<void> {
  const lines = commandLines(model, moves, jobsets, { checks: file !== '', names });
  if (file !== '') {
    await writeWhole(file, commandScript(lines));
    if (!json) context.stdout.write(`The commands have been written to file '${file}'\n`);
  } else if (!json)
    context.stdout.write(
      `\nCommands to run to reach the above solution:\n${lines.map((line) => `  ${line}\n`).join('')}`,
    );
}
