import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { UserError } from '../domain/errors.js';

/** Where files are read and written: standard input and output. */
const STANDARD_STREAM = '-';

/**
 * Refuses to write a file over one of those that are read, also by another name of it: opening it for writing empties
 * it before its first line was read. `-`, devices and what is not there yet pass.
 *
 * @throws UserError `usage` naming the option and the file.
 */
export async function refuseInputAsOutput(
  option: string,
  output: string | undefined,
  inputs: readonly string[],
): Promise<void> {
  if (output === undefined || output === STANDARD_STREAM) return;
  const written = await stat(output).catch(() => undefined);
  for (const input of inputs) {
    if (input === STANDARD_STREAM) continue;
    let isSame = resolve(input) === resolve(output);
    if (written !== undefined) {
      const read = await stat(input).catch(() => undefined);
      isSame = written.isFile() && read?.dev === written.dev && read.ino === written.ino;
    }
    if (isSame)
      throw new UserError('usage', `${option} ${output}: would write over what is read; name another file`);
  }
}
