import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync, mkdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { MS_PER_DAY } from '../src/domain/units.js';
import type { BacktestData, BacktestRow } from './backtest.js';
import { dataHash } from './data-hash.js';
import { moveTable } from './move-table.js';

/**
 * What a backtest has finished, kept so that a run that was broken off goes on from there. A piece is what one candidate
 * predicted between one fit and the next: it depends on nothing but the data, the seed and the program.
 */
export interface BacktestPieces {
  /** Undefined when the piece was never finished, or cannot be trusted. */
  read(name: string): BacktestRow[] | undefined;
  keep(name: string, rows: readonly BacktestRow[]): void;
}

/** Folder of unfinished trainings in the registry's folder; hidden, so that no model can have this name. */
const WORK_FOLDER = '.training';
const PIECE_ENDING = '.piece';
/** Unfinished trainings that nobody took up again for so long are removed. */
const KEPT_DAYS = 7;
/** Fast: a piece is written once, and mostly never read. */
const GZIP_LEVEL = 1;

/**
 * Pieces as files in `<models>/.training/<key>/`, one key for each data, seed and program. A file is a line with the
 * hash of what follows, then the rows as gzipped JSON; it is written whole or not at all, and one that is damaged or of
 * another key is as good as none. A folder that cannot be written costs nothing but the way back: `failure` says why.
 */
export class PiecesFolder implements BacktestPieces {
  readonly folder: string;
  /** Pieces that were taken up instead of computed. */
  reused = 0;
  failure: unknown;

  constructor(
    modelsFolder: string,
    readonly key: string,
  ) {
    this.folder = join(modelsFolder, WORK_FOLDER, key);
  }

  read(name: string): BacktestRow[] | undefined {
    try {
      const bytes = readFileSync(this.file(name));
      const end = bytes.indexOf('\n');
      const body = bytes.subarray(end + 1);
      if (bytes.toString('latin1', 0, end) !== this.sealOf(name, body)) return undefined;
      const rows = JSON.parse(gunzipSync(body).toString()) as BacktestRow[];
      this.reused++;
      return rows;
    } catch {
      return undefined; // absent or damaged: it is computed again
    }
  }

  keep(name: string, rows: readonly BacktestRow[]): void {
    if (this.failure !== undefined) return;
    const body = gzipSync(JSON.stringify(rows), { level: GZIP_LEVEL });
    const file = this.file(name);
    const unfinished = `${file}.${process.pid}`;
    try {
      mkdirSync(this.folder, { recursive: true });
      try {
        writeFileSync(unfinished, Buffer.concat([Buffer.from(`${this.sealOf(name, body)}\n`), body]));
        renameSync(unfinished, file);
      } catch (error) {
        rmSync(unfinished, { force: true }); // half a piece on a full disk leaves others less room
        throw error;
      }
    } catch (error) {
      this.failure = error;
    }
  }

  /** Whether an earlier run left pieces to go on from. */
  get isBegun(): boolean {
    try {
      return readdirSync(this.folder).some((name) => name.endsWith(PIECE_ENDING));
    } catch {
      return false;
    }
  }

  /** Removes the pieces of this training, and those of others that nobody took up for a week. */
  remove(nowMs: number): void {
    rmSync(this.folder, { recursive: true, force: true });
    const all = dirname(this.folder);
    try {
      for (const name of readdirSync(all)) {
        const other = join(all, name);
        if (nowMs - statSync(other).mtimeMs > KEPT_DAYS * MS_PER_DAY)
          rmSync(other, { recursive: true, force: true });
      }
      if (readdirSync(all).length === 0) rmSync(all, { recursive: true, force: true });
    } catch {
      // another training may be clearing up as well
    }
  }

  private file(name: string): string {
    return join(
      this.folder,
      `${createHash('sha256').update(name).digest('hex').slice(0, 24)}${PIECE_ENDING}`,
    );
  }

  private sealOf(name: string, body: Buffer): string {
    return createHash('sha256').update(`${this.key}\n${name}\n`).update(body).digest('hex');
  }
}

/** The same pieces under names of their own, for a backtest of something that has the same name at other times. */
export const piecesWithin = (pieces: BacktestPieces, prefix: string): BacktestPieces => ({
  read: (name) => pieces.read(`${prefix}\n${name}`),
  keep: (name, rows) => pieces.keep(`${prefix}\n${name}`, rows),
});

/** Names the pieces of a training: the same data, seed and program have the same key. */
export function trainingKey(data: BacktestData, seed: number): string {
  const hash = createHash('sha256');
  hash.update(`${programHash()} ${seed} ${dataHash(moveTable(data.records).records)}`);
  for (const sample of [...(data.linkSamples ?? []), ...(data.instanceSamples ?? [])])
    hash.update(`\n${JSON.stringify(sample)}`);
  return hash.digest('hex').slice(0, 24);
}

/** Folders beside `training` whose code makes the predictions of a backtest. */
const PREDICTING_FOLDERS = ['../src/predictor', '../src/domain'];

/** Hash of the program that fits and predicts: what another version of it has computed is not taken up. */
function programHash(): string {
  const own = fileURLToPath(import.meta.url);
  const folder = dirname(own);
  const hash = createHash('sha256').update(process.version);
  // Bundled into one file, that file is the program.
  const files =
    basename(folder) === 'training'
      ? [folder, ...PREDICTING_FOLDERS.map((name) => join(folder, name))].flatMap(codeFiles)
      : [own];
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest('hex');
}

function codeFiles(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return codeFiles(path);
    return /(?<!\.d)\.[mc]?[jt]s$/.test(entry.name) ? [path] : [];
  });
}
