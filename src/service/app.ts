import type { RequestListener } from 'node:http';
import express, { type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import { border, ROUTE, tokenCheck, type NamedResponse } from './border.js';
import { readJson, type JsonRequest } from './json-body.js';
import { answerProblem, HttpError } from './problem.js';
import type { HotRoute, Route, ServiceParts } from './route.js';
import { accuracyRoutes } from './routes/accuracy.js';
import { alarmRoutes } from './routes/alarms.js';
import { documentRoutes } from './routes/documents.js';
import { healthRoutes } from './routes/health.js';
import { linkRoutes } from './routes/links.js';
import { modelRoutes } from './routes/models.js';
import { moveCostRoutes } from './routes/move-costs.js';
import { moveRoutes } from './routes/moves.js';
import { pageRoutes } from './routes/page.js';
import { pastErrorRoutes } from './routes/past-errors.js';
import { planRoutes } from './routes/plans.js';
import { predictionRoutes } from './routes/predictions.js';
import { sampleRoutes } from './routes/samples.js';
import { windowRoutes } from './routes/windows.js';

type TokenCheck = ReturnType<typeof tokenCheck>;

/** Every route of the service. */
export function serviceRoutes(parts: ServiceParts, hot = predictionRoutes(parts)): Route[] {
  const routes = [
    ...hot,
    ...moveCostRoutes(parts),
    ...windowRoutes(parts),
    ...moveRoutes(parts),
    ...sampleRoutes(parts),
    ...linkRoutes(parts),
    ...accuracyRoutes(parts),
    ...alarmRoutes(parts),
    ...modelRoutes(parts),
    ...pastErrorRoutes(parts),
    ...planRoutes(parts),
    ...healthRoutes(parts),
    ...pageRoutes(parts),
  ];
  return [...routes, ...documentRoutes(routes, parts.version)];
}

/**
 * What answers requests: the border, then the routes, then refusals as problem details. Express mounts every route. The
 * usual form of a hot one (its very path, a plain body) goes straight to its handler, after the same checks: on its way
 * through express a request changes its prototype and Node's own code for it is no longer inlined, which costs 40 us of
 * CPU, more than the prediction itself (npm run bench:service).
 */
export function createApp(parts: ServiceParts): RequestListener {
  const { log } = parts;
  const enter = border(parts);
  const check = tokenCheck(parts.options);
  const hot = predictionRoutes(parts);
  const straight = new Map(hot.map((route) => [route.path, straightTo(route, check, parts)]));
  const app = expressApp(parts, serviceRoutes(parts, hot), check);
  return (request, response) => {
    const refusal = enter(request, response);
    if (refusal !== undefined) {
      answerProblem(log, refusal, request, response);
      return;
    }
    const url = request.url ?? '';
    const answer =
      request.method === 'POST' && request.headers['content-encoding'] === undefined
        ? straight.get(url)
        : undefined;
    if (answer !== undefined) answer(request, response);
    else if (url.startsWith('/v1/')) app(request, response);
    else pageHelmet(request, response, () => app(request, response));
  };
}

/** A hot route without express: the token, the body, the handler, as `expressApp` has them. */
function straightTo(route: HotRoute, check: TokenCheck, { options, log }: ServiceParts): RequestListener {
  return (request: JsonRequest, response: NamedResponse) => {
    const fail = (error: unknown): void => answerProblem(log, error, request, response);
    response[ROUTE] = route.path;
    const refusal = check(request, route.role);
    if (refusal !== undefined) fail(refusal);
    else
      readJson(request, options.bodyLimitBytes, (error) => {
        if (error !== undefined) fail(error);
        else route.handle(request, response).catch(fail);
      });
  };
}

function expressApp(parts: ServiceParts, routes: readonly Route[], check: TokenCheck): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.set('trust proxy', false);

  const readBody: RequestHandler = (request, _response, next) =>
    readJson(request, parts.options.bodyLimitBytes, next);
  const methods = new Map<string, string[]>();
  for (const { role, body, ...route } of routes) {
    const path = route.path.replace(/\{(\w+)\}/g, ':$1');
    methods.set(path, [...(methods.get(path) ?? []), route.method.toUpperCase()]);
    const steps: RequestHandler[] = [
      ...(role === undefined
        ? []
        : [((request, _response, next) => next(check(request, role))) satisfies RequestHandler]),
      ...(body === undefined ? [] : [readBody]),
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
  const onError: express.ErrorRequestHandler = (error: unknown, request, response, _next) =>
    answerProblem(parts.log, error, request, response);
  app.use(onError);
  return app;
}

const named =
  (path: string): RequestHandler =>
  (_request, response: NamedResponse, next) => {
    response[ROUTE] = path;
    next();
  };

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
