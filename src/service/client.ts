import type { MoveRecord, Operation } from '../domain/move-record.js';
import type { MoveRequest } from '../domain/move-request.js';
import type { ModelReference, Prediction, PredictionOrError } from '../domain/prediction.js';
import type { InstanceSample, LinkSample } from '../domain/samples.js';
import type { AccuracyDimension, AccuracyFigures, AccuracyGroup } from '../monitor/accuracy.js';
import type { Alarm } from '../monitor/alarms.js';

export type { MoveRecord, MoveRequest, Operation, Prediction, PredictionOrError, LinkSample, InstanceSample };

export interface ClientOptions {
  /** Sent as `Authorization: Bearer …`. */
  token?: string;
  /** Longest wait for one answer. @default 30000 */
  timeoutMs?: number;
  /** How often a call is repeated that met 429 or 503, each after the wait that the service asks for. @default 3 */
  retries?: number;
  /** In place of the global `fetch`. */
  fetch?: typeof fetch;
}

/** A refusal of the service, or no answer at all (`status` 0). */
export class MovecastError extends Error {
  constructor(
    readonly status: number,
    /** Such as `input-invalid`; the page at `/docs#problems` lists them. */
    readonly code: string,
    sentence: string,
    /** Path of the wrong field, such as `requests[3].memory_mib`. */
    readonly field: string | undefined,
  ) {
    super(sentence);
    this.name = 'MovecastError';
  }
}

/** Seconds of every instance going to every node, row by row; NaN where the move is impossible. */
export interface MoveCostMatrix {
  rows: number;
  columns: number;
  seconds: Float32Array;
}

export interface ReportCounts {
  new: number;
  known: number;
  /** `index` is that of the list handed in. */
  rejected: { index: number; reason: string }[];
}

/** Most items that the service takes in one call; longer lists are sent in parts. */
const MOST_ITEMS = 10_000;
const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_RETRIES = 3;
const WAIT_WITHOUT_WORD_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;

/**
 * A Movecast service over HTTP, for programs in TypeScript or JavaScript: Node and browsers.
 *
 * @example
 * const movecast = new MovecastClient('http://127.0.0.1:8080');
 * const { duration_seconds } = await movecast.predict({ instance: 'web1', source_node: 'node1', target_node: 'node2' });
 */
export class MovecastClient {
  private readonly base: string;

  constructor(
    url: string,
    private readonly options: ClientOptions = {},
  ) {
    this.base = url.replace(/\/+$/, '');
  }

  /** One prediction. @throws MovecastError naming the field, when the request is not valid */
  async predict(request: MoveRequest): Promise<Prediction> {
    const [answer] = await this.predictAll([request]);
    if ('error' in answer!) {
      const { field, message } = answer.error;
      throw new MovecastError(422, 'input-invalid', message, field);
    }
    return answer!;
  }

  /** Predictions in the order of the requests; one that cannot be answered holds its error. `keep`: see the service's page. */
  async predictAll(
    requests: readonly MoveRequest[],
    { keep = false }: { keep?: boolean } = {},
  ): Promise<PredictionOrError[]> {
    const answers: PredictionOrError[] = [];
    for (const part of parts(requests)) {
      const { predictions } = await this.json<{ predictions: PredictionOrError[] }>('/v1/predictions', {
        requests: part,
        ...(keep ? { keep } : {}),
      });
      answers.push(...predictions);
    }
    return answers;
  }

  /** Seconds of every instance going to every node, in binary. At most a million pairs. */
  async moveCosts(
    instances: readonly Omit<MoveRequest, 'target_node'>[],
    targetNodes: readonly string[],
    options: { operation?: Operation; start_at?: string; quantile?: number } = {},
  ): Promise<MoveCostMatrix> {
    const response = await this.call(
      '/v1/move-costs',
      { instances, target_nodes: targetNodes, ...options },
      { accept: 'application/octet-stream' },
    );
    const view = new DataView(await response.arrayBuffer());
    const rows = Number(response.headers.get('x-rows'));
    const columns = Number(response.headers.get('x-columns'));
    const seconds = new Float32Array(rows * columns);
    for (let i = 0; i < seconds.length; i += 1) seconds[i] = view.getFloat32(4 * i, true);
    return { rows, columns, seconds };
  }

  /** Reports finished moves. Safe to repeat: a move is known by its id. */
  async report(moves: readonly MoveRecord[]): Promise<ReportCounts> {
    const counts: ReportCounts = { new: 0, known: 0, rejected: [] };
    let from = 0;
    for (const part of parts(moves)) {
      const answer = await this.json<ReportCounts>('/v1/moves', { moves: part });
      counts.new += answer.new;
      counts.known += answer.known;
      for (const { index, reason } of answer.rejected) counts.rejected.push({ index: index + from, reason });
      from += part.length;
    }
    return counts;
  }

  /** Hands in samples of links and instances, at most 10,000 of each. */
  async samples(samples: {
    link_samples?: readonly LinkSample[];
    instance_samples?: readonly InstanceSample[];
  }): Promise<{ link_samples: ReportCounts; instance_samples: ReportCounts }> {
    return this.json('/v1/samples', samples);
  }

  /** How good forecasts were, over a span such as `7d` or `all`. */
  async accuracy(
    window = '7d',
    by?: AccuracyDimension,
  ): Promise<{ scored_moves: number; overall: AccuracyFigures | null; groups: AccuracyGroup[] }> {
    const search = new URLSearchParams({ window, ...(by === undefined ? {} : { by }) });
    return this.json(`/v1/accuracy?${search.toString()}`);
  }

  /** What is wrong with the forecasts now. */
  async alarms(): Promise<Alarm[]> {
    return (await this.json<{ alarms: Alarm[] }>('/v1/alarms')).alarms;
  }

  /** The model that answers. @throws MovecastError 503 while the service still reads its history */
  async model(): Promise<ModelReference> {
    return (await this.json<{ model: ModelReference }>('/readyz')).model;
  }

  private async json<T>(path: string, body?: unknown): Promise<T> {
    const response = await this.call(path, body, { accept: 'application/json' });
    return (await response.json()) as T;
  }

  private async call(path: string, body: unknown, headers: Record<string, string>): Promise<Response> {
    const {
      token,
      timeoutMs = DEFAULT_TIMEOUT_MS,
      retries = DEFAULT_RETRIES,
      fetch: ask = globalThis.fetch,
    } = this.options;
    const init: RequestInit = {
      headers: {
        ...headers,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    };
    for (let attempt = 0; ; attempt += 1) {
      let response: Response;
      try {
        response = await ask(this.base + path, { ...init, signal: AbortSignal.timeout(timeoutMs) });
      } catch (error) {
        const late = (error as Error).name === 'TimeoutError';
        throw new MovecastError(
          0,
          late ? 'too-slow' : 'service-unavailable',
          late
            ? `${this.base} did not answer within ${timeoutMs / 1000} s`
            : `${this.base} does not answer; is the service running?`,
          undefined,
        );
      }
      if (response.ok) return response;
      const error = await refusal(response);
      if ((response.status !== 429 && response.status !== 503) || attempt >= retries) throw error;
      await new Promise((resolve) => setTimeout(resolve, waitMs(response)));
    }
  }
}

function waitMs(response: Response): number {
  const seconds = Number(response.headers.get('retry-after') ?? NaN);
  return Math.min(LONGEST_WAIT_MS, Number.isFinite(seconds) ? seconds * 1000 : WAIT_WITHOUT_WORD_MS);
}

async function refusal(response: Response): Promise<MovecastError> {
  const problem = (await response.json().catch(() => ({}))) as {
    code?: string;
    detail?: string;
    field?: string;
  };
  return new MovecastError(
    response.status,
    problem.code ?? 'unknown',
    problem.detail ?? `the service answered ${response.status}`,
    problem.field,
  );
}

function* parts<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < items.length; from += MOST_ITEMS) yield items.slice(from, from + MOST_ITEMS);
}
