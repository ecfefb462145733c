import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Request, Response } from 'express';
import type { Route, ServiceParts } from '../route.js';

/** The only kinds of file that the page consists of. */
const mediaTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Below this a compressed file saves nothing worth the header. */
const SMALLEST_TO_COMPRESS = 1024;

interface PageFile {
  mediaType: string;
  plain: Buffer;
  gzip: Buffer | undefined;
  etag: string;
}

/** Everything that is not its own text: the page is read once, at the start, so no path ever reaches the file system. */
export function pageRoutes({ options }: ServiceParts): Route[] {
  const routes: Route[] = [];
  const add = (path: string, file: PageFile, summary: string): void => {
    const mediaType = file.mediaType.split(';')[0]!;
    routes.push({
      method: 'get',
      path,
      role: undefined,
      summary,
      answers: { 200: { description: summary, other: [mediaType] } },
      handle: (request, response) => sendFile(request, response, file),
    });
  };
  for (const name of existsSync(options.pageFolder) ? readdirSync(options.pageFolder).sort() : []) {
    const mediaType = mediaTypes[extname(name)];
    if (mediaType === undefined) continue;
    const file = pageFile(readFileSync(join(options.pageFolder, name)), mediaType);
    if (name === 'index.html') add('/', file, 'The dashboard');
    else add(`/${name}`, file, 'A part of the dashboard');
  }
  return routes;
}

export function pageFile(plain: Buffer, mediaType: string): PageFile {
  return {
    mediaType,
    plain,
    gzip: plain.length < SMALLEST_TO_COMPRESS ? undefined : gzipSync(plain),
    etag: `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`,
  };
}

export function sendFile(request: Request, response: Response, file: PageFile): void {
  response.setHeader('etag', file.etag);
  response.setHeader('cache-control', 'no-cache');
  response.setHeader('vary', 'accept-encoding');
  if (request.headers['if-none-match'] === file.etag) {
    response.statusCode = 304;
    response.end();
    return;
  }
  response.setHeader('content-type', file.mediaType);
  if (file.gzip !== undefined && request.acceptsEncodings('gzip') === 'gzip') {
    response.setHeader('content-encoding', 'gzip');
    response.end(file.gzip);
  } else response.end(file.plain);
}
