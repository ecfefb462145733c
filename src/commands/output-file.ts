import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { access, chmod, constants, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { systemErrorSentence, UserError } from '../domain/errors.js';

/** Where files are read and written: standard input and output. */
export const STANDARD_STREAM = '-';
/** What is open already, such as `/dev/stdout`, goes on to the file that it was opened with. */
const STREAM_FOLDERS = /^\/(dev|proc)\//;

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

/**
 * Writes a file whole or not at all.
 *
 * @throws UserError `cannot-write`; whatever pieces throw
 */
export const writeWhole = (
  path: string,
  content: string | Uint8Array | Iterable<string> | AsyncIterable<string>,
): Promise<void> => writtenWhole(path, (place) => writeFile(place, content));

/**
 * Has a file written at a place beside it, which then takes its own: a full disk or an end amid it leaves what was there
 * before. What is no plain file, such as a device or a pipe, is written as it stands; a link stays one, and a file keeps
 * its permissions.
 *
 * @throws UserError `cannot-write`; whatever `write` throws that is no error of the system
 */
export async function writtenWhole<T>(path: string, write: (place: string) => Promise<T>): Promise<T> {
  try {
    const there = await stat(path).catch(() => undefined);
    if (there !== undefined && (!there.isFile() || STREAM_FOLDERS.test(resolve(path))))
      return await write(path);
    if (there !== undefined) await access(path, constants.W_OK);
    const target = there === undefined ? path : await realpath(path);
    const unfinished = join(dirname(target), `.unfinished-${randomUUID()}-${basename(target)}`.slice(0, 255));
    try {
      const written = await write(unfinished);
      if (there !== undefined) await chmod(unfinished, there.mode & 0o7777);
      await rename(unfinished, target);
      return written;
    } catch (error) {
      await rm(unfinished, { force: true });
      throw error;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new UserError('cannot-write', `${systemErrorSentence(error, path)}; name another file`);
  }
}

/** Writes to a stream; resolves when it has room for more. */
export async function writeAll(stream: NodeJS.WritableStream, text: string): Promise<void> {
  if (!stream.write(text)) await once(stream, 'drain');
}
