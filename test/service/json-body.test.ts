import type { IncomingHttpHeaders } from 'node:http';
import { PassThrough } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { readJson, type JsonRequest } from '../../src/service/json-body.js';
import type { HttpError } from '../../src/service/problem.js';

const LIMIT_BYTES = 1000;

/** A request whose body comes as the test writes it. */
class WrittenRequest extends PassThrough {
  readonly headers: IncomingHttpHeaders;

  constructor(encoding?: string) {
    super();
    this.headers = { 'content-type': 'application/json', 'content-encoding': encoding };
  }

  get complete(): boolean {
    return this.writableEnded;
  }
}

/** A request, and what is said of it once its body has come. */
function reading(encoding?: string) {
  const request = new WrittenRequest(encoding) as unknown as JsonRequest & WrittenRequest;
  const read = new Promise<HttpError | undefined>((resolve) => readJson(request, LIMIT_BYTES, resolve));
  return { request, read };
}

const encodings = [
  ['no', undefined, (text: string) => Buffer.from(text)],
  ['gzip', 'gzip', gzipSync],
  ['deflate', 'deflate', deflateSync],
  ['br', 'br', brotliCompressSync],
] as const;

describe.each(encodings)('a body with %s encoding', (_name, encoding, encode) => {
  it('is read up to the limit', async () => {
    const text = JSON.stringify({ text: 'x'.repeat(LIMIT_BYTES - 11) });
    expect(text).toHaveLength(LIMIT_BYTES);
    const { request, read } = reading(encoding);
    const bytes = encode(text);
    request.write(bytes.subarray(0, 5));
    request.end(bytes.subarray(5));
    expect(await read).toBeUndefined();
    expect(request.body).toEqual(JSON.parse(text));
  });

  it('is known to be too large before it has ended, and refused when it has', async () => {
    const { request, read } = reading(encoding);
    const bytes = encode(`"${'x'.repeat(LIMIT_BYTES)}"`);
    request.write(bytes);
    while (request.refusal === undefined) await setImmediate();
    expect(request.refusal.status).toBe(413);
    request.end(Buffer.alloc(100_000));
    expect(await read).toBe(request.refusal);
    expect(request.body).toBeUndefined();
  });
});

describe.each(encodings.slice(1))('a body that claims to be %s', (_name, encoding, encode) => {
  it.each([
    ['and is not', Buffer.from('something else altogether')],
    ['and is broken off', encode('{"a": 1, "b": [2, 3]}').subarray(0, -9)],
  ])('%s is refused', async (_what, bytes) => {
    const { request, read } = reading(encoding);
    request.end(bytes);
    const refusal = await read;
    expect([refusal?.status, refusal?.message]).toEqual([400, 'the body cannot be decoded']);
  });
});
