import { describe, expect, it } from '@jest/globals';
import { domainJsonSchema } from '../../src/domain/json-schema.js';

describe('JSON Schema', () => {
  it('of a move record requires what the contract requires and knows every field of it', () => {
    const schema = domainJsonSchema('MoveRecord') as {
      required: string[];
      properties: Record<string, unknown>;
    };
    expect([...schema.required].sort()).toEqual(
      ['duration_seconds', 'id', 'instance', 'operation', 'source_node', 'started_at', 'target_node'].sort(),
    );
    for (const field of ['memory_mib', 'background_mbps', 'capabilities', 'downtime_ms', 'labels'])
      expect(schema.properties).toHaveProperty(field);
  });

  it('of a request requires three names and holds no outcome', () => {
    const schema = domainJsonSchema('MoveRequest') as {
      required: string[];
      properties: Record<string, unknown>;
    };
    expect([...schema.required].sort()).toEqual(['instance', 'source_node', 'target_node']);
    for (const outcome of ['duration_seconds', 'status', 'downtime_ms', 'transferred_mib'])
      expect(schema.properties).not.toHaveProperty(outcome);
  });
});
