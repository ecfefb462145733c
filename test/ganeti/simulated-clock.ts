import type { Clock } from '../../src/ganeti/clock.js';

/** Time that passes only when someone sleeps, or when `advance` says so; nothing is waited for. */
export class SimulatedClock implements Clock {
  #now: number;
  #events: { at: number; run: () => void }[] = [];

  constructor(startMs = Date.parse('2026-06-01T00:00:00Z')) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  /** Calls at a moment to come. */
  at(atMs: number, run: () => void): { at: number; run: () => void } {
    const event = { at: Math.max(atMs, this.#now), run };
    this.#events.push(event);
    return event;
  }

  cancel(event: { at: number; run: () => void }): void {
    this.#events = this.#events.filter((other) => other !== event);
  }

  /** Lets time pass, with all that happens meanwhile, in its order; `until` may end it before. */
  advance(milliseconds: number, until: () => boolean = () => false): void {
    const end = this.#now + milliseconds;
    while (!until()) {
      let next: { at: number; run: () => void } | undefined;
      for (const event of this.#events)
        if (event.at <= end && (next === undefined || event.at < next.at)) next = event;
      if (next === undefined) {
        this.#now = end;
        return;
      }
      this.cancel(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted !== true) this.advance(milliseconds, () => signal?.aborted === true);
    await new Promise((resolve) => setImmediate(resolve));
  }

  deadline(milliseconds: number): { signal: AbortSignal; clear: () => void } {
    const controller = new AbortController();
    const event = this.at(this.#now + milliseconds, () => controller.abort());
    return { signal: controller.signal, clear: () => this.cancel(event) };
  }
}
