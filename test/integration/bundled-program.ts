import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll } from '@jest/globals';
import { build } from 'esbuild';

/** How a process ended, and what it printed where that was caught. */
export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  out: string;
  err: string;
}

/** Sources in one file, to be started in processes of their own, which may be killed. */
export class BundledProgram {
  /** Goes with the tests of the file. */
  readonly folder: string;
  readonly path: string;

  private constructor(folder: string, path: string) {
    this.folder = folder;
    this.path = path;
  }

  /** Of `entry`, as `name` in a folder of its own; by default the whole program. */
  static async build(entry = 'src/main.ts', name = 'main.mjs'): Promise<BundledProgram> {
    const folder = mkdtempSync(join(process.cwd(), 'node_modules', '.movecast-program-')); // finds the packages from there
    const path = join(folder, name);
    await build({
      entryPoints: [entry],
      bundle: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      logLevel: 'error',
      outfile: path,
    });
    return new BundledProgram(folder, path);
  }

  start(args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return startNode([this.path, ...args], options);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A program for the tests of a file: built before the first of them, removed after the last one. */
export function programForTests(...of: Parameters<typeof BundledProgram.build>): () => BundledProgram {
  let program: BundledProgram | undefined;
  beforeAll(async () => {
    program = await BundledProgram.build(...of);
  });
  afterAll(() => program?.remove());
  return () => program!;
}

/** Node with a script and its arguments; what it prints is caught unless `stdio` says otherwise. */
export const startNode = (args: readonly string[], options: SpawnOptions = {}): ChildProcess =>
  spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });

/** Waits for the end of a process, of its own accord or killed. */
export function ended(child: ChildProcess): Promise<Ended> {
  const printed = { out: '', err: '' };
  child.stdout?.on('data', (text: Buffer) => (printed.out += String(text)));
  child.stderr?.on('data', (text: Buffer) => (printed.err += String(text)));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, ...printed }));
  });
}
