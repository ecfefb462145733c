import type { JobState } from '../ganeti/job-state.js';

/** What stands in the comment of a job of ours, by which it is found again in the queue: `movecast TOKEN: f, step 1 of 1`. */
export function commentOf(
  token: string,
  { letters, step, steps }: { letters: string; step: number; steps: number },
): string {
  return `movecast ${token}: ${letters}, step ${step + 1} of ${steps}`;
}

/** The token in a job's comment, where it is one of ours or of another execution. */
export function tokenOf({ opcodes }: JobState): string | undefined {
  for (const { comment } of opcodes) {
    const match = /^movecast ([0-9a-f]{1,36}\/\d+):/.exec(comment ?? '');
    if (match !== null) return match[1];
  }
  return undefined;
}
