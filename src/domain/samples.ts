import { z } from 'zod';
import * as field from './fields.js';
import type { Parsed } from './move-record.js';
import { fromIsoTime, toIsoTime } from './units.js';

/** The traffic of one link at one moment. `link` names a directed pair as `source>target`, or one node's port, such as `node-a:egress`. */
export const linkSampleSchema = z
  .object({
    at: field.time,
    cluster: field.name.optional(),
    link: field.name,
    throughput_mbps: field.mbps,
    capacity_mbps: field.mbps.optional(),
  })
  .meta({ id: 'LinkSample' });
export type LinkSample = z.infer<typeof linkSampleSchema>;

/** The load of one instance at one moment. */
export const instanceSampleSchema = z
  .object({
    at: field.time,
    cluster: field.name.optional(),
    instance: field.name,
    dirty_rate_mib_s: field.mibPerSecond.optional(),
    used_memory_mib: field.mib.optional(),
    cpu_load: z.number().nonnegative().max(1e6).optional(),
  })
  .meta({ id: 'InstanceSample' });
export type InstanceSample = z.infer<typeof instanceSampleSchema>;

/** The name of the directed link between two nodes. */
export const pairLink = (sourceNode: string, targetNode: string): string => `${sourceNode}>${targetNode}`;

/** Unknown outside value → link sample; `source_node` and `target_node` may stand in the place of `link`. */
export function parseLinkSample(raw: unknown): Parsed<LinkSample> {
  if (typeof raw !== 'object' || raw === null)
    return { ok: false, field: '', reason: 'must be an object with the fields of a link sample' };
  const value = withoutNulls(raw);
  if (
    value['link'] === undefined &&
    typeof value['source_node'] === 'string' &&
    typeof value['target_node'] === 'string'
  ) {
    value['link'] = pairLink(value['source_node'], value['target_node']);
  }
  return parseSample(linkSampleSchema, value);
}

/** Unknown outside value → instance sample. */
export function parseInstanceSample(raw: unknown): Parsed<InstanceSample> {
  if (typeof raw !== 'object' || raw === null)
    return { ok: false, field: '', reason: 'must be an object with the fields of an instance sample' };
  return parseSample(instanceSampleSchema, withoutNulls(raw));
}

function parseSample<T extends { at: string }>(schema: z.ZodType<T>, value: unknown): Parsed<T> {
  const result = schema.safeParse(value);
  if (!result.success) {
    const { field: path, message } = field.firstIssue(result.error);
    return { ok: false, field: path, reason: `${path} ${message}` };
  }
  result.data.at = toIsoTime(fromIsoTime(result.data.at));
  return { ok: true, value: result.data };
}

function withoutNulls(raw: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(raw).filter(([, item]) => item !== null && item !== undefined));
}
