import { describe, expect, it } from '@jest/globals';
import { parseInstanceSample, parseLinkSample } from '../../src/domain/samples.js';

describe('samples', () => {
  it('a link sample may name two nodes in place of a link', () => {
    const parsed = parseLinkSample({
      at: '2026-11-22T10:00:00Z',
      source_node: 'a',
      target_node: 'b',
      throughput_mbps: 12,
    });
    expect(parsed).toEqual({
      ok: true,
      value: { at: '2026-11-22T10:00:00.000Z', link: 'a>b', throughput_mbps: 12 },
    });
  });

  it('a sample without a time is refused with the field', () => {
    expect(parseLinkSample({ link: 'a>b', throughput_mbps: 1 })).toMatchObject({ ok: false, field: 'at' });
    expect(parseInstanceSample({ instance: 'vm' })).toMatchObject({ ok: false, field: 'at' });
  });

  it('null counts as absent', () => {
    expect(parseInstanceSample({ at: '2026-11-22T10:00:00Z', instance: 'vm', cpu_load: null })).toEqual({
      ok: true,
      value: { at: '2026-11-22T10:00:00.000Z', instance: 'vm' },
    });
  });
});
