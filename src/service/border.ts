import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { JsonRequest } from './json-body.js';
import type { ServiceOptions } from './options.js';
import { HttpError, sendProblem } from './problem.js';
import { RateLimit } from './rate-limit.js';
import type { ServiceParts } from './route.js';
import { allows, holderOf, type Role } from './tokens.js';

/** Wrong tokens from one address a second, and at once: a guess takes longer than anyone has. */
const WRONG_TOKENS_PER_SECOND = 2;
const WRONG_TOKENS_AT_ONCE = 20;

/** A request slower than this is logged, in milliseconds. */
const SLOW_MS = 1_000;

/** What an id from outside may look like, so that it can stand in a header and a log. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** What every answer carries. */
const answerHeaders: readonly (readonly [string, string])[] = [
  ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
  ['x-content-type-options', 'nosniff'],
  ['cross-origin-resource-policy', 'same-origin'],
];

/** Looks this often for requests that take too long. */
const LOOK_MS = 250;
/** Always answered: they are how an operator sees the limits at work. */
const UNLIMITED = new Set(['/healthz', '/readyz', '/metrics']);

/** This machine's own names in a Host header: a web page that rebinds its name to the loopback address gets no answer. */
const LOOPBACK_HOST = /^(localhost|\[::1\]|127(\.\d{1,3}){3})(:\d+)?$/i;

/** The pattern of the route that answers, for the metrics: never the path itself, of which there may be any number. */
export const ROUTE = Symbol('route');
export type NamedResponse = ServerResponse & { [ROUTE]?: string };

/** Lets a request in, or says why not. */
export type Entry = (request: IncomingMessage, response: NamedResponse) => HttpError | undefined;

/**
 * What every request passes first, whichever way it is answered: an id, the headers of every answer, the rate, how many
 * at once, how long, the Host header, and the measuring at the end.
 */
export function border({ metrics, options, log, stopping, now }: ServiceParts): Entry {
  const rate = new RateLimit(options.requestsPerSecond, 2 * options.requestsPerSecond);
  const running = new Map<ServerResponse, number>();
  metrics.watchInFlight(() => running.size);
  const look = setInterval(
    () => {
      const oldest = performance.now() - options.timeoutMs;
      for (const [response, startedMs] of running) {
        if (startedMs > oldest) return; // in order of their start
        const { refusal } = response.req as JsonRequest;
        if (!response.headersSent) sendProblem(response, refusal ?? tooSlow(options.timeoutMs));
      }
    },
    Math.min(LOOK_MS, options.timeoutMs),
  );
  look.unref();
  return (request, response) => {
    const startedMs = performance.now();
    const given = request.headers['x-request-id'];
    response.setHeader(
      'x-request-id',
      typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID(),
    );
    for (const [name, value] of answerHeaders) response.setHeader(name, value);
    if (stopping()) response.setHeader('connection', 'close');
    response.once('close', () => {
      running.delete(response);
      const elapsedMs = performance.now() - startedMs;
      const route = response[ROUTE] ?? 'none';
      metrics.requestSeconds.observe(
        { method: request.method ?? '', route, status: response.statusCode },
        elapsedMs / 1000,
      );
      if (elapsedMs > SLOW_MS)
        log.warn(
          {
            event: 'slow_request',
            request_id: response.getHeader('x-request-id'),
            method: request.method,
            route,
            status: response.statusCode,
            took_ms: Math.round(elapsedMs),
          },
          'slow request',
        );
    });
    if (!UNLIMITED.has(pathOf(request))) {
      const waitMs = rate.take(request.socket.remoteAddress ?? '', now());
      if (waitMs > 0) return tooOften(options.requestsPerSecond, waitMs);
      if (running.size >= options.concurrentRequests) return tooManyAtOnce(running.size);
    }
    running.set(response, startedMs);
    if (options.loopbackHostOnly && !LOOPBACK_HOST.test(request.headers.host ?? '')) return wrongHost();
    return undefined;
  };
}

const pathOf = ({ url = '/' }: IncomingMessage): string => {
  const queryAt = url.indexOf('?');
  return queryAt < 0 ? url : url.slice(0, queryAt);
};

const tooSlow = (timeoutMs: number): HttpError =>
  new HttpError(
    503,
    'too-slow',
    `took longer than ${timeoutMs / 1000} s; ask for less at once or later`,
    undefined,
    { 'retry-after': '5' },
  );

const tooOften = (perSecond: number, waitMs: number): HttpError =>
  new HttpError(
    429,
    'too-many-requests',
    `more than ${perSecond} requests a second; send them in batches`,
    undefined,
    { 'retry-after': secondsOf(waitMs) },
  );

const tooManyAtOnce = (running: number): HttpError =>
  new HttpError(
    503,
    'too-many-requests',
    `${running} requests are being answered already; ask again in a moment`,
    undefined,
    { 'retry-after': '1' },
  );

const wrongHost = (): HttpError =>
  new HttpError(
    403,
    'wrong-host',
    'without tokens only requests to localhost, 127.0.0.1 or [::1] are answered; serve with --tokens for other names',
  );

const secondsOf = (waitMs: number): string => String(Math.max(1, Math.ceil(waitMs / 1000)));

/** Asks for a token with the role; where no tokens are set, for none. One for the whole service: it counts the guesses. */
export function tokenCheck({
  tokens,
}: ServiceOptions): (request: IncomingMessage, role: Role) => HttpError | undefined {
  if (tokens === undefined) return () => undefined;
  const wrong = new RateLimit(WRONG_TOKENS_PER_SECOND, WRONG_TOKENS_AT_ONCE);
  return (request, role) => {
    const presented = /^Bearer ([\x21-\x7e]{1,200})$/i.exec(request.headers.authorization ?? '')?.[1];
    if (presented === undefined) return noToken('send Authorization: Bearer TOKEN');
    const holder = holderOf(tokens, presented);
    if (holder === undefined) {
      const waitMs = wrong.take(request.socket.remoteAddress ?? '', performance.now());
      return waitMs > 0
        ? new HttpError(429, 'too-many-requests', 'too many wrong tokens; wait', undefined, {
            'retry-after': secondsOf(waitMs),
          })
        : noToken('this token is not among those that the service was given');
    }
    return allows(holder.roles, role)
      ? undefined
      : new HttpError(
          403,
          'not-allowed',
          `the token of ${holder.name} has role ${holder.roles.join(', ')}; this takes ${role}`,
        );
  };
}

const noToken = (sentence: string): HttpError =>
  new HttpError(401, 'no-token', sentence, undefined, { 'www-authenticate': 'Bearer realm="movecast"' });
