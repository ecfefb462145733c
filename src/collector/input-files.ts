import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorSentence, UserError } from '../domain/errors.js';

/** Standard input where a path is asked for. */
export const STANDARD_INPUT = '-';

/** A file to be read, or standard input (`-`). */
export interface InputFile {
  path: string;
  /** 0 when not known before it is read. */
  bytes: number;
  /** True when the user named it, not only a folder around it. */
  isNamed: boolean;
}

/** What stands at the given paths. */
export interface Inputs {
  files: InputFile[];
  /** Folders inside of the given ones that could not be listed, each as a sentence. */
  unreadable: string[];
}

/** What a collection leaves beside its store: read as a log, each rejected line would be rejected once more. */
const LEFT_BY_COLLECTIONS = /\.(?:rejects\.jsonl|checkpoints\.json)$/;

const inNaturalOrder = new Intl.Collator('en', { numeric: true });

/**
 * The files at `paths`: a named file is always taken, of a folder and its subfolders those that `owns` says, in natural
 * order (job-2 before job-10).
 *
 * @throws UserError `input-unreadable` for a given path that is not there or cannot be looked into.
 */
export async function findInputs(
  paths: readonly string[],
  owns: (fileName: string) => boolean = () => true,
): Promise<Inputs> {
  const inputs: Inputs = { files: [], unreadable: [] };
  for (const path of paths) {
    if (path === STANDARD_INPUT) {
      inputs.files.push({ path, bytes: 0, isNamed: true });
      continue;
    }
    try {
      const found = await stat(path);
      if (found.isDirectory()) await listFolder(path, owns, inputs);
      else inputs.files.push({ path, bytes: found.size, isNamed: true });
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw new UserError(
        'input-unreadable',
        `${systemErrorSentence(error, path)}; give the path of a file or folder that can be read`,
      );
    }
  }
  return inputs;
}

async function listFolder(
  folder: string,
  owns: (fileName: string) => boolean,
  inputs: Inputs,
): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => inNaturalOrder.compare(a.name, b.name));
  for (const entry of entries) {
    if (entry.name.startsWith('.') || LEFT_BY_COLLECTIONS.test(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      try {
        await listFolder(path, owns, inputs);
      } catch (error) {
        inputs.unreadable.push(systemErrorSentence(error, path));
      }
    } else if ((entry.isFile() || entry.isSymbolicLink()) && owns(path)) {
      const found = await stat(path).catch(() => undefined); // a link that leads nowhere, a file just rotated away
      if (found?.isFile() === true) inputs.files.push({ path, bytes: found.size, isNamed: false });
    }
  }
}
