import { moveCount } from '../domain/plan.js';
import { liveGantt } from '../execution/live-gantt.js';
import type { ExecutionEvent } from '../execution/execution-events.js';
import type { ExecutionView } from '../execution/execution-view.js';
import type { Context } from './context.js';
import { durationText } from './plan-text.js';

/** An event for a person; undefined for those that only programs want. */
export function eventText(event: ExecutionEvent): string | undefined {
  const time = event.at.slice(11, 19);
  const line = lineOf(event);
  return line === undefined ? undefined : `${time} ${line}`;
}

function lineOf(event: ExecutionEvent): string | undefined {
  switch (event.event) {
    case 'begin':
      return `cluster ${event.cluster}, master ${event.master}, execution ${event.execution}`;
    case 'plan': {
      const { score_after, duration_seconds } = event.plan;
      return `plan (${event.why}): ${moveCount(event.plan)} to score ${score_after.toFixed(4)} in ${durationText(duration_seconds.p50)}, nine times of ten ${durationText(duration_seconds.p90)}`;
    }
    case 'adopt':
      return `${event.instance}: job ${event.job} of an earlier execution is watched`;
    case 'start':
      return `${event.instance} ${event.letters}: job ${event.jobs.join(', ')}, about ${durationText(event.predicted_seconds.p50)}`;
    case 'step':
      return undefined;
    case 'finish':
      return `${event.instance} ${event.letters}: done in ${durationText(event.seconds)}; ${event.done} done, ${event.left} to start`;
    case 'fail':
      return `${event.instance} ${event.letters}: failed, ${event.why}`;
    case 'hold':
      return `${event.instance} ${event.letters}: waits for job ${event.job} of somebody else`;
    case 'cancel':
      return `${event.instance} ${event.letters}: job ${event.job} is taken back, ${event.why}`;
    case 'outage':
      return `waiting: ${event.why}`;
    case 'back':
      return 'the master answers again';
    case 'remark':
      return event.why;
    case 'stop':
      return event.running === 0
        ? `stopping: ${event.why}`
        : `stopping: ${event.why}; nothing new starts, ${event.running} under way are left to finish`;
    case 'end':
      return event.score === undefined ? undefined : `score now ${event.score.toFixed(8)}`;
  }
}

/** Lines of the chart at most, where the terminal does not say how tall it is. */
const USUAL_ROWS = 24;
const USUAL_COLUMNS = 80;

/** A chart on a terminal that is drawn anew in its place, below the lines of events. */
export class ChartOnTerminal {
  readonly #stream: Context['stderr'] & { rows?: number };
  #lines = 0;
  #view: ExecutionView | undefined;

  constructor(stream: Context['stderr']) {
    this.#stream = stream;
  }

  /** Writes a line above the chart. */
  say(line: string): void {
    this.#clear();
    this.#stream.write(`${line}\n`);
    this.#draw();
  }

  show(view: ExecutionView): void {
    this.#view = view;
    this.#clear();
    this.#draw();
  }

  /** Removes the chart. */
  finish(): void {
    this.#clear();
    this.#view = undefined;
  }

  #clear(): void {
    if (this.#lines > 0) this.#stream.write(`\u001b[${this.#lines}F\u001b[J`);
    this.#lines = 0;
  }

  #draw(): void {
    if (this.#view === undefined) return;
    const { columns = USUAL_COLUMNS, rows = USUAL_ROWS } = this.#stream;
    const lines = liveGantt(this.#view, columns - 1, Math.max(3, Math.floor(rows / 2)));
    this.#stream.write(lines.map((line) => `${line}\n`).join(''));
    this.#lines = lines.length;
  }
}
