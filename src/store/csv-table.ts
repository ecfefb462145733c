import { moveRecordFields, type MoveRecord } from '../domain/move-record.js';
import {
  instanceSampleSchema,
  linkSampleSchema,
  type InstanceSample,
  type LinkSample,
} from '../domain/samples.js';

/** The kinds of data that a store gives out as tables, by the name on the command line. */
export interface TableItems {
  moves: MoveRecord;
  'link-samples': LinkSample;
  'instance-samples': InstanceSample;
}
export type TableKind = keyof TableItems;

/** The columns of each table in the order of the contract. */
export const tableColumns: { readonly [K in TableKind]: readonly (keyof TableItems[K] & string)[] } = {
  moves: moveRecordFields,
  'link-samples': Object.keys(linkSampleSchema.shape) as (keyof LinkSample)[],
  'instance-samples': Object.keys(instanceSampleSchema.shape) as (keyof InstanceSample)[],
};

/** The header of a CSV table, without its line end. */
export const csvHeader = (kind: TableKind): string => tableColumns[kind].join(',');

/**
 * One row of CSV (RFC 4180), without its line end: absent is empty, lists are `+`-joined, labels are JSON.
 *
 * @example
 * csvRow('link-samples', { at: '2026-01-01T00:00:00.000Z', link: 'a>b', throughput_mbps: 5 })
 *   === '2026-01-01T00:00:00.000Z,,a>b,5,'
 */
export function csvRow<K extends TableKind>(kind: K, item: TableItems[K]): string {
  return tableColumns[kind].map((column) => csvField(item[column])).join(',');
}

/** "None" is not "not known": an empty list is a separator alone, an absent one is nothing. */
const EMPTY_LIST = '+';

/** One field, quoted where it must be. */
export function csvField(value: unknown): string {
  if (value === undefined || value === null) return '';
  const text = Array.isArray(value)
    ? value.length === 0
      ? EMPTY_LIST
      : value.join('+')
    : typeof value === 'object'
      ? JSON.stringify(value)
      : String(value);
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
