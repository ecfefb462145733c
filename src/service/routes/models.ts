import { z } from 'zod';
import { checked, sendJson, sendListing, type Route, type ServiceParts } from '../route.js';

/** Names and versions are names of folders in the registry: nothing else is let through, so that no path is. */
const plainName = z
  .string()
  .max(100)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._+-]*$/, 'must be the name of a registered model or version');

const modelsAnswer = z.object({
  models: z.array(
    z.object({
      name: z.string(),
      version: z.string(),
      current: z.boolean().describe('promoted in the registry'),
      serving: z.boolean().describe('answers now'),
    }),
  ),
});
const versionAnswer = z.object({
  name: z.string(),
  version: z.string(),
  current: z.boolean(),
  serving: z.boolean(),
  card: z.string().describe('the model card, Markdown'),
  metrics: z.unknown().describe('as the training wrote them'),
});
const promoteBody = z.object({ version: plainName });
const promoteAnswer = z.object({
  name: z.string(),
  version: z.string(),
  serving: z.boolean().describe('answers now'),
});

export function modelRoutes({ model, registry, modelName }: ServiceParts): Route[] {
  const serving = (name: string, version: string): boolean =>
    model.model?.name === name && model.model.version === version;
  return [
    {
      method: 'get',
      path: '/v1/models',
      role: 'predict',
      summary: 'The registered models and which one answers',
      answers: { 200: { description: 'Models', json: modelsAnswer } },
      async handle(_request, response) {
        const models = (await registry.list()).map(({ name, version, current }) => ({
          name,
          version,
          current,
          serving: serving(name, version),
        }));
        sendJson(response, { models });
      },
    },
    {
      method: 'get',
      path: '/v1/models/{name}/{version}',
      role: 'predict',
      summary: 'One registered version with its card and metrics',
      pathParameters: { name: 'name of the model', version: 'one of its versions' },
      answers: { 200: { description: 'The version', json: versionAnswer } },
      async handle(request, response) {
        const name = checked(plainName, request.params['name'], 'name');
        const version = checked(plainName, request.params['version'], 'version');
        const registered = await registry.resolve(`${name}@${version}`);
        const { card, metrics } = await registry.read(registered);
        await sendListing(request, response, {
          name,
          version,
          current: registered.current,
          serving: serving(name, version),
          card,
          metrics,
        });
      },
    },
    {
      method: 'post',
      path: '/v1/models/{name}/promote',
      role: 'admin',
      summary: 'Puts a registered version in service without dropping a request',
      description:
        'Answers when the version answers: it is loaded and shown the history beside the one in service, then the two are exchanged.',
      pathParameters: { name: 'name of the model' },
      body: promoteBody,
      example: { version: '1' },
      answers: { 200: { description: 'The version in service', json: promoteAnswer } },
      async handle(request, response) {
        const name = checked(plainName, request.params['name'], 'name');
        const { version } = checked(promoteBody, request.body);
        await registry.promote(name, version);
        if (name === modelName && !serving(name, version)) {
          await model.rebuild();
          if (!serving(name, version)) await model.rebuild(); // one was under way already, for the version before
        }
        sendJson(response, { name, version, serving: serving(name, version) });
      },
    },
  ];
}
