import { readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { makeFolders } from '../store/folders.js';

/** Slots are remembered so many: ten days of one every quarter of an hour. */
const MOST_SLOTS = 1000;

const figures = {
  moves: z.int().nonnegative().optional(),
  score_before: z.number().optional(),
  score_after: z.number().optional(),
  duration_seconds: z.object({ p50: z.number(), p90: z.number() }).optional(),
};

const lastSlotSchema = z.object({
  slot: z.string(),
  at: z.string(),
  /** `started` stays where the process ended amid the moves. */
  outcome: z.enum(['started', 'executed', 'stopped', 'skipped', 'reported', 'failed', 'window-over']),
  reason: z.string().optional(),
  ...figures,
});

const stateSchema = z.object({
  format: z.literal(1),
  cluster: z.string(),
  phase: z.enum(['starting', 'waiting', 'planning', 'executing', 'retrying', 'ended']),
  /** When the phase began. */
  at: z.string(),
  /** Slots that are had, oldest first. */
  had: z.array(z.string()),
  last: lastSlotSchema.optional(),
  next: z.object({ slot: z.string(), at: z.string() }).optional(),
});

/** What a watch knows of itself: which slots it had, what came of the last one, when the next one is. */
export type WatchState = z.output<typeof stateSchema>;
export type LastSlot = z.output<typeof lastSlotSchema>;
export type Phase = WatchState['phase'];

export const emptyState = (cluster: string, nowMs: number): WatchState => ({
  format: 1,
  cluster,
  phase: 'starting',
  at: new Date(nowMs).toISOString(),
  had: [],
});

export const slotsKept = (had: ReadonlySet<string>): string[] => [...had].slice(-MOST_SLOTS);

/**
 * The state that was kept; undefined where none was.
 *
 * @throws UserError `input-invalid` for a file of something else: forgotten slots would be had again
 */
export async function readState(path: string): Promise<WatchState | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UserError('input-unreadable', systemErrorSentence(error, path));
  }
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch {
    throw new UserError(
      'input-invalid',
      `${path}: is not the state of a watch, or of a newer version's; move it away to begin anew`,
    );
  }
}

/** Whole or not at all: a crash leaves the state before. */
export async function keepState(path: string, state: WatchState): Promise<void> {
  try {
    makeFolders(dirname(path));
    await writeFile(`${path}.new`, `${JSON.stringify(state)}\n`, { mode: 0o600, flush: true });
    await rename(`${path}.new`, path);
  } catch (error) {
    throw new UserError('cannot-write', systemErrorSentence(error, path));
  }
}
