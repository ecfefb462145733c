import type { ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Request, Response } from 'express';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { firstIssue } from '../domain/fields.js';
import type { ModelRegistry } from '../store/model-registry.js';
import type { Store } from '../store/store.js';
import type { JsonRequest } from './json-body.js';
import type { LearningModel } from './learning-model.js';
import type { LinkWatch } from './link-watch.js';
import type { ServiceMetrics } from './metrics.js';
import type { ServiceOptions } from './options.js';
import type { Planner } from './planner.js';
import { HttpError } from './problem.js';
import type { ScoreBook } from './score-book.js';
import type { Role } from './tokens.js';

/** What the routes work with. */
export interface ServiceParts {
  model: LearningModel;
  store: Store;
  registry: ModelRegistry;
  /** Name of the model served. */
  modelName: string;
  scores: ScoreBook;
  /** Forecasts of links from the store's samples. */
  links: LinkWatch;
  /** Undefined: no plans are computed here. */
  planner: Planner | undefined;
  metrics: ServiceMetrics;
  options: ServiceOptions;
  version: string;
  log: Logger;
  /** Epoch milliseconds. */
  now: () => number;
  /** True once the process has been told to stop. */
  stopping: () => boolean;
}

/** One kind of answer: JSON of a schema, or another media type. */
export interface Answer {
  description: string;
  json?: z.ZodType;
  other?: readonly string[];
}

/** One route: how it is mounted, what the document says of it, and what it does. */
export interface Route {
  method: 'get' | 'post';
  /** As in OpenAPI, with `{name}` for a part of the path. */
  path: string;
  /** Which role it takes; undefined: open to everyone. */
  role: Role | undefined;
  summary: string;
  description?: string;
  /** The body as documented; a route without it reads none. */
  body?: z.ZodType;
  /** A body that can be sent as it stands. */
  example?: unknown;
  query?: z.ZodObject;
  pathParameters?: Readonly<Record<string, string>>;
  answers: Readonly<Record<number, Answer>>;
  handle: (request: Request, response: Response) => Promise<void> | void;
}

/** A route asked so often that its usual requests do without express: its handler knows Node's own types only. */
export interface HotRoute extends Route {
  role: Role;
  handle: (request: JsonRequest, response: ServerResponse) => Promise<void>;
}

/** Outside value → what the schema gives, or 422 with the path of the wrong field. `at` is the path of the value itself. */
export function checked<T>(schema: z.ZodType<T>, value: unknown, at = ''): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { field, message } = firstIssue(result.error);
  const path = at === '' ? field : field === '' || field.startsWith('[') ? `${at}${field}` : `${at}.${field}`;
  throw new HttpError(422, 'input-invalid', `${path === '' ? 'the body' : path} ${message}`, path);
}

export function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  sendJsonText(response, JSON.stringify(value), status);
}

/** Below this a compressed answer saves nothing worth its time. */
const SMALLEST_TO_COMPRESS = 4096;
/** Level 1 of zlib: a listing shrinks to an eighth, at a fifth of the time of the default. */
const FASTEST = { level: 1 };
const compressed = promisify(gzip);

/** Sends a listing for people, compressed where that is accepted. Batches for programs go uncompressed: that is faster within a network. */
export async function sendListing(request: Request, response: Response, value: unknown): Promise<void> {
  const text = JSON.stringify(value);
  if (response.writableEnded) return;
  response.setHeader('vary', 'accept-encoding');
  if (text.length < SMALLEST_TO_COMPRESS || request.acceptsEncodings('gzip') !== 'gzip') {
    sendJsonText(response, text);
    return;
  }
  const bytes = await compressed(text, FASTEST);
  if (response.writableEnded) return;
  response.setHeader('content-type', 'application/json; charset=utf-8');
  response.setHeader('cache-control', 'no-store');
  response.setHeader('content-encoding', 'gzip');
  response.end(bytes);
}

export function sendJsonText(response: ServerResponse, text: string, status = 200): void {
  if (response.writableEnded) return; // it took too long and has been told so
  response.statusCode = status;
  response.setHeader('content-type', 'application/json; charset=utf-8');
  response.setHeader('cache-control', 'no-store');
  response.end(text);
}
