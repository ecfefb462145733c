import { describe, expect, it } from '@jest/globals';
import type { MoveCosts } from '../../src/balancer/move-costs.js';
import { ConstantMoveCosts } from '../../src/balancer/constant-move-costs.js';
import { LearningCosts } from '../../src/commands/learning-costs.js';
import type { Operation } from '../../src/domain/move-record.js';
import type { MoveRequest } from '../../src/domain/move-request.js';
import { HttpMoveCosts } from '../../src/service/http-move-costs.js';

const request: MoveRequest = {
  instance: 'a',
  source_node: 'n1',
  target_node: 'n2',
  operation: 'live_migration',
  memory_mib: 1000,
};
const pace = (migrations: number) => ({
  records: [],
  ratio: (operation: Operation) => (operation === 'live_migration' ? migrations : 1),
});

describe('durations that follow an execution', () => {
  const p50 = async (costs: MoveCosts): Promise<number> => (await costs.durations([request])).p50[0]!;

  it('go by the pace of the operation, plan after plan', async () => {
    const costs = new LearningCosts(new ConstantMoveCosts({}), () => 0);
    expect(await p50(costs)).toBe(18);
    costs.learn(pace(2));
    expect(await p50(costs)).toBe(36);
    costs.learn(pace(1.5));
    expect(await p50(costs)).toBe(54);
    const copy = { ...request, operation: 'disk_replication' as const, disk_mib: 60 };
    expect((await costs.durations([copy])).p50[0]).toBe(11);
  });

  it('take the pace of a service for its own durations, and not for plain figures in their place', async () => {
    let [now, isSilent] = [0, false];
    const service = new HttpMoveCosts('http://127.0.0.1:9', {
      now: () => now,
      fetch: () =>
        Promise.resolve(
          isSilent
            ? new Response('', { status: 500 })
            : Response.json({
                predictions: [
                  {
                    duration_seconds: { p10: 5, p50: 10, p90: 20 },
                    model: { name: 'default', version: '7' },
                  },
                ],
              }),
        ),
    });
    const costs = new LearningCosts(service, () => now);
    expect(await p50(costs)).toBe(10);
    costs.learn(pace(3));
    expect(await p50(costs)).toBe(30);
    isSilent = true;
    const another = { ...request, instance: 'b' };
    expect((await costs.durations([another])).p50[0]).toBe(18);
    costs.learn(pace(2));
    expect(await p50(costs)).toBe(36);
    [now, isSilent] = [600_000, false];
    expect(await p50(costs)).toBe(30);
  });
});
