import type { Context } from './context.js';

/** A progress bar on a terminal for work that takes longer than a second; nothing anywhere else. */
export interface Progress {
  /** `done` of `total`; without a total only the count is shown. */
  update(done: number, total?: number): void;
  /** Removes the bar. */
  finish(): void;
}

const SHOWN_AFTER_MS = 1000;
const REDRAW_MS = 100;
const BAR_WIDTH = 28;

/** @example const bar = startProgress(context, 'Reading', { quiet }); bar.update(50, 100); bar.finish(); */
export function startProgress(
  context: Context,
  label: string,
  { quiet = false }: { quiet?: boolean | undefined } = {},
): Progress {
  const stream = context.stderr;
  if (quiet || stream.isTTY !== true) return { update: () => undefined, finish: () => undefined };
  const startedMs = context.now();
  let drawnMs = 0;
  return {
    update(done, total) {
      const nowMs = context.now();
      if (nowMs - startedMs < SHOWN_AFTER_MS || nowMs - drawnMs < REDRAW_MS) return;
      drawnMs = nowMs;
      const share = total !== undefined && total > 0 ? Math.min(1, done / total) : undefined;
      const bar =
        share === undefined
          ? `${done}`
          : `[${'#'.repeat(Math.round(share * BAR_WIDTH)).padEnd(BAR_WIDTH, '.')}] ${Math.floor(share * 100)} %`;
      stream.write(`\r\u001b[K${label} ${bar}`);
    },
    finish() {
      if (drawnMs > 0) stream.write('\r\u001b[K');
    },
  };
}
