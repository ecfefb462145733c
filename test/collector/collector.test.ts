import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Checkpoints } from '../../src/collector/checkpoints.js';
import { Collector } from '../../src/collector/collector.js';
import { findInputs } from '../../src/collector/input-files.js';
import { Collection } from '../../src/collector/pipeline.js';
import { RejectsFile } from '../../src/collector/rejects.js';
import type { Sink } from '../../src/collector/sinks.js';
import { recordsSource } from '../../src/collector/sources/records.js';
import type { Finding, LogSource } from '../../src/collector/sources/source.js';

const root = mkdtempSync(join(tmpdir(), 'movecast-collector-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folder: string;
let log: string;
let number = 0;
beforeEach(() => {
  folder = join(root, `${++number}`);
  mkdirSync(folder);
  log = join(folder, 'moves.log');
});

/** A log whose moves take two lines, `begin NAME` and `end NAME`: what is open must live through restart and rotation. */
const twoLineSource: LogSource = {
  name: 'two-lines',
  summary: 'a log for tests',
  unit: 'line',
  version: 1,
  longestLineBytes: 1000,
  detect: () => 0,
  parser: (_context, state) => {
    const open = new Set((state as string[] | undefined) ?? []);
    return {
      line(text, line): Finding[] {
        const [word, name = ''] = text.split(' ');
        if (word === 'begin') open.add(name);
        else if (word === 'end' && open.delete(name)) return [{ kind: 'move', value: moveOf(name), line }];
        else return [{ kind: 'reject', line, reason: 'never began', text }];
        return [];
      },
      end: () => [...open].map((name) => ({ kind: 'reject', line: 0, reason: 'never ended', text: name })),
      state: () => [...open],
    };
  },
};

/** A file that is one move: its name. */
const oneFileSource: LogSource = {
  ...twoLineSource,
  name: 'one-file',
  unit: 'file',
  parser: () => {
    let name = '';
    return {
      line: (text): Finding[] => {
        name += text;
        return [];
      },
      end: () => [{ kind: 'move', value: moveOf(name), line: 1 }],
      state: () => undefined,
    };
  },
};

const moveOf = (name: string): Record<string, unknown> => ({
  id: name,
  instance: name,
  source_node: 'a',
  target_node: 'b',
  operation: 'failover',
  started_at: '2026-11-22T10:00:00.000Z',
  duration_seconds: 1,
});
const both = (name: string): string => `begin ${name}\nend ${name}\n`;

/** What one program collects; several may share a checkpoints file. */
function program(source: LogSource, { sink, written }: { sink?: Sink; written?: string } = {}) {
  const ids: string[] = [];
  const remarks: string[] = [];
  const rejects = new RejectsFile(join(folder, 'rejects'));
  const collection = new Collection({
    sink: sink ?? {
      add: async ({ moves }) => {
        ids.push(...moves.map(({ id }) => id));
        return { new: moves.length, known: 0 };
      },
    },
    rejects,
  });
  const stop = new AbortController();
  const collector = new Collector({
    collection,
    checkpoints: new Checkpoints(join(folder, 'checkpoints'), () => 0),
    source,
    context: {},
    settings: '',
    resume: true,
    stdin: (async function* () {})(),
    written: new Set(written === undefined ? [] : [written]),
    now: () => 0,
    remark: (sentence) => remarks.push(sentence),
    signal: stop.signal,
  });
  return {
    ids,
    remarks,
    collection,
    collector,
    stop,
    read: async () => collector.read(await findInputs([log])),
  };
}

/** Follows while `steps` happen to the log, one before each look; gives the ids that each look found. */
async function followed(source: LogSource, steps: readonly (() => void)[], path = log): Promise<string[][]> {
  const run = program(source);
  const looks: string[][] = [];
  let step = 0;
  await run.collector.follow([path], async () => {
    looks.push(run.ids.splice(0));
    if (step === steps.length) run.stop.abort();
    else steps[step++]!();
  });
  return looks;
}

describe('Collector', () => {
  it('resumes where the last run stopped: reads nothing twice, skips nothing', async () => {
    writeFileSync(log, `${both('m1')}begin m2\n`);
    const first = program(twoLineSource);
    await first.read();
    appendFileSync(log, `end m2\n${both('m3')}`);
    const second = program(twoLineSource);
    await second.read();
    expect([first.ids, second.ids]).toEqual([['m1'], ['m2', 'm3']]);
    expect(second.collection.counts.rejected).toBe(0);
  });

  it('leaves an unfinished last line for the next run', async () => {
    writeFileSync(log, `${both('m1')}begin m2\nen`);
    const first = program(twoLineSource);
    await first.read();
    appendFileSync(log, 'd m2\n');
    const second = program(twoLineSource);
    await second.read();
    expect([first.ids, second.ids]).toEqual([['m1'], ['m2']]);
    expect(first.remarks).toEqual([`${log}: its last line is not finished, and is left for the next time`]);
  });

  it.each([
    ['renamed', () => renameSync(log, `${log}.1`)],
    [
      'renamed and packed',
      () => {
        writeFileSync(`${log}.1.gz`, gzipSync(readFileSync(log)));
        unlinkSync(log);
      },
    ],
    [
      'copied and truncated',
      () => {
        copyFileSync(log, `${log}.1`);
        truncateSync(log);
      },
    ],
  ])('resumes across a log that was %s between two runs', async (_, rotate) => {
    writeFileSync(log, `${both('m1')}begin m2\n`);
    const first = program(twoLineSource);
    await first.read();
    appendFileSync(log, `${both('m3')}begin m4\n`);
    rotate();
    writeFileSync(log, `end m2\nend m4\n${both('m5')}`);
    const second = program(twoLineSource);
    await second.read();
    expect([first.ids, second.ids]).toEqual([['m1'], ['m3', 'm2', 'm4', 'm5']]);
    expect(second.collection.counts.rejected).toBe(0);
  });

  it('resumes across two rotations', async () => {
    writeFileSync(log, both('m1'));
    await program(twoLineSource).read();
    appendFileSync(log, 'begin m2\n');
    renameSync(log, `${log}.2`);
    writeFileSync(`${log}.1`, `end m2\n${both('m3')}`);
    writeFileSync(log, both('m4'));
    const second = program(twoLineSource);
    await second.read();
    expect(second.ids).toEqual(['m2', 'm3', 'm4']);
  });

  it('reads a log from its beginning when it was replaced by another one of the same size', async () => {
    writeFileSync(log, both('m1'));
    await program(twoLineSource).read();
    writeFileSync(log, both('m2'));
    const second = program(twoLineSource);
    await second.read();
    expect(second.ids).toEqual(['m2']);
    expect(second.remarks).toEqual([
      `${log}: was truncated or replaced since it was read last; it is read from its beginning, with the rotated files beside it`,
    ]);
  });

  it('skips nothing when the file that it read last is gone after several rotations', async () => {
    writeFileSync(log, both('m1'));
    await program(twoLineSource).read();
    unlinkSync(log);
    writeFileSync(`${log}.2.gz`, gzipSync(both('m2')));
    writeFileSync(`${log}.1`, both('m3'));
    writeFileSync(log, both('m4'));
    const second = program(twoLineSource);
    await second.read();
    expect(second.ids).toEqual(['m2', 'm3', 'm4']);
  });

  it('notes no checkpoint before the store has acknowledged', async () => {
    writeFileSync(log, both('m1'));
    const failing = program(twoLineSource, {
      sink: { add: () => Promise.reject(new Error('the store is gone')) },
    });
    await expect(failing.read()).rejects.toThrow('the store is gone');
    const second = program(twoLineSource);
    await second.read();
    expect(second.ids).toEqual(['m1']);
  });

  it('finds each move once, wherever the log is cut into runs', async () => {
    const names = Array.from({ length: 30 }, (_, index) => `m${index}`);
    const text = names
      .map((name, index) => `begin ${name}\n${index > 2 ? `end m${index - 3}\n` : ''}`)
      .join('');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(text.length), { maxLength: 5 }), async (places) => {
        folder = join(root, `${++number}`);
        mkdirSync(folder);
        log = join(folder, 'moves.log');
        writeFileSync(log, '');
        const ids: string[] = [];
        let from = 0;
        for (const place of [...places.toSorted((a, b) => a - b), text.length]) {
          appendFileSync(log, text.slice(from, place));
          from = place;
          const run = program(twoLineSource);
          await run.read();
          ids.push(...run.ids);
          expect(run.collection.counts.rejected).toBe(0);
        }
        expect(ids).toEqual(names.slice(0, -3));
      }),
      { numRuns: 50 },
    );
  });

  it('carries no table across rotation: each file has its own header', async () => {
    const header = 'instance,source_node,target_node,operation,started_at,duration_seconds,id\n';
    const row = (id: string): string => `vm,a,b,failover,2026-11-22T10:00:00Z,1,${id}\n`;
    log = join(folder, 'moves.csv');
    writeFileSync(log, header + row('m1'));
    await program(recordsSource).read();
    appendFileSync(log, row('m2'));
    renameSync(log, `${log}.1`);
    writeFileSync(log, header.replace('instance,', 'instance,note,') + row('m3').replace('vm,', 'vm,x,'));
    const second = program(recordsSource);
    await second.read();
    expect(second.ids).toEqual(['m2', 'm3']);
  });

  it('reads a file that is one job again only when it changed', async () => {
    writeFileSync(log, 'm1');
    const first = program(oneFileSource);
    await first.read();
    const second = program(oneFileSource);
    await second.read();
    writeFileSync(log, 'm2-longer');
    const third = program(oneFileSource);
    await third.read();
    expect([first.ids, second.ids, third.ids]).toEqual([['m1'], [], ['m2-longer']]);
  });
});

describe('Collector, of a file that is written while it is read,', () => {
  /** As a writer would, it adds to the file when the reader is at its end. */
  const writtenWhileRead = (times: number): LogSource => {
    let left = times;
    return {
      ...oneFileSource,
      parser: (context) => {
        const parser = oneFileSource.parser(context);
        return {
          ...parser,
          end: () => {
            if (left-- > 0) appendFileSync(log, '-and-more');
            return parser.end();
          },
        };
      },
    };
  };

  it('reads it again until it holds still', async () => {
    writeFileSync(log, 'm1');
    const run = program(writtenWhileRead(1));
    await run.read();
    expect(run.ids).toEqual(['m1-and-more']);
  });

  it('takes it as it is after the third time, and reads it again at the next run', async () => {
    writeFileSync(log, 'm1');
    const run = program(writtenWhileRead(3));
    await run.read();
    const next = program(oneFileSource);
    await next.read();
    expect([run.ids, next.ids]).toEqual([['m1-and-more-and-more'], ['m1-and-more-and-more-and-more']]);
  });
});

describe('Collector.follow', () => {
  it('reads lines as they come, an unfinished one when it is finished', async () => {
    writeFileSync(log, both('m1'));
    const looks = await followed(twoLineSource, [
      () => appendFileSync(log, 'begin m2\n'),
      () => appendFileSync(log, 'end m'),
      () => appendFileSync(log, `2\n${both('m3')}`),
    ]);
    expect(looks).toEqual([['m1'], [], [], ['m2', 'm3']]);
  });

  it('goes on across a rename, reading what was written in between', async () => {
    writeFileSync(log, both('m1'));
    const looks = await followed(twoLineSource, [
      () => {
        appendFileSync(log, `${both('m2')}begin m3\n`);
        renameSync(log, `${log}.1`);
      },
      () => appendFileSync(`${log}.1`, both('m4')), // its writer has not opened the new one yet
      () => writeFileSync(log, `end m3\n${both('m5')}`),
      () => appendFileSync(log, both('m6')),
    ]);
    expect(looks).toEqual([['m1'], ['m2'], ['m4'], ['m3', 'm5'], ['m6']]);
  });

  it('goes on across a rename to another folder', async () => {
    writeFileSync(log, both('m1'));
    const looks = await followed(twoLineSource, [
      () => {
        appendFileSync(log, `${both('m2')}begin m3\nend m3`);
        mkdirSync(join(folder, 'old'));
        renameSync(log, join(folder, 'old', 'x'));
        writeFileSync(log, both('m4'));
      },
    ]);
    expect(looks).toEqual([['m1'], ['m2', 'm3', 'm4']]);
  });

  it('goes on across copy and truncate, reading what was written in between', async () => {
    writeFileSync(log, both('m1'));
    const looks = await followed(twoLineSource, [
      () => {
        appendFileSync(log, `${both('m2')}begin m3\n`);
        copyFileSync(log, `${log}.1`);
        truncateSync(log);
        appendFileSync(log, `end m3\n${both('m4')}`);
      },
      () => appendFileSync(log, both('m5')),
    ]);
    expect(looks).toEqual([['m1'], ['m2', 'm3', 'm4'], ['m5']]);
  });

  it('sees a truncation after which the log grew beyond where it was', async () => {
    writeFileSync(log, both('m1'));
    const looks = await followed(twoLineSource, [() => writeFileSync(log, both('m2') + both('m3'))]);
    expect(looks).toEqual([['m1'], ['m2', 'm3']]);
  });

  it('finds files that come into a folder', async () => {
    writeFileSync(join(folder, 'job-1'), 'm1');
    const jobs: LogSource = { ...oneFileSource, ownsFile: (name) => /job-\d+$/.test(name) };
    const looks = await followed(
      jobs,
      [
        () => writeFileSync(join(folder, 'job-2'), 'm2'),
        () => writeFileSync(join(folder, 'job-1'), 'm1-changed'),
      ],
      folder,
    );
    expect(looks).toEqual([['m1'], ['m2'], ['m1-changed']]);
  });

  it('follows more logs than it may keep open, and across rotation of those that it closed', async () => {
    const names = Array.from({ length: 130 }, (_, index) => `${index}`);
    const logOf = (name: string): string => join(folder, `task${name}.log`);
    for (const name of names) writeFileSync(logOf(name), `begin a${name}\n`);
    const tasks: LogSource = { ...twoLineSource, ownsFile: (path) => path.includes('task') };
    const looks = await followed(
      tasks,
      [
        () => names.forEach((name) => appendFileSync(logOf(name), `end a${name}\nbegin b${name}\n`)),
        () => {
          renameSync(logOf('0'), `${logOf('0')}.1`);
          writeFileSync(logOf('0'), 'end b0\n');
        },
      ],
      folder,
    );
    expect(looks.map((ids) => ids.toSorted())).toEqual([
      [],
      names.map((name) => `a${name}`).toSorted(),
      ['b0'],
    ]);
  });

  it('takes a log that is gone for a moment for no new one', async () => {
    writeFileSync(log, both('m1'));
    const logs: LogSource = { ...twoLineSource, ownsFile: (path) => path.includes('moves.log') };
    const looks = await followed(
      logs,
      [
        () => renameSync(log, `${log}.1`),
        () => appendFileSync(`${log}.1`, both('m2')),
        () => writeFileSync(log, both('m3')),
      ],
      folder,
    );
    expect(looks).toEqual([['m1'], [], ['m2'], ['m3']]);
  });

  it('does not read what it writes itself into the folder that it follows', async () => {
    const written = join(folder, 'bad.log');
    const logs: LogSource = { ...twoLineSource, ownsFile: (path) => path.endsWith('.log') };
    const run = program(logs, { written });
    writeFileSync(log, both('m1'));
    let looks = 0;
    await run.collector.follow([folder], async () => {
      if (looks++ === 0) writeFileSync(written, 'a line that was rejected\n');
      else run.stop.abort();
    });
    expect(run.collection.counts).toEqual({ read: 1, new: 1, known: 0, rejected: 0 });
  });

  it('tells a mistyped path at once', async () => {
    const { collector } = program(twoLineSource);
    await expect(collector.follow([join(folder, 'absent')], async () => undefined)).rejects.toThrow(
      'absent: no such file or folder',
    );
  });
});
