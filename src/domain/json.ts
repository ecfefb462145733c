import { UserError } from './errors.js';

/**
 * JSON of a file. @throws UserError `input-unreadable` in one line: what the engine says quotes the text with its
 * line breaks. The mark that some editors put first is no part of it.
 */
export function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    const fault = (error as Error).message.replace(/\s+/g, ' ');
    throw new UserError('input-unreadable', `${file}: is not JSON (${fault})`);
  }
}

/** JSON, or undefined for a text that is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
