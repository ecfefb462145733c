import type { Clock } from '../ganeti/clock.js';
import { dueSlot, nextSlot, type Slot, type Timetable } from './timetable.js';
import { verdictOn, type PlanSummary, type Threshold } from './worth.js';
import { slotsKept, type LastSlot, type Phase, type WatchState } from './watch-state.js';

/** The clock is looked at this often while nothing is due, so that it may be set meanwhile. */
const LOOK_EVERY_MS = 60_000;
/** A clock that went further than this beyond what was slept was set, or the machine stood still. */
const JUMP_MS = 90_000;
/** Nothing is begun so shortly before a window ends. */
export const LEAST_LEFT_MS = 60_000;
/** How long to wait after the first, second … failure in a slot; the last one from then on. */
export const RETRY_AFTER_MS = [1, 2, 4, 8, 15].map((minutes) => minutes * 60_000);

/** Why there is no plan, or why carrying it out was not even begun. */
export interface Failure {
  words: string;
  /** False where trying again without a person's help is in vain. */
  isPassing: boolean;
}

/** What came of carrying out a plan. */
export interface Execution {
  isComplete: boolean;
  /** Why it is not complete. */
  words: string;
  scoreAfter?: number;
}

/** Who plans and moves. Both end soon after the signal is aborted, an execution in a safe state. */
export interface Balancer {
  plan(untilMs: number, signal: AbortSignal): Promise<PlanSummary | Failure>;
  execute(untilMs: number, signal: AbortSignal): Promise<Execution | Failure>;
}

export interface WatcherOptions {
  timetable: Timetable;
  threshold: Threshold;
  /** False: nothing is moved, only told. */
  execute: boolean;
  clock: Clock;
  balancer: Balancer;
  /** What was had before, and where it is kept: a slot is noted before its first move. Throws when it cannot. */
  state: WatchState;
  keep: (state: WatchState) => Promise<void>;
  /** One event: its name and what belongs to it. */
  tell: (event: string, details?: Record<string, unknown>) => void;
  /** Aborted when it is to end. */
  signal: AbortSignal;
}

const iso = (ms: number): string => new Date(ms).toISOString();

/**
 * Waits for the times of a timetable and balances at them, until the signal is aborted. Nothing starts outside a window,
 * and nothing twice for one slot, whatever the clock does: what counts is the clock at the moment of the start, and
 * slots that were had are known by their names.
 */
export async function watch(options: WatcherOptions): Promise<void> {
  const { clock, signal, timetable, tell } = options;
  const watcher = new Watcher(options);
  let lookedMs = clock.now();
  let sleptMs = 0;
  while (!signal.aborted) {
    const nowMs = clock.now();
    const driftMs = nowMs - lookedMs - sleptMs;
    if (Math.abs(driftMs) > JUMP_MS) tell('clock-jumped', { seconds: Math.round(driftMs / 1000) });
    const due = dueSlot(timetable, nowMs, watcher.had);
    if (due !== undefined) {
      await watcher.attend(due.slot, due.passedOver);
      lookedMs = clock.now();
      sleptMs = 0;
      continue;
    }
    const next = nextSlot(timetable, nowMs, watcher.had);
    await watcher.wait(next);
    lookedMs = nowMs;
    sleptMs = Math.min(LOOK_EVERY_MS, (next?.startMs ?? Infinity) - nowMs);
    await clock.sleep(sleptMs, signal);
  }
  await watcher.end();
}

/** A plan in figures, as events and the state tell it. */
type Figures = Omit<LastSlot, 'slot' | 'at' | 'outcome' | 'reason'>;

class Watcher {
  readonly had: Set<string>;
  readonly #options: WatcherOptions;
  #phase: Phase = 'starting';
  #last: LastSlot | undefined;
  #nextTold: string | undefined;

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.had = new Set(options.state.had);
    this.#last = options.state.last;
  }

  /** Waiting for a slot; told once for each. */
  async wait(next: Slot | undefined): Promise<void> {
    if (this.#phase === 'waiting' && this.#nextTold === (next?.id ?? '')) return;
    this.#nextTold = next?.id ?? '';
    this.#options.tell(
      'waiting',
      next === undefined ? {} : { slot: next.id, at: iso(next.startMs), until: iso(next.untilMs) },
    );
    await this.#enter('waiting').catch((error: unknown) => this.#tellStateLost(error));
  }

  async attend(slot: Slot, passedOver: readonly Slot[]): Promise<void> {
    const { clock, signal, tell } = this.#options;
    for (const { id, startMs } of passedOver) {
      this.had.add(id);
      tell('slot-passed-over', { slot: id, at: iso(startMs) });
    }
    tell('slot-due', { slot: slot.id, until: iso(slot.untilMs) });
    let failure: Failure | undefined;
    for (let failures = 0; !signal.aborted; failures++) {
      if (!this.#isOpen(slot)) return this.#leave(slot, failure);
      failure = await this.#tryOnce(slot);
      if (failure === undefined || signal.aborted) return;
      if (!failure.isPassing) {
        tell('slot-failed', { slot: slot.id, reason: failure.words });
        return this.#close(slot, { outcome: 'failed', reason: failure.words });
      }
      const waitMs = RETRY_AFTER_MS[Math.min(failures, RETRY_AFTER_MS.length - 1)]!;
      tell('retry', { slot: slot.id, reason: failure.words, at: iso(clock.now() + waitMs) });
      await this.#enter('retrying').catch((error: unknown) => this.#tellStateLost(error));
      await this.#sleepWithin(slot, waitMs);
    }
  }

  /** Plans and, where it is worth it, moves; what kept it from that, or undefined when the slot needs no further try. */
  async #tryOnce(slot: Slot): Promise<Failure | undefined> {
    const { signal, balancer } = this.#options;
    try {
      await this.#enter('planning');
      const plan = await balancer.plan(slot.untilMs, signal);
      if (signal.aborted) return undefined;
      return 'words' in plan ? plan : await this.#judge(slot, plan);
    } catch (error) {
      if (!(error instanceof StateLost)) throw error;
      return { words: error.message, isPassing: true };
    }
  }

  async end(): Promise<void> {
    await this.#enter('ended').catch((error: unknown) => this.#tellStateLost(error));
  }

  /** In short steps, so that a clock that is set meanwhile does not lengthen the wait beyond the window. */
  async #sleepWithin(slot: Slot, waitMs: number): Promise<void> {
    const { clock, signal } = this.#options;
    for (let leftMs = waitMs; leftMs > 0 && !signal.aborted && this.#isOpen(slot); leftMs -= LOOK_EVERY_MS)
      await clock.sleep(Math.min(leftMs, LOOK_EVERY_MS), signal);
  }

  /** The clock is looked at anew: planning took its time. */
  #isOpen({ startMs, untilMs }: Slot): boolean {
    const nowMs = this.#options.clock.now();
    return startMs <= nowMs && nowMs < untilMs - LEAST_LEFT_MS;
  }

  /** A slot in whose window nothing can begin any more. One that the clock was set back before comes again. */
  async #leave(slot: Slot, failure?: Failure): Promise<void> {
    const { clock, tell } = this.#options;
    if (clock.now() < slot.startMs) {
      this.had.delete(slot.id);
      tell('slot-postponed', { slot: slot.id, at: iso(slot.startMs) });
      return;
    }
    const because = failure === undefined ? {} : { reason: failure.words };
    tell('window-over', { slot: slot.id, ...because });
    await this.#close(slot, { outcome: 'window-over', ...because });
  }

  async #judge(slot: Slot, plan: PlanSummary): Promise<Failure | undefined> {
    const { threshold, execute, tell } = this.#options;
    const figures = {
      moves: plan.moves,
      score_before: plan.score_before,
      score_after: plan.score_after,
      duration_seconds: plan.duration_seconds,
    };
    const verdict = verdictOn(plan, threshold);
    tell('plan', { slot: slot.id, ...figures, worth: verdict.isWorth });
    if (!verdict.isWorth) {
      tell('skipped', { slot: slot.id, reason: verdict.reason, words: verdict.words });
      await this.#close(slot, { outcome: 'skipped', reason: verdict.words, ...figures });
    } else if (!execute) {
      tell('would-execute', { slot: slot.id, ...figures });
      await this.#close(slot, { outcome: 'reported', ...figures });
    } else return this.#execute(slot, figures);
    return undefined;
  }

  /** Moves; a failure when nothing was begun, so that the slot is not had. */
  async #execute(slot: Slot, figures: Figures): Promise<Failure | undefined> {
    const { tell, clock, balancer, signal } = this.#options;
    if (!this.#isOpen(slot)) return void (await this.#leave(slot));
    // Noted first: a crash during the moves must not begin the slot anew.
    const before = this.#last;
    this.#note(slot, { outcome: 'started', ...figures });
    await this.#enter('executing');
    if (signal.aborted) {
      this.had.delete(slot.id);
      return undefined;
    }
    if (!this.#isOpen(slot)) return void (await this.#leave(slot));
    tell('execution-started', { slot: slot.id, at: iso(clock.now()), ...figures });
    const ended = await balancer.execute(slot.untilMs, signal);
    if ('isPassing' in ended) {
      tell('execution-ended', { slot: slot.id, outcome: 'not-begun', reason: ended.words });
      this.had.delete(slot.id);
      this.#last = before;
      return ended;
    }
    const { isComplete, words, scoreAfter } = ended;
    const outcome = isComplete ? 'executed' : 'stopped';
    const because = isComplete ? {} : { reason: words };
    const score = scoreAfter === undefined ? {} : { score_after: scoreAfter };
    tell('execution-ended', { slot: slot.id, outcome, ...because, ...score });
    await this.#close(slot, { outcome, ...because, ...figures, ...score });
    return undefined;
  }

  #note(slot: Slot, last: Omit<LastSlot, 'slot' | 'at'>): void {
    this.had.add(slot.id);
    this.#last = { slot: slot.id, at: iso(this.#options.clock.now()), ...last };
  }

  /** The slot is had, whatever came of it. */
  async #close(slot: Slot, last: Omit<LastSlot, 'slot' | 'at'>): Promise<void> {
    this.#note(slot, last);
    await this.#enter('waiting').catch((error: unknown) => this.#tellStateLost(error));
    this.#nextTold = undefined;
  }

  /** @throws StateLost when it cannot be kept */
  async #enter(phase: Phase): Promise<void> {
    this.#phase = phase;
    const { keep, clock, state, timetable } = this.#options;
    const next = nextSlot(timetable, clock.now(), this.had);
    try {
      await keep({
        ...state,
        had: slotsKept(this.had),
        phase,
        at: iso(clock.now()),
        last: this.#last,
        next: next === undefined ? undefined : { slot: next.id, at: iso(next.startMs) },
      });
    } catch (error) {
      throw new StateLost(error instanceof Error ? error.message : String(error));
    }
  }

  #tellStateLost(error: unknown): void {
    if (!(error instanceof StateLost)) throw error;
    this.#options.tell('state-not-kept', { reason: error.message });
  }
}

/** What is known of slots could not be written: without that nothing is moved. */
class StateLost extends Error {}
