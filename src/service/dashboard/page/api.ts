import type { MoveRecord } from '../../../domain/move-record.js';
import type { MoveRequest } from '../../../domain/move-request.js';
import type { ModelReference, PredictionOrError } from '../../../domain/prediction.js';
import type { Alarm } from '../../../monitor/alarms.js';
import type { AccuracyFigures, AccuracyGroup, CalibrationPoint } from '../../../monitor/accuracy.js';

export interface Accuracy {
  window: string;
  scored_moves: number;
  scored_moves_ever: number;
  first_scored_at: string | null;
  last_scored_at: string | null;
  overall: AccuracyFigures | null;
  groups: AccuracyGroup[];
  calibration: CalibrationPoint[];
  counts_by_basis: Record<string, number>;
  counts_by_how: Record<string, number>;
  counts_by_model: Record<string, number>;
}

export interface ListedMove extends MoveRecord {
  predicted: {
    duration_seconds: { p05: number; p10: number; p50: number; p90: number; p95: number };
    basis: string;
    model: string;
    how: string;
    error_percent: number;
  } | null;
}

export interface Alarms {
  alarms: Alarm[];
  late: { move_id: string; predicted_at: string; expected_by: string }[];
}

export interface Ready {
  model: ModelReference;
  learned_moves: number;
}

/** A refusal of the service, with the sentence to show and the field to mark. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    sentence: string,
    readonly field: string | undefined,
  ) {
    super(sentence);
  }
}

const TOKEN_KEY = 'movecast-token';

export const setToken = (token: string): void => sessionStorage.setItem(TOKEN_KEY, token);

export async function get<T>(path: string, query: Record<string, string> = {}): Promise<T> {
  const search = new URLSearchParams(query).toString();
  return call<T>(search === '' ? path : `${path}?${search}`, {});
}

export const post = <T>(path: string, body: unknown): Promise<T> =>
  call<T>(path, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  });

async function call<T>(path: string, init: RequestInit): Promise<T> {
  const token = sessionStorage.getItem(TOKEN_KEY);
  let response: Response;
  try {
    response = await fetch(path, {
      ...init,
      headers: { ...init.headers, ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
    });
  } catch {
    throw new ApiError(0, 'The service does not answer; is it still running?', undefined);
  }
  const body = (await response.json().catch(() => undefined)) as
    (T & { detail?: string; field?: string }) | undefined;
  if (!response.ok || body === undefined)
    throw new ApiError(
      response.status,
      body?.detail ?? `The service answered ${response.status}.`,
      body?.field,
    );
  return body;
}

export async function predictAll(requests: readonly MoveRequest[]): Promise<PredictionOrError[]> {
  const { predictions } = await post<{ predictions: PredictionOrError[] }>('/v1/predictions', { requests });
  return predictions;
}

/** One prediction; a refusal inside the batch is thrown like any other. */
export async function predict(request: MoveRequest): Promise<Exclude<PredictionOrError, { error: unknown }>> {
  const predictions = await predictAll([request]);
  const answer = predictions[0]!;
  if ('error' in answer) throw new ApiError(422, answer.error.message, answer.error.field);
  return answer;
}
