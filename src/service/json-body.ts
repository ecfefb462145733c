import { isUtf8 } from 'node:buffer';
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import { HttpError } from './problem.js';

/** JSON is UTF-8, whether it says so or not. */
const JSON_TYPE = /^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i;

/**
 * Reads the body as JSON, at most `limitBytes` of it, also after decompression. A plain body, the usual case, is read
 * here: express's own reader costs 30 us of CPU more (npm run bench:service). A compressed one is left to express.
 */
export function jsonBody(limitBytes: number): RequestHandler {
  const unpacking = express.json({ limit: limitBytes, strict: false });
  return (request, response, next) => {
    if (!JSON_TYPE.test(request.headers['content-type'] ?? '')) {
      next(
        new HttpError(415, 'wrong-media-type', 'send the body as Content-Type: application/json, in UTF-8'),
      );
      return;
    }
    const encoding = request.headers['content-encoding'];
    if (encoding === undefined || encoding === 'identity') readPlain(request, response, next, limitBytes);
    else unpacking(request, response, next);
  };
}

function readPlain(request: Request, _response: Response, next: NextFunction, limitBytes: number): void {
  const chunks: Buffer[] = [];
  let length = 0;
  let isOver = false;
  request.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > limitBytes) {
      // What is too long is read to its end and thrown away, so that the caller gets its answer instead of a broken connection.
      chunks.length = 0;
      isOver = true;
    } else chunks.push(chunk);
  });
  request.on('end', () => {
    if (isOver) {
      next(new HttpError(413, 'too-large', `the body is larger than ${limitBytes} bytes; send it in parts`));
      return;
    }
    if (length === 0) {
      next();
      return;
    }
    const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length);
    if (!isUtf8(bytes)) {
      next(new HttpError(400, 'broken-json', 'the body is not UTF-8'));
      return;
    }
    try {
      request.body = JSON.parse(bytes.toString());
    } catch {
      next(new HttpError(400, 'broken-json', 'the body is not valid JSON'));
      return;
    }
    next();
  });
}
