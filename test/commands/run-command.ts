import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Context } from '../../src/commands/context.js';
import { main } from '../../src/main.js';

/** What a command printed, and its exit code. */
export interface Ran {
  code: number;
  out: string;
  err: string;
}

/** Runs a command inside this process, with streams of its own. The clock stands still unless `changes` says otherwise. */
export async function runCommand(args: readonly string[], changes: Partial<Context> = {}): Promise<Ran> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const context: Context = { stdin: new PassThrough(), stdout, stderr, env: {}, now: () => 0, ...changes };
  const printed = Promise.all([text(stdout), text(stderr)]);
  const code = await main(args, context);
  stdout.end();
  stderr.end();
  const [out, err] = await printed;
  return { code, out, err };
}
