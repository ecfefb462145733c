import { z } from 'zod';
import { ConstantMoveCosts } from '../balancer/constant-move-costs.js';
import type { CostColumns, MoveCosts } from '../balancer/move-costs.js';
import type { MoveRequest } from '../domain/move-request.js';
import { UserError } from '../domain/errors.js';
import { pastErrorsSchema, type PastErrors } from '../domain/past-errors.js';
import {
  modelReferenceSchema,
  predictionSchema,
  type ModelReference,
  type Prediction,
} from '../domain/prediction.js';

/**
 * Prices of moves from a running service: asked for in batches, kept for the plan, asked for once more when an answer
 * fails. When that fails too, all are plain figures for a while, so that a plan does not weigh two sources against each
 * other and a service that hangs is waited for once; the plan then says so. An execution of hours asks again later.
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
/** A service that fell silent is not asked again before; longer than any plan is computed. */
const SILENCE_MINUTES = 10;

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export class HttpMoveCosts implements MoveCosts {
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #fetch: Fetch;
  readonly #fallback = new ConstantMoveCosts({});
  readonly #known = new Map<string, [p10: number, p50: number, p90: number]>();
  readonly #warnings = new Set<string>();
  readonly #timeoutMs: number;
  readonly #now: () => number;
  /** Why the service is not asked any more, and until when. */
  #silence: { reason: string; untilMs: number } | undefined;
  #model: ModelReference | undefined;

  /**
   * `url` is the service's root, such as http://127.0.0.1:8642; `token` its bearer token where it asks for one. An
   * answer that takes longer than `timeoutMs` fails.
   */
  constructor(
    url: string,
    {
      token,
      fetch = globalThis.fetch,
      timeoutMs = TIMEOUT_MS,
      now = Date.now,
    }: { token?: string | undefined; fetch?: Fetch; timeoutMs?: number; now?: () => number } = {},
  ) {
    this.#url = url.replace(/\/+$/, '');
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    this.#fetch = fetch;
    this.#timeoutMs = timeoutMs;
    this.#now = now;
  }

  get model(): ModelReference | undefined {
    return this.#model;
  }

  warnings(): readonly string[] {
    return [...this.#warnings];
  }

  async durations(requests: readonly MoveRequest[]): Promise<CostColumns> {
    this.#endSilence();
    const keys = requests.map((request) => JSON.stringify(request));
    const requestOf = new Map(requests.map((request, r) => [keys[r]!, request]));
    const unknown = (): [string, MoveRequest][] => [...requestOf].filter(([key]) => !this.#known.has(key));
    const wanted = unknown();
    for (let from = 0; from < wanted.length && this.#silence === undefined; from += BATCH)
      await this.#ask(wanted.slice(from, from + BATCH));
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
    const found: (Prediction | undefined)[] = [];
    try {
      for (let from = 0; from < requests.length; from += BATCH) {
        const answers = await this.#post(requests.slice(from, from + BATCH), predictionSchema);
        found.push(...answers.map((answer) => ('error' in answer ? undefined : answer)));
      }
    } catch (error) {
      throw this.#unavailable(reasonOf(error));
    }
    return found;
  }

  /** Those of the service's model; none where its durations could not be had, or where it is of an older version. */
  async pastErrors(): Promise<PastErrors | undefined> {
    if (this.#warnings.size > 0) return undefined;
    try {
      const response = await this.#fetch(`${this.#url}/v1/past-errors`, {
        headers: this.#headers,
        signal: AbortSignal.timeout(this.#timeoutMs),
      });
      return response.ok ? errorsAnswerSchema.parse(await response.json()).errors : undefined;
    } catch {
      return undefined;
    }
  }

  async #ask(batch: readonly (readonly [string, MoveRequest])[]): Promise<void> {
    const requests = batch.map(([, request]) => request);
    try {
      return await this.#take(batch, await this.#post(requests, durationsSchema));
    } catch {
      try {
        return await this.#take(batch, await this.#post(requests, durationsSchema));
      } catch (error) {
        this.#giveUp(reasonOf(error));
      }
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

  async #post<T>(requests: readonly MoveRequest[], one: z.ZodType<T>): Promise<(T | Refused)[]> {
    const response = await this.#fetch(`${this.#url}/v1/predictions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...this.#headers },
      body: JSON.stringify({ requests }),
      signal: AbortSignal.timeout(this.#timeoutMs),
    });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const answer = z
      .object({ predictions: z.array(z.union([one, refusedSchema])) })
      .safeParse(await response.json());
    if (!answer.success || answer.data.predictions.length !== requests.length)
      throw new Error('an answer that is none of its');
    return answer.data.predictions;
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

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
