import { instanceSampleSchema, linkSampleSchema } from '../../domain/samples.js';
import { columnTypes, isTableFile } from './records.js';
import type { LogSource } from './source.js';
import { USUAL_LINE_BYTES } from './source.js';
import { detectTable, TableParser, type TableShape } from './table.js';

const linkShape: TableShape = {
  kind: 'link-sample',
  rowName: 'a link sample',
  columns: columnTypes(linkSampleSchema.shape).set('source_node', 'text').set('target_node', 'text'),
  missingColumn(header) {
    if (!header.has('at')) return 'at';
    if (!header.has('link') && !(header.has('source_node') && header.has('target_node')))
      return 'link (or source_node and target_node)';
    return header.has('throughput_mbps') ? undefined : 'throughput_mbps';
  },
};

const instanceShape: TableShape = {
  kind: 'instance-sample',
  rowName: 'an instance sample',
  columns: columnTypes(instanceSampleSchema.shape),
  missingColumn: (header) => ['at', 'instance'].find((name) => !header.has(name)),
};

/** Traffic of links over time: JSONL, or CSV with the same names. */
export const linkSamplesSource: LogSource = {
  name: 'link-samples',
  summary: 'traffic of links over time, as JSONL or CSV',
  unit: 'line',
  version: 1,
  longestLineBytes: USUAL_LINE_BYTES,
  strictUtf8: true,
  standsAlone: true,
  detect: (head) =>
    detectTable(
      head,
      [
        ['at', 'link', 'throughput_mbps'],
        ['at', 'source_node', 'target_node', 'throughput_mbps'],
      ],
      new Set(linkShape.columns.keys()),
    ),
  ownsFile: isTableFile,
  parser: (_context, state) => new TableParser(linkShape, state),
};

/** Load of instances over time: JSONL, or CSV with the same names. */
export const instanceSamplesSource: LogSource = {
  name: 'instance-samples',
  summary: 'load of instances over time, as JSONL or CSV',
  unit: 'line',
  version: 1,
  longestLineBytes: USUAL_LINE_BYTES,
  strictUtf8: true,
  standsAlone: true,
  detect: (head) =>
    detectTable(
      head,
      ['dirty_rate_mib_s', 'used_memory_mib', 'cpu_load'].map((name) => ['at', 'instance', name]),
      new Set(instanceShape.columns.keys()),
    ),
  ownsFile: isTableFile,
  parser: (_context, state) => new TableParser(instanceShape, state),
};
