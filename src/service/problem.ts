import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { z } from 'zod';
import { errorCodes, UserError } from '../domain/errors.js';

/** An error of the HTTP border that is not one of the domain's: it has its own status. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    sentence: string,
    /** Path of the offending field, such as `requests[3].memory_mib`. */
    readonly field?: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(sentence);
    this.name = 'HttpError';
  }
}

/** Titles of the problems that only HTTP knows. */
const httpProblems: Record<string, string> = {
  'unknown-route': 'no such route',
  'wrong-method': 'the route does not take this method',
  'wrong-media-type': 'the body is not of a kind that this route reads',
  'not-acceptable': 'no form of the answer that the caller accepts',
  'broken-json': 'the body is not JSON',
  'no-token': 'a token is needed',
  'wrong-host': 'the Host header names another machine',
  'too-many-requests': 'over the rate limit',
  'not-ready': 'not ready yet',
  'too-slow': 'took longer than allowed',
  fault: 'a fault of the service itself',
};

/** Every problem code with its title, for the documentation page. */
export const problemTitles: Readonly<Record<string, string>> = {
  ...httpProblems,
  ...Object.fromEntries(Object.entries(errorCodes).map(([code, { meaning }]) => [code, meaning])),
};

/** RFC 9457 problem details, with the path of the wrong field where there is one. */
export const problemSchema = z
  .object({
    type: z.string().describe('a page about this kind of problem'),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe('one sentence: what, where, what to do'),
    code: z.string(),
    field: z.string().optional().describe('path of the wrong field, such as requests[3].memory_mib'),
    request_id: z.string(),
  })
  .meta({ id: 'Problem' });

/** Any thrown value → the error that HTTP shows. */
function asHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  if (error instanceof UserError)
    return new HttpError(
      error.httpStatus,
      error.code,
      error.message,
      error.field,
      error.httpStatus === 503 ? { 'retry-after': '1' } : {},
    );
  if (error instanceof URIError) return new HttpError(400, 'usage', 'the path is not valid UTF-8');
  return new HttpError(500, 'fault', 'a fault of the service itself; its log says more under the request id');
}

/** Answers with problem details. */
export function sendProblem(response: ServerResponse, error: HttpError): void {
  const problem: z.infer<typeof problemSchema> = {
    type: `/docs#problem-${error.code}`,
    title: problemTitles[error.code] ?? error.code,
    status: error.status,
    detail: error.message,
    code: error.code,
    ...(error.field === undefined || error.field === '' ? {} : { field: error.field }),
    request_id: String(response.getHeader('x-request-id') ?? ''),
  };
  for (const [name, value] of Object.entries(error.headers)) response.setHeader(name, value);
  response.statusCode = error.status;
  response.setHeader('content-type', 'application/problem+json; charset=utf-8');
  response.setHeader('cache-control', 'no-store');
  response.end(JSON.stringify(problem));
}

/**
 * Answers with what went wrong. Faults of our own are logged with their stack; callers see none of it. That a service
 * which starts or stops is not ready is no error: probes ask until it is.
 */
export function answerProblem(
  log: Logger,
  error: unknown,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (response.writableEnded) return; // it took too long and has been told so
  const shown = asHttpError(error);
  if (shown.status >= 500)
    log[shown.code === 'not-ready' ? 'info' : 'error'](
      {
        event: 'request_failed',
        request_id: response.getHeader('x-request-id'),
        method: request.method,
        path: request.url?.replace(/\?.*/s, ''),
        status: shown.status,
        reason: error instanceof Error ? error.message : String(error),
        ...(shown.code === 'fault' && error instanceof Error ? { stack: error.stack } : {}),
      },
      'request failed',
    );
  if (response.headersSent) {
    response.destroy();
    return;
  }
  sendProblem(response, shown);
}
