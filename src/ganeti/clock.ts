/** The time that a client or an execution lives in: handed in, so that a test needs no waiting. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Resolves after a while, or at once when the signal is aborted. Never rejects. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** A signal that is aborted after a while, unless it is cleared before. */
  deadline(milliseconds: number): { signal: AbortSignal; clear(): void };
}

/** The time on the wall. */
export const wallClock: Clock = {
  now: Date.now,
  sleep: (milliseconds, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      signal?.addEventListener('abort', done, { once: true });
    }),
  deadline(milliseconds) {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), milliseconds);
    return { signal: controller.signal, clear: () => clearTimeout(timer) };
  },
};
