import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { z } from 'zod';
import { finishedMove, hourlySamples, serviceFixture, type ServiceFixture } from './service-fixture.js';

interface Operation {
  security?: unknown;
  parameters?: { name: string; in: string }[];
  requestBody?: { content: Record<string, { schema: Json; example?: object }> };
  responses: Record<string, { content?: Record<string, { schema?: Json }> }>;
}
type Json = Record<string, unknown>;

let service: ServiceFixture;
let document: {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Json };
};

beforeAll(async () => {
  service = await serviceFixture({
    moves: [finishedMove('m1', 600, 5)],
    linkSamples: hourlySamples(48),
  });
  document = (await request(service.app).get('/openapi.json')).body;
});
afterAll(() => service.close());

/** A schema of the document as something that checks, its references within reach. */
function checker(schema: Json): z.ZodType {
  const local = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value).replaceAll('#/components/schemas/', '#/$defs/'));
  return z.fromJSONSchema({
    ...(local(schema) as Json),
    $defs: local(document.components.schemas),
  } as Parameters<typeof z.fromJSONSchema>[0]);
}

describe('the OpenAPI document', () => {
  it('lists exactly the routes that are mounted', () => {
    const listed = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method} ${path}`),
    );
    expect(listed.sort()).toEqual(service.routes.map(({ method, path }) => `${method} ${path}`).sort());
    for (const path of [
      '/v1/predictions',
      '/v1/move-costs',
      '/v1/moves',
      '/v1/samples',
      '/v1/accuracy',
      '/v1/models',
    ])
      expect(document.paths).toHaveProperty([path]);
  });

  it('has no reference that leads nowhere', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1]!);
    expect(references.length).toBeGreaterThan(0);
    for (const reference of references) {
      expect(reference).toMatch(/^#\/components\/schemas\//);
      expect(document.components.schemas).toHaveProperty([reference.split('/').at(-1)!]);
    }
  });

  it('describes every answer that the running service gives to its own examples', async () => {
    let checkedAnswers = 0;
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(operations)) {
        const to = path
          .replace('{name}', 'default')
          .replace('{version}', '1')
          .replace('{link}', 'node1%3Enode2');
        const example = operation.requestBody?.content['application/json']?.example;
        const answer =
          method === 'get'
            ? await request(service.app).get(to)
            : await request(service.app).post(to).send(example);
        expect([method, path, answer.status]).toEqual([method, path, 200]);
        const content = operation.responses['200']!.content!;
        expect(Object.keys(content)).toContain(answer.type);
        const schema = content['application/json']?.schema;
        if (schema === undefined) continue;
        const result = checker(schema).safeParse(answer.body);
        expect([path, result.error?.issues ?? []]).toEqual([path, []]);
        checkedAnswers += 1;
      }
    }
    expect(checkedAnswers).toBeGreaterThanOrEqual(10);
  });

  it('has examples that its own schemas accept', () => {
    const bodies = Object.values(document.paths)
      .flatMap((operations) => Object.values(operations))
      .flatMap(({ requestBody }) => requestBody?.content['application/json'] ?? []);
    expect(bodies.length).toBeGreaterThan(1);
    for (const { schema, example } of bodies) {
      expect(example).toBeDefined();
      expect(checker(schema).safeParse(example).error?.issues ?? []).toEqual([]);
    }
  });

  it('describes refusals as problem details', async () => {
    const answer = await request(service.app).post('/v1/predictions').send({});
    const schema =
      document.paths['/v1/predictions']!['post']!.responses['default']!.content!['application/problem+json']!
        .schema!;
    expect(checker(schema).safeParse(answer.body).error?.issues ?? []).toEqual([]);
  });
});
