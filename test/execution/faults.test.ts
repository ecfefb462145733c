import { readFileSync, writeFileSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { UserError } from '../../src/domain/errors.js';
import type { Plan, PlanStep } from '../../src/domain/plan.js';
import type { AuditSink } from '../../src/execution/audit-log.js';
import type { CarryOutOptions } from '../../src/execution/carry-out.js';
import type { ExecutionReport, GivenPrediction } from '../../src/execution/execution-settings.js';
import type { FakeJob } from '../ganeti/fake-cluster.js';
import type { FakeFault, FakeRequest } from '../ganeti/fake-rapi.js';
import { SqliteStore } from '../../src/store/sqlite-store.js';
import { endOf, harnesses, isSubmission, type Harness } from './harness.js';

/** What may go wrong under a plan: it stops in a safe state, says what happened, and does nothing twice. */

const onto = harnesses();

/** The look that finds out about the first submission also finds that somebody moved another instance of the plan. */
function failFirstSubmission(h: Awaited<ReturnType<typeof onto>>, fault: { kind: 'reset' | 'lost' }): void {
  let submissions = 0;
  h.server.faultOf = (request) => {
    if (!isSubmission(request) || ++submissions !== 1) return undefined;
    h.cluster.submit({ OP_ID: 'OP_INSTANCE_MIGRATE', instance_name: 'db1', target_node: 'n4' });
    return fault;
  };
}

/** Calls once, when the n-th job of the queue begins. */
function whenBegins(h: Harness, nth: number, then: (job: FakeJob) => void): void {
  const usual = h.cluster.outcomeOf;
  let begun = 0;
  h.cluster.outcomeOf = (job) => {
    if (++begun === nth) h.cluster.clock.at(h.cluster.clock.now() + 1000, () => then(job));
    return usual(job);
  };
}

function expectSafe(h: Harness): void {
  expect(h.repeated()).toEqual([]);
  expect(h.outOfOrder()).toEqual([]);
  expect([...h.broken]).toEqual([]);
}

async function readAll<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const run = async (h: Harness, options: Partial<CarryOutOptions> = {}): Promise<[ExecutionReport, Plan]> => {
  const plan = await h.plan();
  return [await h.run(plan, options), plan];
};

describe('what stops an execution', () => {
  it.each<[string, (h: Harness) => void, RegExp]>([
    ['the master fails over', (h) => h.cluster.failOver('n2'), /master failed over from n1 to n2/],
    ['the queue is drained', (h) => void (h.cluster.queueIsDrained = true), /Job queue is drained/],
    ['a node goes offline', (h) => void (h.cluster.node('n4')!.offline = true), /node n4 went offline/],
    [
      'a node is drained',
      (h) => void (h.cluster.node('n4')!.drained = true),
      /node n4 went offline, was drained/,
    ],
    [
      'an instance is renamed',
      (h) => void (h.cluster.instance('db3')!.name = 'renamed'),
      /db3 is no longer there: it was renamed/,
    ],
    [
      'an instance is removed',
      (h) => void (h.cluster.instances = h.cluster.instances.filter(({ name }) => name !== 'web4')),
      /web4 is no longer there/,
    ],
    [
      'hbal runs at the same time',
      (h) =>
        void h.cluster.submit({
          OP_ID: 'OP_INSTANCE_MIGRATE',
          instance_name: 'db7',
          target_node: 'n4',
          reason: [['hbal', 'hbal called', 0]],
        }),
      /another balancer is at work \(job \d+ on db7\)/,
    ],
    ['another cluster answers', (h) => void (h.cluster.uuid = 'other'), /another cluster answers/],
  ])('%s', async (_case, happens, words) => {
    const h = await onto();
    whenBegins(h, 1, () => happens(h));
    const [report, plan] = await run(h);
    expect(report.outcome).toBe('stopped');
    expect(report.why).toMatch(words);
    expect(report.done).toBeLessThan(plan.moves.length);
    expect(report.stillRunning).toEqual([]);
    expect(h.audit().at(-1)).toMatchObject({ event: 'end', why: report.why });
    expectSafe(h);
  });

  it('another balancer at the very beginning: nothing is changed', async () => {
    const h = await onto();
    const plan = await h.plan();
    h.cluster.outcomeOf = () => ({ kind: 'hang' });
    h.cluster.submit({
      OP_ID: 'OP_INSTANCE_FAILOVER',
      instance_name: 'db7',
      target_node: 'n4',
      comment: 'rebalancing via hbal (ganeti) 3.0.2',
    });
    const report = await h.run(plan);
    expect(report).toMatchObject({
      outcome: 'stopped',
      done: 0,
      why: expect.stringContaining('another balancer'),
    });
    expect(h.cluster.jobs).toHaveLength(1);
  });

  it('the certificate is another one: nothing is sent', async () => {
    const h = await onto();
    const plan = await h.plan();
    await expect(
      h.run(plan, {}, { pinSha256: '00'.repeat(32), address: h.server.url.replace('http:', 'https:') }),
    ).rejects.toThrow(/127\.0\.0\.1/);
    expect(h.cluster.jobs).toEqual([]);
  });

  it('the disk with the audit log is full, from any line on: nothing is changed without its line', async () => {
    for (let room = 0; room < 9; room++) {
      const h = await onto();
      const lines: string[] = [];
      const sink: AuditSink = {
        append(text) {
          if (lines.length >= room)
            return Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' }));
          lines.push(text);
          return appendFile(h.auditPath, text);
        },
        close: () => Promise.resolve(),
      };
      const plan = await h.plan();
      const why = await h.run(plan, { openAuditSink: () => Promise.resolve(sink) }).then(
        (report) => report.why,
        (error: unknown) => String(error),
      );
      expect(why).toContain('no space left on the disk');
      const noted = lines.filter((line) => line.includes('"event":"intent"')).length;
      expect(h.cluster.jobs).toHaveLength(noted);
      expectSafe(h);
    }
  });

  it('a real full disk', async () => {
    const h = await onto();
    const plan = await h.plan();
    await expect(h.run(plan, { auditPath: '/dev/full' })).rejects.toThrow(
      /no space left on the disk.*--audit/,
    );
    expect(h.cluster.jobs).toEqual([]);
  });

  it('a job vanishes from the queue', async () => {
    const h = await onto();
    const usual = h.cluster.outcomeOf;
    h.cluster.outcomeOf = (job) => (job.id === 102 ? { kind: 'vanish' } : usual(job));
    const [report] = await run(h);
    expect(report).toMatchObject({
      outcome: 'stopped',
      why: expect.stringContaining('vanished from the queue'),
    });
    expectSafe(h);
  });

  it('a job hangs: the others go on, and it is named at the end', async () => {
    const h = await onto();
    const usual = h.cluster.outcomeOf;
    h.cluster.outcomeOf = (job) => (job.id === 103 ? { kind: 'hang' } : usual(job));
    const [report] = await run(h);
    expect(report.outcome).toBe('stopped');
    expect(report.why).toMatch(/jobs that do not end; still running: job 103/);
    expect(report.stillRunning.map(({ job }) => job)).toContain(103);
    expectSafe(h);
  });

  it('the cluster does not tell its nodes any more, though the master answers', async () => {
    const h = await onto();
    whenBegins(h, 1, () => {
      h.server.faultOf = ({ path }) => (path === '/2/nodes' ? { kind: 'not-json' } : undefined);
    });
    const [report] = await run(h);
    expect(report).toMatchObject({ outcome: 'stopped', why: expect.stringContaining('waited for 600 s') });
    expectSafe(h);
  });

  it('the master stays away', async () => {
    const h = await onto();
    whenBegins(h, 2, () => void (h.server.faultOf = () => ({ kind: 'reset' })));
    const [report] = await run(h, { patienceMs: 120_000 });
    expect(report).toMatchObject({ outcome: 'stopped', why: expect.stringContaining('waited for 120 s') });
    expect(report.stillRunning).not.toEqual([]);
    expectSafe(h);
  });
});

describe('what an execution gets over', () => {
  const FAULTS: [string, FakeFault][] = [
    ['slow answers', { kind: 'slow', seconds: 40 }],
    ['answers that come too late', { kind: 'slow', seconds: 70 }],
    ['server errors', { kind: 'status', status: 502 }],
    ['half answers', { kind: 'half' }],
    ['reset connections', { kind: 'reset' }],
    ['something that is not Ganeti', { kind: 'not-json' }],
  ];
  it.each(FAULTS)('%s to what only asks', async (_case, fault) => {
    const h = await onto();
    const plan = await h.plan();
    const wanted = endOf(h.cluster, plan);
    let asked = 0;
    h.server.faultOf = (request) =>
      !isSubmission(request) && ++asked > 8 && asked % 7 === 0 ? fault : undefined;
    const report = await h.run(plan);
    expect(report.outcome).toBe('done');
    expect(h.cluster.placement()).toEqual(wanted);
    expectSafe(h);
  });

  it.each<[string, FakeFault]>([
    ['lost', { kind: 'lost' }],
    ['broken off in the middle', { kind: 'half' }],
    ['too late', { kind: 'slow', seconds: 70 }],
    ['a reset before anything was done', { kind: 'reset' }],
    ['a 504 before anything was done', { kind: 'status', status: 504 }],
  ])('an answer to a submission: %s', async (_case, fault) => {
    const h = await onto();
    const plan = await h.plan();
    const wanted = endOf(h.cluster, plan);
    let asked = 0;
    h.server.faultOf = (request) => (isSubmission(request) && ++asked % 3 === 1 ? fault : undefined);
    const report = await h.run(plan);
    expect(report).toMatchObject({ outcome: 'done', done: plan.moves.length });
    expect(h.cluster.placement()).toEqual(wanted);
    expectSafe(h);
  });

  it('a submission that is given up after a new plan was made, which took it for made: planned anew', async () => {
    const h = await onto();
    const plan = await h.plan();
    failFirstSubmission(h, { kind: 'reset' });
    const report = await h.run(plan);
    expect(report.outcome).toBe('done');
    expect(h.told('plan').slice(1)).toMatchObject([
      { why: expect.stringContaining('changed db1 meanwhile') },
      { why: 'the move of web0, on which the plan counts, was not made' },
    ]);
    expect(h.cluster.placement()).toEqual(endOf(h.cluster, h.lastPlan()));
    expectSafe(h);
  });

  it('a move of an old plan ends: that is not the end of the move of the new plan with its number', async () => {
    const h = await onto();
    const plan = await h.plan();
    let submissions = 0;
    h.server.faultOf = (request) => {
      if (!isSubmission(request) || ++submissions !== 1) return undefined;
      h.cluster.submit({ OP_ID: 'OP_INSTANCE_MIGRATE', instance_name: 'db1', target_node: 'n4' });
      return { kind: 'lost' };
    };
    // A long move that will not end in time, and a short one that has to wait for it.
    const [long, short] = ['web2', 'db3'].map((name) =>
      plan.moves.find(({ instance }) => instance === name)!,
    );
    const moves = [
      { ...long!, index: 0, after: [] },
      { ...short!, index: 1, after: [0] },
    ];
    const report = await h.run(plan, {
      deadlineMs: h.cluster.clock.now() + 190_000,
      replan: () => Promise.resolve({ ...plan, moves }),
    });
    expect(report).toMatchObject({
      done: 1,
      left: 2,
      why: expect.stringContaining('what is left would not end in time'),
    });
    expectSafe(h);
  });

  it('a submission that comes into the queue after it was given up: it is taken back, and that is the end', async () => {
    const h = await onto();
    const plan = await h.plan();
    let late: FakeRequest | undefined;
    h.server.faultOf = (request) => {
      if (!isSubmission(request) || late !== undefined) return undefined;
      late = request;
      h.cluster.clock.at(h.cluster.clock.now() + 200_000, () => {
        h.cluster.submit({
          ...(request.body as Record<string, unknown>),
          OP_ID: 'OP_INSTANCE_REPLACE_DISKS',
          instance_name: 'web0',
        });
      });
      return { kind: 'reset' };
    };
    const report = await h.run(plan);
    expect(report).toMatchObject({ outcome: 'stopped', why: expect.stringContaining('came late') });
    expectSafe(h);
  });

  it('the master refuses connections for a while, and is back', async () => {
    const h = await onto();
    const plan = await h.plan();
    const wanted = endOf(h.cluster, plan);
    let isDown = false;
    h.server.faultOf = () => (isDown ? { kind: 'reset' } : undefined);
    whenBegins(h, 2, () => {
      isDown = true;
      h.cluster.clock.at(h.cluster.clock.now() + 300_000, () => void (isDown = false));
    });
    const report = await h.run(plan);
    expect(report.outcome).toBe('done');
    expect(h.cluster.placement()).toEqual(wanted);
    expect(h.told('outage').length).toBeGreaterThan(0);
    expect(h.told('back').length).toBeGreaterThan(0);
    expectSafe(h);
  });

  it('a move that fails: its instance stays, the others are planned anew', async () => {
    const h = await onto();
    const usual = h.cluster.outcomeOf;
    h.cluster.outcomeOf = (job) =>
      job.input.instance_name === 'db1' ? { kind: 'failure', seconds: 3 } : usual(job);
    const [report] = await run(h);
    expect(report).toMatchObject({ outcome: 'done', failed: 1 });
    expect(h.cluster.placement()['db1']).toBe('n2');
    expect(h.told('plan')).toHaveLength(2);
    expect(h.told('fail')).toMatchObject([{ instance: 'db1', why: expect.stringContaining('broken pipe') }]);
    expect(report.score).toBeLessThan(h.model().instances.length);
    expectSafe(h);
  });

  it('a step that is submitted after a new plan was made belongs to the plan of its move, also in the audit log', async () => {
    const h = await onto();
    const plan = await h.plan();
    failFirstSubmission(h, { kind: 'lost' });
    const report = await h.run(plan);
    expect(report.outcome).toBe('done');
    expect(h.told('plan')).toHaveLength(2);
    const intents = h.audit().flatMap((entry) => (entry.event === 'intent' ? [entry] : []));
    const ofMove = intents.filter(({ instance, letters }) => instance === 'web0' && letters === 'r:n3 f');
    expect(ofMove.map(({ why }) => why)).toEqual(['move 0 of plan 1', 'move 0 of plan 1']);
    for (const { score_before } of ofMove) expect(score_before).toBe(plan.score_before);
    expectSafe(h);
  });

  it('a compound move that fails in its middle: the rest of it does not happen', async () => {
    const h = await onto();
    const usual = h.cluster.outcomeOf;
    h.cluster.outcomeOf = (job) => (job.id === 100 ? { kind: 'failure', seconds: 3 } : usual(job));
    const [report] = await run(h);
    expect(report.failed).toBe(1);
    expect(h.cluster.job(101)!.status).toBe('error');
    expectSafe(h);
  });

  it('somebody else moves an instance of the plan: a new plan takes it where it is', async () => {
    const h = await onto();
    whenBegins(h, 1, () => {
      h.cluster.instance('db5')!.primary = 'n3';
      h.cluster.instance('db3')!.primary = 'n4';
    });
    const [report] = await run(h);
    expect(report.outcome).toBe('done');
    expect(h.told('plan').length).toBeGreaterThan(1);
    expectSafe(h);
  });

  it('without a way to plan anew, it stops instead', async () => {
    const h = await onto();
    whenBegins(h, 1, () => void (h.cluster.instance('db1')!.primary = 'n3'));
    const [report] = await run(h, { replan: undefined });
    expect(report).toMatchObject({
      outcome: 'stopped',
      why: expect.stringContaining('somebody else moved it'),
    });
    expectSafe(h);
  });

  it('no new plan can be made, for whoever knows durations is away: it stops and lets what runs finish', async () => {
    const h = await onto();
    whenBegins(h, 1, () => void (h.cluster.instance('db1')!.primary = 'n3'));
    const [report] = await run(h, {
      replan: () => Promise.reject(new UserError('service-unavailable', 'the service does not answer')),
    });
    expect(report).toMatchObject({
      outcome: 'stopped',
      stillRunning: [],
      why: expect.stringContaining('no new plan could be made: the service does not answer'),
    });
    expectSafe(h);
  });

  it('memory that is taken meanwhile: the move does not start, whatever the plan said', async () => {
    const h = await onto();
    whenBegins(h, 2, () => {
      const big = {
        name: 'big',
        memory: 15_000,
        template: 'plain',
        primary: 'n4',
        secondary: undefined,
      } as const;
      h.cluster.instances.push({ ...h.cluster.instance('web0')!, ...big });
    });
    const [report] = await run(h, { replan: undefined });
    expect(report).toMatchObject({
      outcome: 'stopped',
      why: expect.stringContaining('the move of db1 to n4 would break a rule now'),
    });
    expectSafe(h);
  });

  it("an operator's own job on the same nodes: the moves wait for it", async () => {
    const h = await onto();
    const plan = await h.plan();
    h.cluster.submit({ OP_ID: 'OP_INSTANCE_REPLACE_DISKS', instance_name: 'web6', remote_node: 'n3' });
    const report = await h.run(plan);
    expect(h.told('hold').length).toBeGreaterThan(0);
    const theirs = h.cluster.job(100)!;
    for (const job of h.cluster.jobs.filter(({ id }) => id > 100)) {
      const locks = [job.input.instance_name, 'n1', 'n2', 'n3'];
      expect(locks.length > 0 && job.receivedMs >= theirs.endMs!).toBe(true);
    }
    expect(report.outcome).toBe('done');
    expectSafe(h);
  });

  it.each([
    ['an operator', {}],
    ['another balancer', { comment: 'rebalancing via hbal (ganeti) 3.0.2' }],
  ])(
    '%s moves an instance of the plan there and back between two looks at the queue',
    async (_who, words) => {
      const h = await onto();
      const usual = h.cluster.outcomeOf;
      const isOurs = ({ input }: FakeJob): boolean => String(input['comment']).startsWith('movecast ');
      h.cluster.outcomeOf = (job) => (isOurs(job) ? usual(job) : { kind: 'success', seconds: 1 });
      whenBegins(h, 2, () => {
        for (const node of ['n4', 'n2'])
          h.cluster.submit({
            OP_ID: 'OP_INSTANCE_MIGRATE',
            instance_name: 'db1',
            target_node: node,
            ...words,
          });
      });
      const [report] = await run(h);
      const [first] = h.cluster.jobs.filter((job) => !isOurs(job));
      expect(h.told('hold')).toEqual([]);
      expect(h.told('plan').slice(1)).toMatchObject([
        { why: `somebody else's job ${first!.id} changed db1 meanwhile` },
      ]);
      expect(report.outcome).toBe('done');
      expectSafe(h);
    },
  );

  it("somebody else's jobs that end between two looks and change nothing of the plan: it goes on", async () => {
    const h = await onto();
    const usual = h.cluster.outcomeOf;
    h.cluster.outcomeOf = (job) =>
      job.input.instance_name === 'db7' ? { kind: 'success', seconds: 1 } : usual(job);
    const plan = await h.plan();
    expect(plan.moves.map(({ instance }) => instance)).not.toContain('db7');
    whenBegins(h, 2, () => {
      h.cluster.submit({ OP_ID: 'OP_INSTANCE_MIGRATE', instance_name: 'db7', target_node: 'n4' });
      h.cluster.submit({ OP_ID: 'OP_INSTANCE_MIGRATE', instance_name: 'db7', target_node: 'n2' });
    });
    expect(await h.run(plan)).toMatchObject({ outcome: 'done', done: plan.moves.length });
    expect(h.told('plan')).toHaveLength(1);
    expectSafe(h);
  });

  it('moves that take far longer than predicted: predicted and planned anew', async () => {
    const h = await onto();
    const usual = h.cluster.usualSeconds.bind(h.cluster);
    h.cluster.outcomeOf = (job) => ({ kind: 'success', seconds: 6 * usual(job) });
    const ratios: number[] = [];
    const plan = await h.plan();
    const report = await h.run(plan, {
      replan: (request) => {
        ratios.push(request.ratio('disk_replication'));
        return h.replan(request);
      },
    });
    expect(report.outcome).toBe('done');
    const answers = h.events.filter(
      (event) => 'why' in event && event.why.includes('as long as was predicted'),
    );
    expect(answers).toHaveLength(ratios.length);
    expect(ratios.length).toBeGreaterThan(0);
    expectSafe(h);
  });
});

describe('predictions kept for the moves that are made', () => {
  const predictionOf = (step: PlanStep): GivenPrediction => ({
    predicted_at: '2026-06-01T00:00:00Z',
    prediction: {
      duration_seconds: { ...step.duration_seconds, p05: 1, p95: 1000, mean: 5 },
      completion_probability: 1,
      basis: 'prior',
      inputs_filled: [],
      model: { name: 'm', version: '1' },
      warnings: [],
    },
  });

  it('have the ids of the records, whatever became of the answer to the submission', async () => {
    const h = await onto();
    const plan = await h.plan();
    let asked = 0;
    h.server.faultOf = (request) =>
      isSubmission(request) && ++asked % 3 === 1 ? { kind: 'lost' } : undefined;
    const store = await SqliteStore.open(join(h.folder, 'moves.db'));
    await h.run(plan, { store, predictionOf });
    const kept = await readAll(store.keptPredictions());
    const records = await readAll(store.moves());
    expect(kept.map(({ move_id }) => move_id).sort()).toEqual(records.map(({ id }) => id).sort());
    expect(records).toHaveLength(h.cluster.jobs.length);
    await store.close();
  });

  it('a store that is full: the moves go on, and it is said that accuracy will not know them', async () => {
    const h = await onto();
    const plan = await h.plan();
    const store = await SqliteStore.open(join(h.folder, 'moves.db'));
    store.keepPredictions = () => Promise.reject(new UserError('store-unavailable', 'moves.db: is full'));
    const report = await h.run(plan, { store, predictionOf });
    expect(report.outcome).toBe('done');
    expect(h.told('remark')[0]).toMatchObject({
      why: expect.stringMatching(/^moves\.db: is full; accuracy will not know job 100$/),
    });
    await store.close();
  });
});

describe('a new plan for other times only', () => {
  it('does not take the place of a better one', async () => {
    const h = await onto();
    const usual = h.cluster.usualSeconds.bind(h.cluster);
    h.cluster.outcomeOf = (job) => ({ kind: 'success', seconds: 6 * usual(job) });
    const plan = await h.plan();
    const wanted = endOf(h.cluster, plan);
    const nothing = { ...plan, moves: [], score_after: plan.score_before };
    const report = await h.run(plan, { replan: () => Promise.resolve(nothing) });
    expect(report).toMatchObject({ outcome: 'done', done: plan.moves.length });
    expect(h.cluster.placement()).toEqual(wanted);
    expect(h.told('remark')).toContainEqual(
      expect.objectContaining({ why: expect.stringContaining('no better plan is found') }),
    );
  });

  it('is judged with what the plan before it has gained: it is the rest of a whole', async () => {
    const h = await onto();
    const usual = h.cluster.usualSeconds.bind(h.cluster);
    h.cluster.outcomeOf = (job) => ({ kind: 'success', seconds: 6 * usual(job) });
    const plan = await h.plan();
    const whole = plan.score_before - plan.score_after;
    const gains: number[] = [];
    const report = await h.run(plan, {
      // Found as good as the one before, so that it takes its place.
      replan: async (request) => ({ ...(await h.replan(request)), score_after: plan.score_after }),
      unworthyOf: ({ score_before, score_after }) => {
        gains.push(score_before - score_after);
        return score_before - score_after < 0.9 * whole ? 'it gains too little' : undefined;
      },
    });
    expect(gains.length).toBeGreaterThan(0);
    expect(report).toMatchObject({ outcome: 'done', left: 0 });
    expectSafe(h);
  });
});

describe('limits of time', () => {
  it('starts nothing that would by its p90 end after the deadline, and says what is left', async () => {
    const h = await onto();
    const plan = await h.plan();
    const deadlineMs = h.cluster.clock.now() + 300_000;
    const report = await h.run(plan, { deadlineMs });
    expect(report).toMatchObject({ outcome: 'stopped', why: expect.stringContaining('the time is up') });
    expect(report.done + report.left).toBe(plan.moves.length);
    expect(report.done).toBeGreaterThan(0);
    for (const job of h.cluster.jobs) expect(job.endMs).toBeLessThanOrEqual(deadlineMs);
  });

  it('takes a job back that has waited for locks until it would be late', async () => {
    const h = await onto();
    const plan = await h.plan();
    // Locks that the queue does not show: the job waits for its turn.
    h.cluster.schedule = () => {
      for (const job of h.cluster.jobs) if (job.status === 'queued') job.status = 'waiting';
    };
    const report = await h.run(plan, { deadlineMs: h.cluster.clock.now() + 300_000 });
    expect(report).toMatchObject({ outcome: 'stopped', done: 0, left: plan.moves.length });
    expect(h.cluster.jobs.every(({ status }) => status === 'canceled')).toBe(true);
    expect(h.cluster.jobs.length).toBeGreaterThan(0);
  });
});

describe('signals', () => {
  it('the first one: what runs is left to finish, what waits is taken back, nothing new starts', async () => {
    const h = await onto();
    whenBegins(h, 1, () => h.stop.abort());
    const [report, plan] = await run(h);
    expect(report).toMatchObject({ outcome: 'stopped', done: 1, left: plan.moves.length - 1 });
    expect(report.why).toContain('told to stop');
    expect(h.cluster.jobs.every(({ status }) => status === 'success')).toBe(true);
    expect(h.cluster.jobs).toHaveLength(2);
    expectSafe(h);
  });

  it('the second one leaves at once and says which jobs still run', async () => {
    const h = await onto();
    h.cluster.outcomeOf = () => ({ kind: 'hang' });
    whenBegins(h, 1, () => {
      h.stop.abort();
      h.cluster.clock.at(h.cluster.clock.now() + 5000, () => h.leave.abort());
    });
    const [report] = await run(h);
    expect(report).toMatchObject({
      outcome: 'stopped',
      why: expect.stringContaining('still running: job 100 (web0), job 101 (web0)'),
    });
  });
});

describe('after a crash', () => {
  /** Runs until a request goes wrong in such a way that the process could as well have been killed there. */
  async function crash(h: Harness, nth: number, isDone: boolean): Promise<void> {
    let submissions = 0;
    h.server.faultOf = (request) => {
      if (!isSubmission(request) || ++submissions !== nth) return undefined;
      h.leave.abort();
      return { kind: isDone ? 'lost' : 'reset' };
    };
    await h.run(await h.plan()).catch(() => undefined);
    h.server.faultOf = () => undefined;
  }

  it.each([1, 2, 3, 4, 5])('while submitting job %i, the next execution does nothing twice', async (nth) => {
    for (const isDone of [true, false]) {
      const h = await onto();
      await crash(h, nth, isDone);
      const again = h.afterwards();
      const report = await again.run(await again.plan());
      expect(report.outcome).toBe('done');
      expectSafe(again);
      expect(again.openIntents()).toEqual([]);
    }
  });

  it('jobs that still run are watched to their end before anything is planned on their nodes', async () => {
    const h = await onto();
    await crash(h, 3, true);
    const again = h.afterwards();
    const before = h.cluster.jobs.length;
    const report = await again.run(await again.plan());
    expect(again.told('adopt').length).toBeGreaterThan(0);
    const left = h.cluster.jobs.slice(0, before);
    for (const job of h.cluster.jobs.slice(before))
      for (const old of left.filter(({ input }) => input.instance_name === job.input.instance_name))
        expect(job.receivedMs).toBeGreaterThanOrEqual(old.endMs!);
    expect(report.outcome).toBe('done');
    expectSafe(again);
  });

  it('a line that was cut off in the middle of the log is passed over', async () => {
    const h = await onto();
    await crash(h, 2, true);
    writeFileSync(h.auditPath, readFileSync(h.auditPath, 'utf8').slice(0, -40));
    const again = h.afterwards();
    const report = await again.run(await again.plan());
    expect(report.why).toBe('the plan is carried out');
    expectSafe(again);
  });

  it('refuses a file that is no audit log rather than append to it', async () => {
    const h = await onto();
    writeFileSync(join(h.folder, 'notes'), 'dear diary\n');
    await expect(h.run(await h.plan(), { auditPath: join(h.folder, 'notes') })).rejects.toThrow(
      /is no audit log/,
    );
    expect(h.cluster.jobs).toEqual([]);
  });
});
