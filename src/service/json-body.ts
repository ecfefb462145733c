import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import express, { type RequestHandler } from 'express';
import { HttpError } from './problem.js';

/** JSON is UTF-8, whether it says so or not. */
const JSON_TYPE = /^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i;

export type JsonRequest = IncomingMessage & {
  /** Once it has been read. */
  body?: unknown;
  /** What is wrong with it already, while the rest of it is still awaited. */
  refusal?: HttpError;
};

const wrongMediaType = (): HttpError =>
  new HttpError(415, 'wrong-media-type', 'send the body as Content-Type: application/json, in UTF-8');

const tooLarge = (limitBytes: number): HttpError =>
  new HttpError(413, 'too-large', `the body is larger than ${limitBytes} bytes; send it in parts`);

/** `readJson` as a step of express, which itself unpacks a compressed body; of both at most `limitBytes`. */
export function expressJsonBody(limitBytes: number): RequestHandler {
  const unpacking = express.json({ limit: limitBytes, strict: false });
  return (request, response, next) => {
    const encoding = request.headers['content-encoding'];
    if (encoding === undefined || encoding === 'identity') readJson(request, limitBytes, next);
    else if (!JSON_TYPE.test(request.headers['content-type'] ?? '')) next(wrongMediaType());
    else unpacking(request, response, next);
  };
}

/**
 * Reads a body that is not compressed as JSON into `request.body`, at most `limitBytes` of it. Express's own reader
 * costs 30 us of CPU more (npm run bench:service).
 */
export function readJson(request: JsonRequest, limitBytes: number, done: (error?: HttpError) => void): void {
  if (!JSON_TYPE.test(request.headers['content-type'] ?? '')) {
    done(wrongMediaType());
    return;
  }
  const chunks: Buffer[] = [];
  let length = 0;
  request.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > limitBytes) {
      // What is too long is read to its end and thrown away, so that the caller gets its answer instead of a broken connection.
      chunks.length = 0;
      request.refusal ??= tooLarge(limitBytes);
    } else chunks.push(chunk);
  });
  request.on('end', () => {
    if (request.refusal !== undefined) {
      done(request.refusal);
      return;
    }
    if (length === 0) {
      done();
      return;
    }
    const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length);
    if (!isUtf8(bytes)) {
      done(new HttpError(400, 'broken-json', 'the body is not UTF-8'));
      return;
    }
    try {
      request.body = JSON.parse(bytes.toString());
    } catch {
      done(new HttpError(400, 'broken-json', 'the body is not valid JSON'));
      return;
    }
    done();
  });
}
