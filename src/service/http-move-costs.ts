import { z } from 'zod';
import { ConstantMoveCosts } from '../balancer/constant-move-costs.js';
import { ofCluster, type CostColumns, type MoveCosts } from '../balancer/move-costs.js';
import type { MoveRequest } from '../domain/move-request.js';
import { UserError, wordsOf } from '../domain/errors.js';
import { jsonOf } from '../domain/json.js';
import { pastErrorsSchema, type PastErrors } from '../domain/past-errors.js';
import { shownText } from '../ganeti/rapi-error.js';
import {
  modelReferenceSchema,
  predictionSchema,
  type ModelReference,
  type Prediction,
} from '../domain/prediction.js';

/**
 * Prices of moves from a running service: asked for in batches, kept for the plan, asked for once more when no answer
 * comes. When that fails too, all are plain figures for a while, so that a plan does not weigh two sources against each
 * other and a service that hangs is waited for once; the plan then says so. An execution of hours asks again later. What
 * does not pass by itself, such as a wrong token or address, is an error at once.
 */

const refusedSchema = z.object({ error: z.object({ field: z.string(), message: z.string() }) });
type Refused = z.infer<typeof refusedSchema>;

const durationsSchema = z.object({
  duration_seconds: z.object({ p10: z.number(), p50: z.number(), p90: z.number() }),
  model: modelReferenceSchema,
});
type Durations = z.infer<typeof durationsSchema>;

const errorsAnswerSchema = z.object({ errors: pastErrorsSchema.optional() });

/** The service takes up to 10,000 requests in one call; fewer keep the body under a few MiB. */
const BATCH = 5000;
const TIMEOUT_MS = 30_000;
/** A service that is asked too often, or starts, says when to come back; it is not waited for longer. */
const LONGEST_WAIT_MS = 30_000;
const PREDICTIONS = '/v1/predictions';
/** Statuses below 500 that pass: too slow, too early, too often. */
const PASSING = [408, 425, 429];
const TOO_LARGE = 413;
/** A service that fell silent is not asked again before; longer than any plan is computed. */
const SILENCE_MINUTES = 10;

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** No answer for now; worth another try. */
class NoAnswer extends Error {
  constructor(
    reason: string,
    readonly waitMs = 0,
  ) {
    super(reason);
  }
}

/** The body is larger than the service, or a proxy before it, takes. */
class TooLarge extends Error {}

export class HttpMoveCosts implements MoveCosts {
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #cluster: string | undefined;
  readonly #fetch: Fetch;
  readonly #fallback = new ConstantMoveCosts({});
  readonly #known = new Map<string, [p10: number, p50: number, p90: number]>();
  readonly #warnings = new Set<string>();
  readonly #timeoutMs: number;
  readonly #now: () => number;
  readonly #wait: (ms: number) => Promise<unknown>;
  #batch = BATCH;
  /** Why the service is not asked any more, and until when. */
  #silence: { reason: string; untilMs: number } | undefined;
  #model: ModelReference | undefined;

  /**
   * `url` is the service's root, such as http://127.0.0.1:8080; `token` its bearer token where it asks for one;
   * `cluster` the name that the service's records give it. An answer that takes longer than `timeoutMs` fails.
   */
  constructor(
    url: string,
    {
      token,
      cluster,
      fetch = globalThis.fetch,
      timeoutMs = TIMEOUT_MS,
      now = Date.now,
      wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    }: {
      token?: string | undefined;
      cluster?: string | undefined;
      fetch?: Fetch;
      timeoutMs?: number;
      now?: () => number;
      wait?: (ms: number) => Promise<unknown>;
    } = {},
  ) {
    this.#url = url.replace(/\/+$/, '');
    if (token !== undefined && !/^[!-~]*$/.test(token))
      throw this.#refused('cannot be sent this token, for it has spaces or odd characters', ROLE);
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    this.#cluster = cluster;
    this.#fetch = fetch;
    this.#timeoutMs = timeoutMs;
    this.#now = now;
    this.#wait = wait;
  }

  get model(): ModelReference | undefined {
    return this.#model;
  }

  warnings(): readonly string[] {
    return [...this.#warnings];
  }

  /** @throws UserError where the service refuses to answer, or is none */
  async durations(asked: readonly MoveRequest[]): Promise<CostColumns> {
    this.#endSilence();
    const requests = ofCluster(asked, this.#cluster);
    const keys = requests.map((request) => JSON.stringify(request));
    const requestOf = new Map(requests.map((request, r) => [keys[r]!, request]));
    const unknown = (): [string, MoveRequest][] => [...requestOf].filter(([key]) => !this.#known.has(key));
    const wanted = unknown();
    if (this.#silence === undefined)
      try {
        const answers = await this.#answersTo(
          wanted.map(([, request]) => request),
          durationsSchema,
        );
        await this.#take(wanted, answers);
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        this.#giveUp(error.message);
      }
    if (this.#silence !== undefined) await this.#takePlain(unknown());
    const columns: CostColumns = {
      p10: new Float64Array(requests.length),
      p50: new Float64Array(requests.length),
      p90: new Float64Array(requests.length),
    };
    keys.forEach((key, r) => {
      const [p10, p50, p90] = this.#known.get(key)!;
      columns.p10[r] = p10;
      columns.p50[r] = p50;
      columns.p90[r] = p90;
    });
    return columns;
  }

  async predictions(requests: readonly MoveRequest[]): Promise<(Prediction | undefined)[]> {
    this.#endSilence();
    if (this.#silence !== undefined) throw this.#unavailable(this.#silence.reason);
    try {
      const answers = await this.#answersTo(ofCluster(requests, this.#cluster), predictionSchema);
      return answers.map((answer) => ('error' in answer ? undefined : answer));
    } catch (error) {
      throw error instanceof NoAnswer ? this.#unavailable(error.message) : error;
    }
  }

  /** Those of the service's model; none where its durations could not be had, or where it is of an older version. */
  async pastErrors(): Promise<PastErrors | undefined> {
    if (this.#warnings.size > 0) return undefined;
    try {
      const whose = this.#cluster === undefined ? '' : `?${new URLSearchParams({ cluster: this.#cluster })}`;
      const response = await this.#fetch(`${this.#url}/v1/past-errors${whose}`, {
        headers: this.#headers,
        signal: AbortSignal.timeout(this.#timeoutMs),
      });
      return response.ok ? errorsAnswerSchema.parse(await response.json()).errors : undefined;
    } catch {
      return undefined;
    }
  }

  /** In batches, each asked for once more where no answer comes, and in smaller ones where a batch is too large. */
  async #answersTo<T>(requests: readonly MoveRequest[], one: z.ZodType<T>): Promise<(T | Refused)[]> {
    const answers: (T | Refused)[] = [];
    while (answers.length < requests.length) {
      const part = requests.slice(answers.length, answers.length + this.#batch);
      try {
        answers.push(...(await this.#askTwice(part, one)));
      } catch (error) {
        if (!(error instanceof TooLarge)) throw error;
        if (part.length === 1)
          throw this.#refused(
            `takes no body of the size of one question (HTTP ${TOO_LARGE})`,
            'raise its limit',
          );
        this.#batch = Math.ceil(part.length / 2);
      }
    }
    return answers;
  }

  async #askTwice<T>(requests: readonly MoveRequest[], one: z.ZodType<T>): Promise<(T | Refused)[]> {
    try {
      return await this.#post(requests, one);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      await this.#wait(error.waitMs);
      return this.#post(requests, one);
    }
  }

  #giveUp(reason: string): void {
    this.#forget();
    this.#silence = { reason, untilMs: this.#now() + SILENCE_MINUTES * 60_000 };
    this.#warnings.add(
      `the service at ${this.#url} does not answer (${reason}) and is not asked again for ${SILENCE_MINUTES} minutes: all durations are plain figures, 8 s + RAM at 100 MiB/s and 10 s + disk at 60 MiB/s`,
    );
  }

  /** By then what is plain is known no more, and all is asked for again. */
  #endSilence(): void {
    if (this.#silence !== undefined && this.#now() >= this.#silence.untilMs) this.#forget();
  }

  #forget(): void {
    this.#silence = undefined;
    this.#known.clear();
    this.#model = undefined;
    this.#warnings.clear();
  }

  #unavailable(reason: string): UserError {
    return new UserError('service-unavailable', `the service at ${this.#url} does not answer (${reason})`);
  }

  #refused(fault: string, advice: string): UserError {
    return new UserError('service-unavailable', `the service at ${this.#url} ${fault}; ${advice}`);
  }

  async #post<T>(requests: readonly MoveRequest[], one: z.ZodType<T>): Promise<(T | Refused)[]> {
    let response: Response;
    let text: string;
    try {
      response = await this.#fetch(this.#url + PREDICTIONS, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...this.#headers },
        body: JSON.stringify({ requests }),
        signal: AbortSignal.timeout(this.#timeoutMs),
      });
      text = await response.text();
    } catch (error) {
      throw new NoAnswer(reasonOf(error));
    }
    if (!response.ok) throw this.#faultOf(response, text);
    const answer = z.object({ predictions: z.array(z.union([one, refusedSchema])) }).safeParse(jsonOf(text));
    if (!answer.success) throw this.#refused('answers with something else than predictions', IS_IT_ONE);
    const { predictions } = answer.data;
    if (predictions.length !== requests.length)
      throw this.#refused(`gives ${predictions.length} predictions for ${requests.length} moves`, IS_IT_ONE);
    return predictions;
  }

  /** What a status that is no success means for those who asked for predictions. */
  #faultOf({ status, headers }: Response, text: string): Error {
    if (status === TOO_LARGE) return new TooLarge();
    if (status >= 500 || PASSING.includes(status)) {
      const seconds = Number(headers.get('retry-after') ?? (status === 429 ? 1 : 0));
      const waitMs = seconds > 0 ? Math.min(LONGEST_WAIT_MS, seconds * 1000) : 0;
      return new NoAnswer(`status ${status}`, waitMs);
    }
    const { detail } = (jsonOf(text) ?? {}) as { detail?: unknown };
    const words = typeof detail === 'string' && detail !== '' ? `: ${shownText(detail)}` : '';
    const how = `(HTTP ${status}${words})`;
    if (status === 401) return this.#refused(`refuses the token, or the lack of one ${how}`, ROLE);
    if (status === 403) return this.#refused(`does not allow to ask for predictions ${how}`, ROLE);
    if (status === 404 || status === 405) return this.#refused(`has no ${PREDICTIONS} ${how}`, IS_IT_ONE);
    return this.#refused(`refuses what it was asked ${how}`, IS_IT_ONE);
  }

  async #take(
    batch: readonly (readonly [string, MoveRequest])[],
    predictions: readonly (Durations | Refused)[],
  ): Promise<void> {
    const refused: (readonly [string, MoveRequest])[] = [];
    predictions.forEach((prediction, b) => {
      if ('error' in prediction) {
        refused.push(batch[b]!);
        return;
      }
      const { p10, p50, p90 } = prediction.duration_seconds;
      this.#model ??= prediction.model;
      this.#known.set(batch[b]![0], [p10, p50, p90]);
    });
    if (refused.length === 0) return;
    const [count, whose] =
      refused.length === 1 ? ['1 request', 'its'] : [`${refused.length} requests`, 'their'];
    this.#warnings.add(`the service refused ${count}: ${whose} durations are plain figures`);
    await this.#takePlain(refused);
  }

  async #takePlain(batch: readonly (readonly [string, MoveRequest])[]): Promise<void> {
    const { p10, p50, p90 } = await this.#fallback.durations(batch.map(([, request]) => request));
    batch.forEach(([key], b) => this.#known.set(key, [p10[b]!, p50[b]!, p90[b]!]));
  }
}

const ROLE = 'give a token with the role predict as MOVECAST_TOKEN';
const IS_IT_ONE = 'give the root of a Movecast service of this version, such as http://127.0.0.1:8080';

/** `fetch` says what went wrong beneath it in the cause. */
const reasonOf = (error: unknown): string => wordsOf((error as Error | undefined)?.cause ?? error);
