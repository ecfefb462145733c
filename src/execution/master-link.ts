import { UserError } from '../domain/errors.js';
import type { Clock } from '../ganeti/clock.js';
import { RapiError } from '../ganeti/rapi-error.js';
import type { ExecutionNews } from './execution-events.js';

/** What the master is asked, as far as one may fail while another does not. */
export type Asked = 'queue' | 'job' | 'state' | 'submission';

const PATIENCE_MS = 600_000;

/** The master's answers: one that is away for a while is waited for, one that stays away is given up. */
export class MasterLink {
  readonly #clock: Clock;
  readonly #patienceMs: number;
  readonly #leave: AbortSignal | undefined;
  readonly #tell: (news: ExecutionNews) => void;
  readonly #giveUp: (why: string) => void;
  /** What gets no answer, since when. */
  readonly #outages = new Map<Asked, number>();

  constructor({
    clock,
    patienceMs = PATIENCE_MS,
    leave,
    tell,
    giveUp,
  }: {
    clock: Clock;
    /** How long the master may be away. */
    patienceMs?: number | undefined;
    leave: AbortSignal | undefined;
    tell: (news: ExecutionNews) => void;
    /** The master is not waited for any more. */
    giveUp: (why: string) => void;
  }) {
    this.#clock = clock;
    this.#patienceMs = patienceMs;
    this.#leave = leave;
    this.#tell = tell;
    this.#giveUp = giveUp;
  }

  /** An answer of the master; undefined while it is away. What will not pass is given up. */
  async reach<T>(asked: Asked, ask: () => Promise<T>): Promise<T | undefined> {
    try {
      const answer = await ask();
      if (this.#outages.delete(asked) && this.#outages.size === 0) this.#tell({ event: 'back' });
      return answer;
    } catch (error) {
      if (this.#leave?.aborted === true) return undefined;
      if (!(error instanceof UserError)) throw error;
      // A reply that is not Ganeti's, as of a node whose daemon is restarted, may be one a little later.
      if (!(error instanceof RapiError) || error.isPassing || error.status === undefined)
        this.away(asked, error.message);
      else this.#giveUp(error.message);
      return undefined;
    }
  }

  /** No answer to this came, again or for the first time. */
  away(asked: Asked, why: string): void {
    const nowMs = this.#clock.now();
    const sinceMs = this.#outages.get(asked);
    if (sinceMs === undefined) {
      this.#outages.set(asked, nowMs);
      if (this.#outages.size === 1) this.#tell({ event: 'outage', why });
      return;
    }
    if (nowMs - sinceMs >= this.#patienceMs)
      this.#giveUp(`${why}; it was waited for ${Math.round(this.#patienceMs / 1000)} s`);
  }

  answered(asked: Asked): void {
    this.#outages.delete(asked);
  }

  isAway(asked: Asked): boolean {
    return this.#outages.has(asked);
  }

  get isWhole(): boolean {
    return this.#outages.size === 0;
  }
}
