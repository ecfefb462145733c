import { randomUUID } from 'node:crypto';
import express, { type Express, type RequestHandler, type Response } from 'express';
import helmet from 'helmet';
import { jsonBody } from './json-body.js';
import type { ServiceOptions } from './options.js';
import { HttpError, problemHandler, sendProblem } from './problem.js';
import { RateLimit } from './rate-limit.js';
import type { Route, ServiceParts } from './route.js';
import { accuracyRoutes } from './routes/accuracy.js';
import { alarmRoutes } from './routes/alarms.js';
import { documentRoutes } from './routes/documents.js';
import { healthRoutes } from './routes/health.js';
import { linkRoutes } from './routes/links.js';
import { modelRoutes } from './routes/models.js';
import { moveCostRoutes } from './routes/move-costs.js';
import { moveRoutes } from './routes/moves.js';
import { pageRoutes } from './routes/page.js';
import { planRoutes } from './routes/plans.js';
import { predictionRoutes } from './routes/predictions.js';
import { sampleRoutes } from './routes/samples.js';
import { windowRoutes } from './routes/windows.js';
import { allows, holderOf, type Role } from './tokens.js';

/** Wrong tokens from one address a second, and at once: a guess takes longer than anyone has. */
const WRONG_TOKENS_PER_SECOND = 2;
const WRONG_TOKENS_AT_ONCE = 20;

/** A request slower than this is logged, in milliseconds. */
const SLOW_MS = 1_000;

/** What an id from outside may look like, so that it can stand in a header and a log. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** Every route of the service. */
export function serviceRoutes(parts: ServiceParts): Route[] {
  const routes = [
    ...predictionRoutes(parts),
    ...moveCostRoutes(parts),
    ...windowRoutes(parts),
    ...moveRoutes(parts),
    ...sampleRoutes(parts),
    ...linkRoutes(parts),
    ...accuracyRoutes(parts),
    ...alarmRoutes(parts),
    ...modelRoutes(parts),
    ...planRoutes(parts),
    ...healthRoutes(parts),
    ...pageRoutes(parts),
  ];
  return [...routes, ...documentRoutes(routes, parts.version)];
}

/** The express app: what every request passes, then the routes, then refusals as problem details. */
export function createApp(parts: ServiceParts): Express {
  const { options, log } = parts;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.set('trust proxy', false);
  app.use(guarded(parts));

  const readBody = jsonBody(options.bodyLimitBytes);
  const methods = new Map<string, string[]>();
  for (const route of serviceRoutes(parts)) {
    const path = route.path.replace(/\{(\w+)\}/g, ':$1');
    methods.set(path, [...(methods.get(path) ?? []), route.method.toUpperCase()]);
    const steps: RequestHandler[] = [
      ...(route.role === undefined ? [] : [authorised(options, route.role)]),
      ...(route.body === undefined ? [] : [readBody]),
      async (request, response) => route.handle(request, response),
    ];
    app[route.method](path, named(route.path), ...steps);
  }
  for (const [path, known] of methods) app.all(path, named(path), wrongMethod(known));
  app.use((request, _response, next) => {
    next(
      new HttpError(
        404,
        'unknown-route',
        `there is no ${printable(request.path)} here; /docs lists the routes`,
      ),
    );
  });
  app.use(problemHandler(log));
  return app;
}

const named =
  (path: string): RequestHandler =>
  (_request, response, next) => {
    response.locals['route'] = path;
    next();
  };

/** What every answer carries. */
const answerHeaders: readonly (readonly [string, string])[] = [
  ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
  ['x-content-type-options', 'nosniff'],
  ['cross-origin-resource-policy', 'same-origin'],
];

/** Pages carry what helmet sets; the programs' routes go without the seven headers that only browsers showing a page look at. */
const pageHelmet = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'", 'data:'],
      connectSrc: ["'self'"],
      baseUri: ["'none'"],
      formAction: ["'self'"],
      frameAncestors: ["'none'"],
    },
  },
  strictTransportSecurity: false, // whoever puts TLS in front sets it there
  referrerPolicy: { policy: 'no-referrer' },
});

/** Looks this often for requests that take too long. */
const LOOK_MS = 250;
/** Always answered: they are how an operator sees the limits at work. */
const UNLIMITED = new Set(['/healthz', '/readyz', '/metrics']);

/**
 * What every request passes first, in one step because each step of express costs a single prediction 2 to 5 us: an id,
 * the headers of every answer, the rate, how many at once, how long, and the measuring at the end.
 */
function guarded({ metrics, options, log, stopping, now }: ServiceParts): RequestHandler {
  const rate = new RateLimit(options.requestsPerSecond, 2 * options.requestsPerSecond);
  const running = new Map<Response, number>();
  metrics.watchInFlight(() => running.size);
  const look = setInterval(
    () => {
      const oldest = performance.now() - options.timeoutMs;
      for (const [response, startedMs] of running) {
        if (startedMs > oldest) return; // in order of their start
        if (!response.headersSent) sendProblem(response, tooSlow(options.timeoutMs));
      }
    },
    Math.min(LOOK_MS, options.timeoutMs),
  );
  look.unref();
  return (request, response, next) => {
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
      const route = (response.locals['route'] as string | undefined) ?? 'none';
      metrics.requestSeconds.observe(
        { method: request.method, route, status: response.statusCode },
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
    if (!UNLIMITED.has(request.path)) {
      const waitMs = rate.take(request.socket.remoteAddress ?? '', now());
      if (waitMs > 0) {
        next(tooOften(options.requestsPerSecond, waitMs));
        return;
      }
      if (running.size >= options.concurrentRequests) {
        next(tooManyAtOnce(running.size));
        return;
      }
    }
    running.set(response, startedMs);
    if (options.loopbackHostOnly && !LOOPBACK_HOST.test(request.headers.host ?? '')) next(wrongHost());
    else if (request.url.startsWith('/v1/')) next();
    else pageHelmet(request, response, next);
  };
}

const tooSlow = (timeoutMs: number): HttpError =>
  new HttpError(
    503,
    'too-slow',
    `took longer than ${timeoutMs / 1000} s; ask for less at once or later`,
    undefined,
    {
      'retry-after': '5',
    },
  );

const tooOften = (perSecond: number, waitMs: number): HttpError =>
  new HttpError(
    429,
    'too-many-requests',
    `more than ${perSecond} requests a second; send them in batches`,
    undefined,
    { 'retry-after': String(Math.max(1, Math.ceil(waitMs / 1000))) },
  );

const tooManyAtOnce = (running: number): HttpError =>
  new HttpError(
    503,
    'too-many-requests',
    `${running} requests are being answered already; ask again in a moment`,
    undefined,
    { 'retry-after': '1' },
  );

/** This machine's own names in a Host header: a web page that rebinds its name to the loopback address gets no answer. */
const LOOPBACK_HOST = /^(localhost|\[::1\]|127(\.\d{1,3}){3})(:\d+)?$/i;

const wrongHost = (): HttpError =>
  new HttpError(
    403,
    'wrong-host',
    'without tokens only requests to localhost, 127.0.0.1 or [::1] are answered; serve with --tokens for other names',
  );

/** Lets through whoever holds a token with the role; everyone where no tokens are set. */
function authorised({ tokens }: ServiceOptions, role: Role): RequestHandler {
  if (tokens === undefined) return (_request, _response, next) => next();
  const wrong = new RateLimit(WRONG_TOKENS_PER_SECOND, WRONG_TOKENS_AT_ONCE);
  return (request, response, next) => {
    const presented = /^Bearer ([\x21-\x7e]{1,200})$/i.exec(request.headers.authorization ?? '')?.[1];
    const holder = presented === undefined ? undefined : holderOf(tokens, presented);
    if (holder === undefined) {
      const waitMs =
        presented === undefined ? 0 : wrong.take(request.socket.remoteAddress ?? '', performance.now());
      next(
        waitMs > 0
          ? new HttpError(429, 'too-many-requests', 'too many wrong tokens; wait', undefined, {
              'retry-after': String(Math.max(1, Math.ceil(waitMs / 1000))),
            })
          : new HttpError(
              401,
              'no-token',
              presented === undefined
                ? 'send Authorization: Bearer TOKEN'
                : 'this token is not among those that the service was given',
              undefined,
              { 'www-authenticate': 'Bearer realm="movecast"' },
            ),
      );
      return;
    }
    response.locals['holder'] = holder.name;
    next(
      allows(holder.roles, role)
        ? undefined
        : new HttpError(
            403,
            'not-allowed',
            `the token of ${holder.name} has role ${holder.roles.join(', ')}; this takes ${role}`,
          ),
    );
  };
}

const wrongMethod = (known: readonly string[]): RequestHandler => {
  const allow = [...new Set(known.includes('GET') ? [...known, 'HEAD'] : known)].join(', ');
  return (request, _response, next) => {
    next(
      new HttpError(405, 'wrong-method', `${request.method} is not taken here; use ${allow}`, undefined, {
        allow,
      }),
    );
  };
};

const printable = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?').slice(0, 200);
