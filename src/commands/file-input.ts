import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { parseJson } from '../domain/json.js';

/** A text file's content; a gzip file is unpacked. Throws a sentence that names the file. */
export async function readTextFile(path: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new UserError('input-unreadable', systemErrorSentence(error, path));
  }
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes.toString('utf8');
  try {
    return gunzipSync(bytes).toString('utf8');
  } catch {
    throw new UserError('input-unreadable', `${path}: looks like a gzip file but cannot be unpacked`);
  }
}

/** Parsed JSON of a file. Throws a sentence that names the file. */
export async function readJsonFile(path: string): Promise<unknown> {
  return parseJson(await readTextFile(path), path);
}
