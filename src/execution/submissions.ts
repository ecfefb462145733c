import { UserError } from '../domain/errors.js';
import type { PlanMove } from '../domain/plan.js';
import { isWaiting, type JobState } from '../ganeti/job-state.js';
import { RapiError } from '../ganeti/rapi-error.js';
import type { ClusterState } from './cluster-state.js';
import { Flight, type FlightStep } from './flight.js';
import { commentOf, tokenOf } from './job-comment.js';
import { commandsOf, commandText, OPERATION_OF, secondsOf } from './move-commands.js';
import type { PlanRun } from './plan-run.js';

/** An answer that was lost: the master's own time-outs are over after so long, and the job is in the queue or will not be. */
const LOST_SETTLE_MS = 120_000;
/** A submission that was lost twice is not tried a third time. */
const MOST_ATTEMPTS = 2;

/** Jobs on their way into the queue: each is sent once, and one whose answer is lost is looked for there. */
export class Submissions {
  readonly #run: PlanRun;
  #sequence = 0;
  readonly #attempts = new Map<string, number>();
  /** Tokens of submissions that did not show up in the queue, should they do so later. */
  readonly #givenUp = new Map<string, PlanMove>();

  constructor(run: PlanRun) {
    this.#run = run;
  }

  /** True while a submission that was given up may still come late. */
  get mayComeLate(): boolean {
    return this.#givenUp.size > 0;
  }

  /** Begins a move. */
  async start(move: PlanMove, state: ClusterState): Promise<void> {
    const run = this.#run;
    const { plan, plans } = run;
    const commands = commandsOf(move, state.isRunning(move.instance));
    const flight = new Flight(move, commands, run.clock.now(), {
      ofPlan: plans,
      scoreBefore: move.index > 0 ? (plan.moves[move.index - 1]?.score_after ?? 0) : plan.score_before,
    });
    run.pending = run.pending.filter((other) => other !== move);
    run.flights.add(flight);
    await this.submitSteps(flight);
    const jobs = flight.openJobs;
    if (jobs.length === 0) return;
    const { instance, letters } = move;
    const predicted = {
      p10: secondsOf(move, 'p10'),
      p50: secondsOf(move, 'p50'),
      p90: secondsOf(move, 'p90'),
    };
    run.tell({ event: 'start', instance, letters, jobs, predicted_seconds: predicted });
  }

  /** Submits the jobs of a move, each to wait in the queue for the one before. */
  async submitSteps(flight: Flight): Promise<void> {
    const run = this.#run;
    const { move, steps } = flight;
    for (let step = flight.nextStep; step !== undefined; step = flight.nextStep) {
      if (!run.mayStart) return;
      const index = steps.indexOf(step);
      const before = steps[index - 1]?.job;
      const token = `${run.audit.execution}/${++this.#sequence}`;
      const isNoted = await run.note({
        event: 'intent',
        token,
        command: commandText(step.command),
        instance: move.instance,
        step: index,
        steps: steps.length,
        from: move.from,
        to: move.to,
        letters: move.letters,
        why: `move ${move.index} of plan ${flight.ofPlan}`,
        score_before: flight.scoreBefore,
        score_after: move.score_after,
        predicted_seconds: step.predicted?.duration_seconds ?? { p10: 0, p50: 0, p90: 0 },
      });
      if (!isNoted) {
        if (index === 0) await run.putBack(flight);
        return;
      }
      let job: number;
      try {
        job = await run.client.submit(step.command, {
          comment: commentOf(token, { letters: move.letters, step: index, steps: steps.length }),
          after: before === undefined ? [] : [before],
        });
      } catch (error) {
        if (error instanceof RapiError) return this.#notSubmitted(flight, step, token, error);
        if (!run.isLeft) throw error;
        step.token = token;
        step.lostMs = run.clock.now();
        return;
      }
      step.token = token;
      run.master.answered('submission');
      await this.#isTaken(step, job);
    }
  }

  /** A step has its job. */
  async #isTaken(step: FlightStep, job: number): Promise<void> {
    const run = this.#run;
    step.job = job;
    step.lostMs = undefined;
    run.ownJobs.add(job);
    await run.note({ event: 'submitted', token: step.token!, job });
    const { predicted, command } = step;
    // An instance that was shut down meanwhile makes another move than was predicted.
    if (predicted?.operation !== OPERATION_OF[command.kind]) return;
    const given = run.settings.predictionOf?.(predicted);
    if (given === undefined) return;
    try {
      await run.finished.keepPrediction(job, given);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      run.tell({ event: 'remark', why: `${error.message}; accuracy will not know job ${job}` });
    }
  }

  async #notSubmitted(flight: Flight, step: FlightStep, token: string, error: RapiError): Promise<void> {
    const run = this.#run;
    const { move, steps } = flight;
    if (!error.isSurelyNotDone) {
      step.token = token;
      step.lostMs = run.clock.now();
      run.tell({
        event: 'remark',
        why: `${error.message}; whether it took the job of ${move.instance} is looked up in the queue`,
      });
      return;
    }
    await run.note({ event: 'not-submitted', token, why: error.message });
    if (steps[0] === step) await run.putBack(flight);
    if (error.isPassing && error.status === undefined) {
      run.master.away('submission', error.message);
      return;
    }
    if (steps[0] !== step) flight.failure ??= error.message;
    await run.stop(`the job of ${move.instance} is not taken: ${error.message}`);
  }

  /** A submission whose answer was lost: the queue says whether it was taken. */
  async find(flight: Flight, step: FlightStep, jobs: readonly JobState[]): Promise<void> {
    const run = this.#run;
    const { move } = flight;
    const job = jobs.find((each) => tokenOf(each) === step.token);
    if (job !== undefined) {
      await this.#isTaken(step, job.id);
      run.tell({ event: 'remark', why: `the lost answer was job ${job.id} (${move.instance})` });
      return;
    }
    if (run.clock.now() - step.lostMs! < LOST_SETTLE_MS) return;
    await run.note({ event: 'not-submitted', token: step.token!, why: 'it never came into the queue' });
    this.#givenUp.set(step.token!, move);
    step.lostMs = undefined;
    step.token = undefined;
    const attempts = (this.#attempts.get(move.instance) ?? 0) + 1;
    this.#attempts.set(move.instance, attempts);
    if (flight.steps[0] === step) await run.putBack(flight);
    if (attempts >= MOST_ATTEMPTS)
      await run.stop(`the submission of the move of ${move.instance} was lost ${attempts} times`);
  }

  /** True where a job is a submission that was believed lost: it is taken back if it can be, and that is the end. */
  async takeLate(job: JobState): Promise<boolean> {
    const run = this.#run;
    const token = tokenOf(job);
    const move = token === undefined ? undefined : this.#givenUp.get(token);
    if (token === undefined || move === undefined) return false;
    this.#givenUp.delete(token);
    await run.note({ event: 'submitted', token, job: job.id });
    const flight = new Flight(move, [commandsOf(move, true)[0]!], run.clock.now(), { isAdopted: true });
    flight.adopt(token, job);
    run.flights.add(flight);
    run.ownJobs.add(job.id);
    await run.stop(`a submission of ${move.instance} that was believed lost came late (job ${job.id})`);
    if (isWaiting(job)) await run.takeBack(flight, 'it came late');
    return true;
  }
}
