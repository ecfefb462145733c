import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Readable, Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
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

const brokenJson = (sentence: string): HttpError => new HttpError(400, 'broken-json', sentence);

const tooLarge = (limitBytes: number): HttpError =>
  new HttpError(413, 'too-large', `the body is larger than ${limitBytes} bytes; send it in parts`);

const unpackers: ReadonlyMap<string, () => Transform> = new Map([
  ['gzip', createGunzip],
  ['deflate', createInflate],
  ['br', createBrotliDecompress],
]);

/**
 * Reads a body as JSON into `request.body`, at most `limitBytes` of it, counted after unpacking where it is compressed.
 * Express's own reader costs 30 us of CPU more (npm run bench:service), and says that a body is too large only once all
 * of it has come.
 */
export function readJson(request: JsonRequest, limitBytes: number, done: (error?: HttpError) => void): void {
  if (!JSON_TYPE.test(request.headers['content-type'] ?? '')) {
    done(wrongMediaType());
    return;
  }
  const encoding = (request.headers['content-encoding'] ?? 'identity').toLowerCase();
  const unpacker = unpackers.get(encoding)?.();
  if (unpacker === undefined && encoding !== 'identity') {
    done(new HttpError(415, 'wrong-media-type', 'Content-Encoding must be gzip, deflate, br or none'));
    return;
  }
  const body: Readable = unpacker ?? request;
  const chunks: Buffer[] = [];
  let length = 0;
  const refuse = (refusal: HttpError): void => {
    if (request.refusal !== undefined) return;
    request.refusal = refusal;
    chunks.length = 0;
    if (unpacker !== undefined) stopUnpacking(request, unpacker);
    if (request.readableEnded) done(refusal);
  };
  body.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > limitBytes) refuse(tooLarge(limitBytes));
    else chunks.push(chunk);
  });
  body.on('end', () => {
    if (request.refusal !== undefined) return;
    if (unpacker !== undefined) stopUnpacking(request, unpacker);
    const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length);
    done(length === 0 ? undefined : parseInto(request, bytes));
  });
  // What is wrong is read to its end and thrown away, so that the caller gets its answer instead of a broken connection.
  request.on('end', () => {
    if (request.refusal !== undefined) done(request.refusal);
  });
  if (unpacker === undefined) return;
  unpacker.on('error', () => refuse(brokenJson('the body cannot be decoded')));
  request.on('close', () => {
    if (!request.complete) unpacker.destroy();
  });
  request.pipe(unpacker);
}

/** Whatever still comes is read and thrown away. */
function stopUnpacking(request: IncomingMessage, unpacker: Transform): void {
  request.unpipe(unpacker);
  unpacker.destroy();
  request.resume();
}

function parseInto(request: JsonRequest, bytes: Buffer): HttpError | undefined {
  if (!isUtf8(bytes)) return brokenJson('the body is not UTF-8');
  try {
    request.body = JSON.parse(bytes.toString());
    return undefined;
  } catch {
    return brokenJson('the body is not valid JSON');
  }
}
