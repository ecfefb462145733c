import { randomUUID } from 'node:crypto';
import express, {
  type Express,
  type NextFunction,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import helmet from 'helmet';
import type { ServiceOptions } from './options.js';
import { HttpError, problemHandler, sendProblem } from './problem.js';
import { RateLimit } from './rate-limit.js';
import type { Route, ServiceParts } from './route.js';
import { accuracyRoutes } from './routes/accuracy.js';
import { alarmRoutes } from './routes/alarms.js';
import { documentRoutes } from './routes/documents.js';
import { healthRoutes } from './routes/health.js';
import { modelRoutes } from './routes/models.js';
import { moveCostRoutes } from './routes/move-costs.js';
import { moveRoutes } from './routes/moves.js';
import { pageRoutes } from './routes/page.js';
import { predictionRoutes } from './routes/predictions.js';
import { sampleRoutes } from './routes/samples.js';
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
    ...moveRoutes(parts),
    ...sampleRoutes(parts),
    ...accuracyRoutes(parts),
    ...alarmRoutes(parts),
    ...modelRoutes(parts),
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
  app.use(observed(parts));
  app.use(
    helmet({
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
    }),
  );
  if (options.loopbackHostOnly) app.use(loopbackHost);
  app.use(limited(parts));

  const readBody = [jsonOnly, express.json({ limit: options.bodyLimitBytes, strict: false })];
  const methods = new Map<string, string[]>();
  for (const route of serviceRoutes(parts)) {
    const path = route.path.replace(/\{(\w+)\}/g, ':$1');
    methods.set(path, [...(methods.get(path) ?? []), route.method.toUpperCase()]);
    const steps: RequestHandler[] = [
      named(route.path),
      ...(route.role === undefined ? [] : [authorised(options, route.role)]),
      ...(route.body === undefined ? [] : readBody),
      async (request, response) => route.handle(request, response),
    ];
    app[route.method](path, ...steps);
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

/** Gives the request an id, measures it, ends it when it takes too long, and counts what is in flight. */
function observed({ metrics, options, log, stopping }: ServiceParts): RequestHandler {
  return (request, response, next) => {
    const startedMs = performance.now();
    const given = request.headers['x-request-id'];
    response.setHeader(
      'x-request-id',
      typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID(),
    );
    if (stopping()) response.setHeader('connection', 'close');
    const timer = setTimeout(() => {
      if (!response.headersSent)
        sendProblem(
          response,
          new HttpError(
            503,
            'too-slow',
            `took longer than ${options.timeoutMs / 1000} s; ask for less at once or later`,
            undefined,
            { 'retry-after': '5' },
          ),
        );
    }, options.timeoutMs);
    metrics.inFlight.inc();
    response.on('close', () => {
      clearTimeout(timer);
      metrics.inFlight.dec();
      const elapsedMs = performance.now() - startedMs;
      const route = (response.locals['route'] as string | undefined) ?? 'none';
      metrics.requestSeconds.observe(
        { method: request.method, route, status: String(response.statusCode) },
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
    next();
  };
}

/** Refuses names other than this machine's own in the Host header: a web page that rebinds its name gets no answer. */
function loopbackHost(request: Request, _response: Response, next: NextFunction): void {
  const host = (request.headers.host ?? '').replace(/:\d+$/, '').toLowerCase();
  if (host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)) next();
  else
    next(
      new HttpError(
        403,
        'wrong-host',
        'without tokens only requests to localhost, 127.0.0.1 or [::1] are answered; serve with --tokens for other names',
      ),
    );
}

/** Rate and concurrency. Health, readiness and metrics are always answered: they are how an operator sees the limits at work. */
function limited({ options, now }: ServiceParts): RequestHandler {
  const rate = new RateLimit(options.requestsPerSecond, 2 * options.requestsPerSecond);
  let running = 0;
  return (request, response, next) => {
    if (request.path === '/healthz' || request.path === '/readyz' || request.path === '/metrics') {
      next();
      return;
    }
    const waitMs = rate.take(request.socket.remoteAddress ?? '', now());
    if (waitMs > 0) {
      next(
        new HttpError(
          429,
          'too-many-requests',
          `more than ${options.requestsPerSecond} requests a second; send them in batches`,
          undefined,
          { 'retry-after': String(Math.max(1, Math.ceil(waitMs / 1000))) },
        ),
      );
      return;
    }
    if (running >= options.concurrentRequests) {
      next(
        new HttpError(
          503,
          'too-many-requests',
          `${running} requests are being answered already; ask again in a moment`,
          undefined,
          { 'retry-after': '1' },
        ),
      );
      return;
    }
    running += 1;
    response.on('close', () => {
      running -= 1;
    });
    next();
  };
}

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

/** JSON is UTF-8, whether it says so or not. */
const JSON_TYPE = /^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i;

function jsonOnly(request: Request, _response: Response, next: NextFunction): void {
  const type = request.headers['content-type'] ?? '';
  if (JSON_TYPE.test(type)) next();
  else
    next(new HttpError(415, 'wrong-media-type', 'send the body as Content-Type: application/json, in UTF-8'));
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
