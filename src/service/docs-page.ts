import { problemTitles } from './problem.js';
import type { Route } from './route.js';

/** The page at `/docs`: every route with its role, parameters, an example that can be sent, and every problem code. No script. */
export function docsPage(
  routes: readonly Route[],
  openapi: Record<string, unknown>,
  version: string,
): string {
  const paths = openapi['paths'] as Record<string, Record<string, Operation>>;
  const shown = routes.filter((route) => route.path !== '/' && !/\.(css|js|svg)$/.test(route.path));
  const index = shown
    .map(
      (route) =>
        `<li><a href="#${anchor(route)}"><code>${method(route)} ${escape(route.path)}</code></a></li>`,
    )
    .join('\n');
  const sections = shown.map((route) => section(route, paths[route.path]![route.method]!)).join('\n');
  const schemas = Object.entries((openapi['components'] as { schemas: Record<string, unknown> }).schemas)
    .map(
      ([name, schema]) =>
        `<details id="schema-${escape(name)}"><summary><code>${escape(name)}</code></summary><pre>${escape(JSON.stringify(schema, null, 2))}</pre></details>`,
    )
    .join('\n');
  const problems = Object.entries(problemTitles)
    .map(
      ([code, title]) =>
        `<tr id="problem-${escape(code)}"><td><code>${escape(code)}</code></td><td>${escape(title)}</td></tr>`,
    )
    .join('\n');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Movecast HTTP interface</title>
<link rel="icon" href="/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/style.css">
</head>
<body class="docs">
<a class="skip" href="#main">Skip to the routes</a>
<header class="bar"><a class="brand" href="/">Movecast</a><nav aria-label="Main"><a href="/">Dashboard</a> <a href="/openapi.json">OpenAPI</a></nav></header>
<main id="main">
<h1>HTTP interface</h1>
<p class="lead">Version ${escape(version)}. JSON in and out, UTF-8, times in RFC 3339. Where tokens are set, send <code>Authorization: Bearer TOKEN</code>. The same, for programs: <a href="/openapi.json">openapi.json</a>.</p>
<ul class="index">
${index}
</ul>
${sections}
<section><h2 id="problems">Problems</h2>
<p>Refusals are <code>application/problem+json</code> (RFC 9457) with a sentence in <code>detail</code> and, where one field is wrong, its path in <code>field</code>.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Problem codes"><table><thead><tr><th scope="col">code</th><th scope="col">meaning</th></tr></thead><tbody>
${problems}
</tbody></table></div></section>
<section><h2 id="schemas">Schemas</h2>
${schemas}
</section>
</main>
</body>
</html>
`;
}

interface Operation {
  parameters?: { name: string; in: string; description?: string; schema: unknown }[];
  requestBody?: { content: Record<string, { schema: unknown; example?: unknown }> };
  responses: Record<string, { description: string; content?: Record<string, { schema?: unknown }> }>;
}

function section(route: Route, operation: Operation): string {
  const body = operation.requestBody?.content['application/json'];
  const parameters = (operation.parameters ?? [])
    .map(
      ({ name, description }) =>
        `<li><code>${escape(name)}</code>${description ? `: ${escape(description)}` : ''}</li>`,
    )
    .join('');
  const answers = Object.entries(operation.responses)
    .filter(([status]) => status !== 'default')
    .map(
      ([status, { description, content }]) =>
        `<li>${status}: ${escape(description)}${content ? ` <span class="muted">(${escape(Object.keys(content).join(', '))})</span>` : ''}</li>`,
    )
    .join('');
  return `<section><h2 id="${anchor(route)}"><code>${method(route)} ${escape(route.path)}</code></h2>
<p>${escape(route.summary)}. ${route.role === undefined ? 'Open to everyone.' : `Needs role <code>${route.role}</code> where tokens are set.`}</p>
${route.description === undefined ? '' : `<p>${escape(route.description)}</p>`}
${parameters === '' ? '' : `<h3>Parameters</h3><ul>${parameters}</ul>`}
${route.example === undefined ? '' : `<h3>Example</h3><pre>${escape(curl(route))}</pre>`}
${body === undefined ? '' : `<details><summary>Schema of the body</summary><pre>${escape(JSON.stringify(body.schema, null, 2))}</pre></details>`}
<h3>Answers</h3><ul>${answers}</ul></section>`;
}

const curl = (route: Route): string =>
  `curl http://127.0.0.1:8080${route.path.replace('{name}', 'default')} \\
  -H 'content-type: application/json' \\
  -d '${JSON.stringify(route.example)}'`;

const method = (route: Route): string => route.method.toUpperCase();

const anchor = (route: Route): string =>
  `${route.method}${route.path.replace(/[^a-zA-Z0-9]+/g, '-').replace(/-$/, '')}`;

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => entities[character]!);
