import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { systemErrorSentence, UserError } from '../domain/errors.js';

/** Rights that a file with a secret must not give: anything to others, writing to its group. */
const TOO_OPEN = 0o027;

/**
 * Value of the `Authorization` header from a file with `user:password` (or `user password`) in its first line.
 * Errors: `UserError` that names the file, never its content; `not-allowed` when others may read it.
 */
export function authorizationFromFile(path: string): string {
  const line = readSecret(path).split(/\r?\n/, 1)[0]!.trim();
  const pair = /^([^\s:]+)[:\s]\s*(.+)$/.exec(line);
  if (pair === null) throw new UserError('input-invalid', `${path}: needs user:password in its first line`);
  return basic(`${pair[1]}:${pair[2]}`);
}

/** The same from an address with a user's name in it; undefined without one. */
export function authorizationFromAddress(address: URL): string | undefined {
  if (address.username === '') return undefined;
  try {
    return basic(`${decodeURIComponent(address.username)}:${decodeURIComponent(address.password)}`);
  } catch {
    throw new UserError('usage', 'the user or password in the address is not percent-encoded as it must be');
  }
}

const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`;

function readSecret(path: string): string {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    if (process.platform !== 'win32' && (fstatSync(file).mode & TOO_OPEN) !== 0)
      throw new UserError(
        'not-allowed',
        `${path}: others may read or change this file with a password; chmod g-w,o= ${path} takes that right away`,
      );
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(
      'input-unreadable',
      `${systemErrorSentence(error, path)}; name the file with the user and password`,
    );
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
