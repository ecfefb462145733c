import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { z } from 'zod';
import * as field from '../../domain/fields.js';
import { operationSchema } from '../../domain/move-record.js';
import { moveRequestSchema, type MoveRequest } from '../../domain/move-request.js';
import { modelReferenceSchema } from '../../domain/prediction.js';
import { fromIsoTime, toIsoTime } from '../../domain/units.js';
import { MOST_NODES, MOST_PAIRS, SLICE } from '../options.js';
import { HttpError } from '../problem.js';
import { checked, sendJsonText, type Route, type ServiceParts } from '../route.js';

const instanceSchema = moveRequestSchema
  .omit({ target_node: true, progress: true })
  .meta({ id: 'MoveCostInstance' });

const body = z.object({
  instances: z.array(instanceSchema).min(1).max(MOST_NODES),
  target_nodes: z.array(field.name).min(1).max(MOST_NODES),
  operation: operationSchema.optional().describe('for instances that name none; live_migration when absent'),
  start_at: field.time.optional().describe('for instances that name none; now when absent'),
  quantile: z.number().min(0.05).max(0.95).optional().describe('0.5 when absent'),
});

const answer = z.object({
  seconds: z
    .array(z.array(z.number().nullable()))
    .describe('instances × target_nodes; null where the move is impossible'),
  model: modelReferenceSchema,
});

const BINARY = 'application/octet-stream';

/** Digits of a Float32 that carry meaning. */
const FLOAT32_DIGITS = 7;

export function moveCostRoutes({ model, metrics, now }: ServiceParts): Route[] {
  return [
    {
      method: 'post',
      path: '/v1/move-costs',
      role: 'predict',
      summary: 'Predicted seconds of every instance going to every node',
      description: `With \`Accept: ${BINARY}\` the matrix comes row by row as little-endian Float32, its shape in X-Rows and X-Columns; NaN where the move is impossible.`,
      body,
      example: {
        instances: [{ instance: 'web1', source_node: 'node1', memory_mib: 4096 }],
        target_nodes: ['node1', 'node2', 'node3'],
        quantile: 0.5,
      },
      answers: { 200: { description: 'The matrix', json: answer, other: [BINARY] } },
      async handle(request, response) {
        const asked = checked(body, request.body);
        const rows = asked.instances.length;
        const columns = asked.target_nodes.length;
        if (rows * columns > MOST_PAIRS)
          throw new HttpError(
            413,
            'too-large',
            `${rows} instances × ${columns} nodes are more than ${MOST_PAIRS} pairs; send the instances in parts`,
            'instances',
          );
        const nowMs = asked.start_at === undefined ? now() : fromIsoTime(asked.start_at);
        const instances = asked.instances.map((instance): Omit<MoveRequest, 'target_node'> => {
          const startAt = instance.start_at ?? asked.start_at;
          const operation = instance.operation ?? asked.operation;
          return {
            ...instance,
            ...(operation === undefined ? {} : { operation }),
            ...(startAt === undefined ? {} : { start_at: toIsoTime(fromIsoTime(startAt)) }),
          };
        });
        const { predictor } = model;
        const seconds = new Float32Array(rows * columns);
        const rowsInSlice = Math.max(1, Math.floor((4 * SLICE) / columns));
        for (let row = 0; row < rows; row += rowsInSlice) {
          const slice = instances.slice(row, row + rowsInSlice);
          seconds.set(
            predictor.moveCosts(slice, asked.target_nodes, asked.quantile ?? 0.5, nowMs),
            row * columns,
          );
          await yieldToLoop();
        }
        metrics.predictions.inc({ basis: 'pairs' }, rows * columns);
        response.setHeader('vary', 'accept');
        if (request.accepts(['application/json', BINARY]) === BINARY) {
          response.setHeader('content-type', BINARY);
          response.setHeader('cache-control', 'no-store');
          response.setHeader('x-rows', String(rows));
          response.setHeader('x-columns', String(columns));
          response.end(Buffer.from(littleEndian(seconds)));
        } else {
          const lines: string[] = [];
          for (let row = 0; row < rows; row += 1)
            lines.push(jsonRow(seconds.subarray(row * columns, (row + 1) * columns)));
          sendJsonText(
            response,
            `{"seconds":[${lines.join(',')}],"model":${JSON.stringify(predictor.model)}}`,
          );
        }
      },
    },
  ];
}

function jsonRow(row: Float32Array): string {
  let text = '[';
  for (let i = 0; i < row.length; i += 1) {
    const value = row[i]!;
    if (i > 0) text += ',';
    text += Number.isFinite(value) ? value.toPrecision(FLOAT32_DIGITS) : 'null';
  }
  return `${text}]`;
}

/** The bytes of the matrix, little-endian whatever the machine is. */
function littleEndian(values: Float32Array): ArrayBuffer {
  const bytes = new ArrayBuffer(values.length * 4);
  const view = new DataView(bytes);
  for (let i = 0; i < values.length; i += 1) view.setFloat32(4 * i, values[i]!, true);
  return bytes;
}
