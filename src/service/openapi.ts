import { z } from 'zod';
import { domainSchemas } from '../domain/json-schema.js';
import { problemSchema } from './problem.js';
import type { Answer, Route } from './route.js';

type Json = Record<string, unknown>;

const COMPONENTS = '#/components/schemas/';

/** The OpenAPI 3.1 document of the routes, from the schemas that check them. Refusals that every route shares stand under `default`. */
export function openApiDocument(routes: readonly Route[], version: string): Json {
  const schemas: Json = {};
  const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): Json => hoisted(schema, io, schemas);
  for (const schema of Object.values(domainSchemas)) schemaOf(schema, 'input');
  const paths: Record<string, Json> = {};
  for (const route of routes) (paths[route.path] ??= {})[route.method] = operationOf(route, schemaOf);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Movecast',
      version,
      description: 'Predicts how long virtual machine moves take, from what a cluster has already done.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths,
    components: {
      schemas,
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
  };
}

function operationOf(route: Route, schemaOf: (schema: z.ZodType, io: 'input' | 'output') => Json): Json {
  const responses: Json = {};
  for (const [status, answer] of Object.entries(route.answers))
    responses[status] = { description: answer.description, ...contentOf(answer, schemaOf) };
  responses['default'] = {
    description: 'Refused or failed: problem details (RFC 9457)',
    content: { 'application/problem+json': { schema: schemaOf(problemSchema, 'output') } },
  };
  const parameters = [
    ...Object.entries(route.pathParameters ?? {}).map(([name, description]) => ({
      name,
      in: 'path',
      required: true,
      description,
      schema: { type: 'string' },
    })),
    ...Object.entries(route.query?.shape ?? {}).map(([name, schema]) => {
      const { description, ...rest } = schemaOf(schema as z.ZodType, 'output');
      return { name, in: 'query', required: false, ...(description ? { description } : {}), schema: rest };
    }),
  ];
  return {
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    ...(route.role === undefined ? {} : { security: [{}, { token: [route.role] }] }),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: {
              'application/json': {
                schema: schemaOf(route.body, 'input'),
                ...(route.example === undefined ? {} : { example: route.example }),
              },
            },
          },
        }),
    responses,
  };
}

function contentOf(answer: Answer, schemaOf: (schema: z.ZodType, io: 'input' | 'output') => Json): Json {
  const content: Json = {};
  if (answer.json !== undefined) content['application/json'] = { schema: schemaOf(answer.json, 'output') };
  for (const mediaType of answer.other ?? []) content[mediaType] = {};
  return Object.keys(content).length > 0 ? { content } : {};
}

/** JSON Schema with its definitions moved to the document's components. */
function hoisted(schema: z.ZodType, io: 'input' | 'output', schemas: Json): Json {
  const { $schema: _draft, $defs, ...json } = z.toJSONSchema(schema, { io }) as Json & { $defs?: Json };
  for (const [name, definition] of Object.entries($defs ?? {}))
    schemas[name] ??= withComponentRefs(withoutId(definition as Json));
  return withComponentRefs(withoutId(json)) as Json;
}

function withoutId({ id: _id, $id: _dollarId, ...rest }: Json): Json {
  return rest;
}

function withComponentRefs(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withComponentRefs);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) =>
      key === '$ref' && typeof item === 'string'
        ? [key, item.replace('#/$defs/', COMPONENTS)]
        : [key, withComponentRefs(item)],
    ),
  );
}
