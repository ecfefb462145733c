import { logSources } from './sources/registry.js';
import type { LogSource } from './sources/source.js';

/** Less sure than this is a guess, and a wrong guess would fill the store with nonsense. */
const SURE_ENOUGH = 0.5;

/** The source that is surest that a text is its own; undefined when none is sure enough. */
export function detectSource(
  head: string,
  fileName: string,
  sources: readonly LogSource[] = logSources,
): LogSource | undefined {
  let best: LogSource | undefined;
  let surest = SURE_ENOUGH;
  for (const source of sources) {
    const sure = source.detect(head, fileName);
    if (sure > surest || (best === undefined && sure === surest)) {
      best = source;
      surest = sure;
    }
  }
  return best;
}
