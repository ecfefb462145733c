import { describe, expect, it } from '@jest/globals';
import { parseMoveRequest } from '../../src/domain/move-request.js';

const names = Object.freeze({ instance: 'web1', source_node: 'node1', target_node: 'node2' });

describe('parseMoveRequest', () => {
  it('needs nothing but three names', () => {
    expect(parseMoveRequest(names)).toEqual({ ok: true, value: names });
  });

  it('drops every outcome of a whole record, so that nothing known only afterwards can leak in', () => {
    const parsed = parseMoveRequest({
      ...names,
      started_at: '2026-11-22T10:00:00Z',
      duration_seconds: 5,
      status: 'failed',
      downtime_ms: 1,
      setup_ms: 1,
      transferred_mib: 1,
      throughput_mbps: 1,
      dirty_sync_count: 1,
    });
    expect(parsed).toEqual({ ok: true, value: { ...names, start_at: '2026-11-22T10:00:00.000Z' } });
  });

  it('names the field that is missing', () => {
    expect(parseMoveRequest({ instance: 'x' })).toEqual({
      ok: false,
      field: 'source_node',
      reason: 'source_node is missing',
    });
  });
});
