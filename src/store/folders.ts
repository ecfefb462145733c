import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a folder and those that lead to it, where they are not there. Unlike mkdir's own `recursive` it comes to an end
 * below a file system that answers "no such folder" for what it lets nobody make, such as /proc: Node asks there for
 * ever. Throws what mkdir throws. O(parts of the path).
 */
export function makeFolders(path: string): void {
  const missing = [path];
  for (let at = dirname(path); !existsSync(at) && at !== missing.at(-1); at = dirname(at)) missing.push(at);
  for (const folder of missing.toReversed()) {
    try {
      mkdirSync(folder);
    } catch (error) {
      // There before, or made by another process meanwhile.
      if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) throw error;
    }
  }
}
