import { statSync, watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';

/** Some file systems (NFS, and folders inside of a watched one) tell nothing: look after so long anyway. */
const LOOK_EVERY_MS = 1000;

/** A writer writes line by line: wait so long, and read many at once. */
const GATHER_MS = 100;

/** Tells when something changed in the folders of some paths. */
export class FolderWatch {
  readonly #watchers: FSWatcher[] = [];
  #hasChanged = false;
  #wake: (() => void) | undefined;

  constructor(paths: readonly string[]) {
    for (const folder of new Set(paths.map((path) => (isFolder(path) ? path : dirname(path))))) {
      try {
        const watcher = watch(folder, () => {
          this.#hasChanged = true;
          this.#wake?.();
        });
        watcher.on('error', () => watcher.close()); // the clock still wakes
        this.#watchers.push(watcher);
      } catch {
        // no more watches to be had: the clock still wakes
      }
    }
  }

  /** Resolves when something changed, when it is time to look anyway, or when the signal says stop. */
  async next(signal: AbortSignal): Promise<void> {
    if (!this.#hasChanged) await this.#pause(LOOK_EVERY_MS, signal, 'until a change');
    await this.#pause(GATHER_MS, signal);
    this.#hasChanged = false;
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
  }

  #pause(ms: number, signal: AbortSignal, until?: 'until a change'): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done, { once: true });
      if (until !== undefined) this.#wake = done;
    });
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
