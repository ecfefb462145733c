import { docsPage } from '../docs-page.js';
import { openApiDocument } from '../openapi.js';
import type { Route } from '../route.js';
import { pageFile, sendFile } from './page.js';

/** `/openapi.json` and `/docs`, made from all routes, these two included. */
export function documentRoutes(others: readonly Route[], version: string): Route[] {
  const openapi: Route = {
    method: 'get',
    path: '/openapi.json',
    role: undefined,
    summary: 'This interface as an OpenAPI 3.1 document',
    answers: { 200: { description: 'The document', other: ['application/json'] } },
    handle: (request, response) => sendFile(request, response, documentFile),
  };
  const docs: Route = {
    method: 'get',
    path: '/docs',
    role: undefined,
    summary: 'This interface as a page',
    answers: { 200: { description: 'The page', other: ['text/html'] } },
    handle: (request, response) => sendFile(request, response, docsFile),
  };
  const all = [...others, openapi, docs];
  const document = openApiDocument(all, version);
  const documentFile = pageFile(Buffer.from(JSON.stringify(document)), 'application/json; charset=utf-8');
  const docsFile = pageFile(Buffer.from(docsPage(all, document, version)), 'text/html; charset=utf-8');
  return [openapi, docs];
}
