import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { z } from 'zod';
import { ofCluster, type CostColumns, type MoveCosts } from '../../balancer/move-costs.js';
import * as field from '../../domain/fields.js';
import { DEFAULT_CLUSTER } from '../../domain/move-record.js';
import type { MoveRequest } from '../../domain/move-request.js';
import type { PastErrors } from '../../domain/past-errors.js';
import { planSchema } from '../../domain/plan.js';
import type { Predictor } from '../../predictor/predictor.js';
import { SLICE } from '../options.js';
import { HttpError } from '../problem.js';
import { checked, sendListing, type Route, type ServiceParts } from '../route.js';

/** Longest plan that is computed over HTTP; longer ones are made by `movecast balance`. */
const MOST_MOVES = 2_000;

const body = z.object({
  cluster: z.string().min(1).describe("the cluster as Ganeti's htools text, as hscan and hbal -S write it"),
  cluster_name: field.name
    .optional()
    .describe(`its name in the records that were learnt; ${DEFAULT_CLUSTER} when absent`),
  group: z.string().max(255).optional().describe('node group by name or uuid, where several have nodes'),
  quantile: z
    .number()
    .min(0.1)
    .max(0.9)
    .optional()
    .describe('which predicted duration the search counts with; 0.5 when absent'),
  max_moves: z.int().min(1).max(MOST_MOVES).optional(),
  max_seconds: z
    .number()
    .positive()
    .optional()
    .describe('the best balance within so long, instead of the soonest good one'),
  disk_moves: z.boolean().optional().describe('false: only moves that copy no disks'),
  pareto: z.boolean().optional().describe('also the best score within shorter times'),
  seed: z
    .int()
    .min(0)
    .max(2 ** 31)
    .optional(),
});

const answer = planSchema
  .extend({
    script: z.string().describe('the Ganeti commands as a shell script'),
    pareto: z
      .array(
        z.object({
          duration_seconds: z.object({ p50: z.number(), p90: z.number() }),
          score_after: z.number(),
          moves: z.int(),
        }),
      )
      .optional(),
  })
  .meta({ id: 'PlanAnswer' });

/** A cluster of two nodes, for the documentation. */
const EXAMPLE_CLUSTER = [
  'default|00000000-0000-0000-0000-000000000001|preferred||',
  '',
  'node1|16384|1024|7168|102400|51200|8|N|00000000-0000-0000-0000-000000000001|1',
  'node2|16384|1024|15360|102400|102400|8|N|00000000-0000-0000-0000-000000000001|1',
  '',
  'web1|4096|25600|2|running|Y|node1||plain||1',
  'web2|4096|25600|2|running|Y|node1||plain||1',
  '',
  '',
  '',
].join('\n');

export function planRoutes({ model, planner, now }: ServiceParts): Route[] {
  return [
    {
      method: 'post',
      path: '/v1/plans',
      role: 'predict',
      summary: 'A plan that balances a posted cluster soon, with predicted durations',
      description:
        'Nothing is changed anywhere: the answer holds the moves, what each waits for, when it ends, and the Ganeti commands. Computed in a thread of its own, one at a time.',
      body,
      example: { cluster: EXAMPLE_CLUSTER },
      answers: { 200: { description: 'The plan', json: answer } },
      async handle(request, response) {
        const asked = checked(body, request.body);
        if (planner === undefined)
          throw new HttpError(503, 'service-unavailable', 'this service computes no plans');
        const plan = await planner(asked, new ServedMoveCosts(model.predictor, now(), asked.cluster_name));
        await sendListing(request, response, plan);
      },
    },
  ];
}

/** Durations from the model in service, asked for in slices, so that other requests are answered in between. */
class ServedMoveCosts implements MoveCosts {
  constructor(
    private readonly predictor: Predictor,
    private readonly nowMs: number,
    private readonly cluster: string | undefined,
  ) {}

  get model(): Predictor['model'] {
    return this.predictor.model;
  }

  async durations(asked: readonly MoveRequest[]): Promise<CostColumns> {
    const requests = ofCluster(asked, this.cluster);
    const n = requests.length;
    const columns = { p10: new Float64Array(n), p50: new Float64Array(n), p90: new Float64Array(n) };
    for (let from = 0; from < n; from += SLICE) {
      const slice = this.predictor.durations(requests.slice(from, from + SLICE), this.nowMs);
      for (const name of ['p10', 'p50', 'p90'] as const) columns[name].set(slice[name], from);
      await yieldToLoop();
    }
    return columns;
  }

  pastErrors(): Promise<PastErrors | undefined> {
    return Promise.resolve(this.predictor.pastErrors(this.cluster));
  }

  warnings(): readonly string[] {
    return [];
  }
}
