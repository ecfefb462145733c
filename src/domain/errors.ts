/**
 * Errors that a user can cause. Each carries one sentence that says what is wrong, where, and what to do.
 * Anything else that is thrown is a bug and may show its stack.
 */

/** Every error code, what the command line exits with and what HTTP answers. docs/errors.md lists the same codes. */
export const errorCodes = {
  usage: { exitCode: 2, httpStatus: 400, meaning: 'wrong arguments or options' },
  'input-unreadable': { exitCode: 2, httpStatus: 400, meaning: 'an input that cannot be read at all' },
  'input-invalid': { exitCode: 2, httpStatus: 422, meaning: 'an input that can be read but is not valid' },
  'not-found': { exitCode: 2, httpStatus: 404, meaning: 'a named thing does not exist' },
  'not-allowed': {
    exitCode: 2,
    httpStatus: 403,
    meaning: 'refused for safety; the sentence says what would allow it',
  },
  'too-large': { exitCode: 2, httpStatus: 413, meaning: 'over a stated limit' },
  'store-unavailable': {
    exitCode: 1,
    httpStatus: 503,
    meaning: 'the store does not answer or cannot be written',
  },
  'store-format': {
    exitCode: 1,
    httpStatus: 500,
    meaning: 'the store was written by a newer version or is not ours',
  },
  'model-unusable': {
    exitCode: 1,
    httpStatus: 409,
    meaning: 'a model that cannot be loaded or does not exist',
  },
  'nothing-to-train-on': { exitCode: 1, httpStatus: 409, meaning: 'too few finished moves' },
  'out-of-time': { exitCode: 1, httpStatus: 503, meaning: 'not done within the time allowed' },
  'cannot-write': { exitCode: 1, httpStatus: 500, meaning: 'a file or folder cannot be written' },
  'hbal-refused': {
    exitCode: 1,
    httpStatus: 422,
    meaning: 'balance --blind where hbal ends with 1',
  },
  'not-carried-out': {
    exitCode: 1,
    httpStatus: 409,
    meaning: 'an execution that was not begun, or stopped before its end',
  },
  'cannot-listen': { exitCode: 1, httpStatus: 500, meaning: 'the address is in use or not ours' },
  'service-unavailable': { exitCode: 1, httpStatus: 503, meaning: 'a service asked for does not answer' },
} as const;

export type ErrorCode = keyof typeof errorCodes;

/**
 * An error that a user can cause and mend.
 *
 * @example
 * throw new UserError('input-unreadable', 'moves.csv: no such file; give the path of a CSV or JSONL file');
 */
export class UserError extends Error {
  readonly code: ErrorCode;
  readonly exitCode: 1 | 2;
  readonly httpStatus: number;
  /** Path of the offending field, such as `requests[3].memory_mib`, where there is one. */
  readonly field: string | undefined;

  constructor(code: ErrorCode, sentence: string, field?: string) {
    super(sentence);
    this.name = 'UserError';
    this.code = code;
    this.exitCode = errorCodes[code].exitCode;
    this.httpStatus = errorCodes[code].httpStatus;
    this.field = field;
  }
}

/** What codes of the system, of Node and of its resolver mean to whoever reads the sentence. */
const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EISDIR: 'is a folder, not a file',
  ENOTDIR: 'a part of the path is not a folder',
  ENOTEMPTY: 'the folder is not empty',
  EEXIST: 'is there already',
  ELOOP: 'its links lead in a circle',
  ENAMETOOLONG: 'the name is too long',
  EXDEV: 'lies on another file system',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the quota of the disk is used up',
  EFBIG: 'the file is too large for its file system',
  ERR_FS_FILE_TOO_LARGE: 'the file is too large to be read at once',
  EIO: 'the disk reports an error',
  EBUSY: 'is in use',
  ETXTBSY: 'is a program that runs',
  ENXIO: 'is a device or pipe with nobody at its other end',
  ENODEV: 'is a device that does not do this',
  ESPIPE: 'is a pipe, in which there is no going back',
  EINVAL: 'the system does not do this with it',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files on this machine',
  ENOMEM: 'not enough memory',
  EPIPE: 'nobody reads it any more',
  EADDRINUSE: 'the address is already in use',
  EADDRNOTAVAIL: 'the address does not belong to this machine',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was broken off',
  ECONNABORTED: 'the connection was broken off',
  EHOSTUNREACH: 'the machine cannot be reached',
  EHOSTDOWN: 'the machine is down',
  ENETUNREACH: 'its network cannot be reached',
  ENETDOWN: 'the network is down',
  ETIMEDOUT: 'timed out',
  ENOTFOUND: 'host name not found',
  EAI_AGAIN: 'the host name cannot be looked up at the moment',
};

/**
 * The sentence of a system error (a file that is not there, a port in use) without its stack and its bare code.
 * `what` names the thing, such as a path.
 */
export function systemErrorSentence(error: unknown, what: string): string {
  return `${what}: ${wordsOf(error)}`;
}

/** What went wrong, in words. */
export function wordsOf(error: unknown): string {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  if (typeof code === 'string' && WORDS[code] !== undefined) return WORDS[code];
  if (typeof message !== 'string' || message === '') return `an error (${String(code ?? error)})`;
  // Node's own: `ELOOP: too many symbolic links encountered, open 'path'`
  return /^E[A-Z0-9]+: ([^,]+)/.exec(message)?.[1] ?? message;
}
