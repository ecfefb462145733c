import { systemErrorSentence, UserError, type ErrorCode } from '../domain/errors.js';
import { PIN_MISMATCH } from './rapi-trust.js';

/** Failures of a connection that come before a request is sent: it cannot have been done. */
const NEVER_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
]);
const NOT_TRUSTED = /^(?:SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|CERT_|ERR_TLS_CERT)/;

/** An answer of the remote API that is no success, or none at all. Never with a secret in it. */
export class RapiError extends UserError {
  /** HTTP status; undefined where no whole answer came. */
  readonly status: number | undefined;
  /**
   * False where what was asked for may have been done all the same: the answer was lost on its way. Such a request must
   * not be repeated before the job queue was looked at.
   */
  readonly isSurelyNotDone: boolean;
  /** True where the server may answer again in a while, as after a restart or a master failover. */
  readonly isPassing: boolean;

  constructor(
    code: ErrorCode,
    sentence: string,
    {
      status,
      isSurelyNotDone = false,
      isPassing = false,
    }: { status?: number; isSurelyNotDone?: boolean; isPassing?: boolean } = {},
  ) {
    super(code, sentence);
    this.status = status;
    this.isSurelyNotDone = isSurelyNotDone;
    this.isPassing = isPassing;
  }
}

/** The error of a connection that failed. */
export function connectionError(address: string, error: unknown, timeoutMs: number): RapiError {
  if (error instanceof RapiError) return error;
  const code = String((error as { code?: unknown } | null)?.code ?? '');
  const name = (error as { name?: unknown } | null)?.name;
  if (name === 'AbortError' || name === 'TimeoutError' || code === 'ABORT_ERR')
    return new RapiError(
      'service-unavailable',
      `${address}: does not answer within ${timeoutMs / 1000} s; is the master up?`,
      { isPassing: true },
    );
  if (code === PIN_MISMATCH)
    return new RapiError(
      'service-unavailable',
      `${address}: shows another certificate than the pinned one; find out why before you trust it`,
      { isSurelyNotDone: true },
    );
  if (NOT_TRUSTED.test(code))
    return new RapiError(
      'service-unavailable',
      `${systemErrorSentence(error, `${address}: its certificate is not trusted`)}; give its authority, or for Ganeti's own the certificate itself, as --ca FILE`,
      { isSurelyNotDone: true },
    );
  return new RapiError(
    'service-unavailable',
    `${systemErrorSentence(error, address)}; is it the address of Ganeti's remote API?`,
    { isSurelyNotDone: NEVER_SENT.has(code), isPassing: true },
  );
}

/** The error of an answer with a status that is no success; `text` is its body. */
export function answerError(address: string, what: string, status: number, text: string): RapiError {
  const because = explanationOf(text);
  const words = because === undefined ? '' : ` (${because})`;
  if (status === 401 || status === 403)
    return new RapiError(
      'service-unavailable',
      `${address}: refuses the user or the password for ${what} (HTTP ${status}); give a file with user:password that has the right as --credentials FILE`,
      { status, isSurelyNotDone: true },
    );
  if (status >= 300 && status < 400)
    return new RapiError(
      'service-unavailable',
      `${address}: sends elsewhere for ${what} (HTTP ${status}), which is not followed; give the master's own address`,
      { status, isSurelyNotDone: true },
    );
  if (status < 500)
    return new RapiError(
      'service-unavailable',
      `${address}: answers ${what} with HTTP ${status}${words}; is it Ganeti's remote API?`,
      { status, isSurelyNotDone: true },
    );
  return new RapiError('service-unavailable', `${address}: answers ${what} with HTTP ${status}${words}`, {
    status,
    isPassing: true,
    // Ganeti says so before it takes a job: the queue is drained or full. A proxy's 503 has no such words.
    isSurelyNotDone: status === 503 && because !== undefined,
  });
}

const LONGEST_EXPLANATION = 200;

/** Ganeti's own words in `{"code", "message", "explain"}`, made harmless for a terminal. */
function explanationOf(text: string): string | undefined {
  try {
    const { explain } = JSON.parse(text) as { explain?: unknown };
    return typeof explain === 'string' && explain !== '' ? shownText(explain) : undefined;
  } catch {
    return undefined;
  }
}

/** A text from outside as it may be shown: one line, of bounded length. */
export const shownText = (text: string, longest = LONGEST_EXPLANATION): string =>
  text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').slice(0, longest);
